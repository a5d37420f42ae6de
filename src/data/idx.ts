import { ContentError } from './content.js';

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
    throw new ContentError(
      `has images of ${rows}x${columns} pixels where ${height}x${width} were expected`,
    );
  }
  return { count, images: values };
}

/**
 * @returns the labels of an IDX file, [count], as a view of `content`
 * @throws ContentError when the file is not labels, or one of them is not in 0..classes-1
 */
export function parseIdxLabels(content: Uint8Array, classes: number): Uint8Array {
  const { values } = parseIdx(content, 1);
  const bad = values.findIndex((label) => label >= classes);
  if (bad >= 0) {
    throw new ContentError(
      `has label ${values[bad]} in record ${bad} (from 0); labels run from 0 to ${classes - 1}`,
    );
  }
  return values;
}

function parseIdx(content: Uint8Array, rank: number): { dimensions: number[]; values: Uint8Array } {
  const header = 4 + 4 * rank;
  if (content.length < 4) {
    throw new ContentError(`is ${content.length} bytes long, too short for an IDX file`);
  }
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const magic = view.getUint32(0);
  const expected = (unsignedByte << 8) | rank;
  if (magic !== expected) {
    throw new ContentError(
      `starts with the IDX magic number ${hex(magic)} where ${hex(expected)} (8-bit values, ${rank} ${rank === 1 ? 'dimension' : 'dimensions'}) was expected`,
    );
  }
  if (content.length < header) {
    throw new ContentError(`ends inside its IDX header (${content.length} bytes)`);
  }
  const dimensions = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const promised = dimensions.reduce((product, size) => product * size, 1);
  const found = content.length - header;
  if (found < promised) {
    throw new ContentError(
      `is cut short: its header promises ${dimensions.join(' x ')} = ${promised} bytes, and ${found} follow`,
    );
  }
  if (found > promised) {
    throw new ContentError(
      `has ${found - promised} bytes after the ${dimensions.join(' x ')} = ${promised} its header promises`,
    );
  }
  return { dimensions, values: content.subarray(header) };
}

const hex = (value: number) => `0x${value.toString(16).padStart(8, '0')}`;
