import { ContentError } from './content-error.js';

/**
 * IDX, the format of MNIST and its relatives: two zero bytes, a type byte (8 = unsigned byte), the
 * number of dimensions, each dimension as a big-endian 32-bit integer, then the values row by row.
 * Source: "FILE FORMATS FOR THE MNIST DATABASE", Y. LeCun, C. Cortes, C. Burges.
 */
const unsignedByte = 0x08;

/**
 * @returns the images of an IDX file of 8-bit pixels: [count, height * width] as a view of `content`
 * @throws ContentError when the file is not images of this size
 */
export function parseIdxImages(
  content: Uint8Array,
  height: number,
  width: number,
): { count: number; images: Uint8Array } {
  const { dimensions, values } = parseIdx(content, 3);
  const [count, rows, columns] = dimensions;
  if (rows !== height || columns !== width) {
    throw new ContentError(`has images of ${rows}x${columns} pixels, expected ${height}x${width}`);
  }
  return { count, images: values };
}

/**
 * @param first the label of the first class in the file
 * @returns the classes of an IDX file of labels, [count], from 0; a view of `content` where `first` is 0
 * @throws ContentError when the file is not labels, or one of them is not in first..first+classes-1
 */
export function parseIdxLabels(content: Uint8Array, classes: number, first = 0): Uint8Array {
  const { values } = parseIdx(content, 1);
  const last = first + classes - 1;
  const bad = values.findIndex((label) => label < first || label > last);
  if (bad >= 0) {
    throw new ContentError(
      `has label ${values[bad]} in record ${bad} (from 0); labels run from ${first} to ${last}`,
    );
  }
  return first === 0 ? values : values.map((label) => label - first);
}

/** @throws ContentError when the file is not 8-bit values of this many dimensions */
export function parseIdx(
  content: Uint8Array,
  rank: number,
): { dimensions: number[]; values: Uint8Array } {
  const header = 4 + 4 * rank;
  if (content.length < 4) {
    throw new ContentError(`is ${content.length} bytes long, too short for an IDX file`);
  }
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const magic = view.getUint32(0);
  const expected = (unsignedByte << 8) | rank;
  if (magic !== expected) {
    throw new ContentError(
      `starts with the IDX magic number ${hex(magic)}, expected ${hex(expected)} (8-bit values, ${rank} ${rank === 1 ? 'dimension' : 'dimensions'})`,
    );
  }
  if (content.length < header) {
    throw new ContentError(`ends inside its IDX header (${content.length} bytes)`);
  }
  const dimensions = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const declared = dimensions.reduce((product, size) => product * size, 1);
  const found = content.length - header;
  if (found < declared) {
    throw new ContentError(
      `is truncated: its header declares ${dimensions.join(' x ')} = ${declared} bytes, and ${found} follow`,
    );
  }
  if (found > declared) {
    throw new ContentError(
      `has ${found - declared} bytes after the ${dimensions.join(' x ')} = ${declared} that its header declares`,
    );
  }
  return { dimensions, values: content.subarray(header) };
}

const hex = (value: number) => `0x${value.toString(16).padStart(8, '0')}`;
