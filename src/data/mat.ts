import { createInflate } from 'node:zlib';
import { ContentError } from './content-error.js';

/** A numeric array of a MATLAB file; values in column-major order: the first index varies fastest. */
export interface MatArray {
  readonly dimensions: readonly number[];
  readonly values:
    | Uint8Array
    | Int8Array
    | Uint16Array
    | Int16Array
    | Uint32Array
    | Int32Array
    | Float32Array
    | Float64Array;
}

/**
 * Reads real numeric arrays from a MATLAB file of level 5 (`save -v6` and `-v7`), little-endian: a header
 * of 128 bytes, then elements of a type, a size and content, each an array or a zlib stream of one.
 * Source: MathWorks, "MAT-File Format", chapter 1, "Level 5 MAT-File Format".
 *
 * @param names the arrays to read; others are skipped
 * @param maxBytes the most that all compressed elements together may unpack to
 * @throws ContentError when it is no such file, damaged or too long, or one of the arrays is missing or
 *   not real, full and numeric
 */
export async function readMat(
  content: Uint8Array,
  names: readonly string[],
  maxBytes: number,
): Promise<ReadonlyMap<string, MatArray>> {
  checkHeader(content);
  const found = new Map<string, MatArray>();
  let left = maxBytes;
  for (let at = headerBytes; at < content.length; ) {
    const element = readElement(content, at, content.length, 'its end');
    at = element.next;
    let array = element;
    if (element.type === type.compressed) {
      const unpacked = await unpack(element.content, left, maxBytes);
      left -= unpacked.length;
      array = readElement(unpacked, 0, unpacked.length, 'a compressed array');
    }
    if (array.type !== type.matrix) continue;
    const header = readArrayHeader(array.content);
    if (!names.includes(header.name)) continue;
    if (found.has(header.name)) throw new ContentError(`contains ${header.name} twice`);
    found.set(header.name, readArray(array.content, header));
  }
  const missing = names.filter((name) => !found.has(name));
  if (missing.length > 0)
    throw new ContentError(`does not contain the array ${missing.join(', ')}`);
  return found;
}

const headerBytes = 128;

/** Types of elements that are not values. */
const type = { matrix: 14, compressed: 15 } as const;

/** Types of elements that are values. */
const valueTypes = new Map<
  number,
  { bytes: number; of: new (buffer: ArrayBuffer) => MatArray['values'] }
>([
  [1, { bytes: 1, of: Int8Array }],
  [2, { bytes: 1, of: Uint8Array }],
  [3, { bytes: 2, of: Int16Array }],
  [4, { bytes: 2, of: Uint16Array }],
  [5, { bytes: 4, of: Int32Array }],
  [6, { bytes: 4, of: Uint32Array }],
  [7, { bytes: 4, of: Float32Array }],
  [9, { bytes: 8, of: Float64Array }],
]);

/** Classes of arrays: what the array holds, whatever the type its values are stored as. */
const numericClasses = { first: 6, last: 13 };
const otherClasses: Readonly<Record<number, string>> = {
  1: 'a cell array',
  2: 'a structure',
  3: 'an object',
  4: 'a text',
  5: 'a sparse array',
};

function checkHeader(content: Uint8Array): void {
  const text = Buffer.from(content.subarray(0, headerBytes)).toString('latin1');
  if (text.startsWith('MATLAB 7.3') || text.startsWith('\x89HDF')) {
    throw new ContentError('is a MATLAB 7.3 file (HDF5), expected one of MATLAB 5 (save -v7)');
  }
  if (content.length < headerBytes) {
    throw new ContentError(`is ${content.length} bytes long, too short for a MATLAB file`);
  }
  // The number 0x4d49 in the byte order of the writer.
  const order = text.slice(126);
  if (order === 'MI') throw new ContentError('is a big-endian MATLAB file, expected little-endian');
  if (order !== 'IM')
    throw new ContentError('is not a MATLAB 5 file (no byte order mark in its header)');
}

interface Element {
  readonly type: number;
  readonly content: Uint8Array;
  /** Where the next element starts. */
  readonly next: number;
}

/** The element at `at`: its tag has 8 bytes, or 4 for content of at most 4 bytes. */
function readElement(bytes: Uint8Array, at: number, end: number, where: string): Element {
  const truncated = () => new ContentError(`is a truncated MATLAB file (ends inside ${where})`);
  if (at + 8 > end) throw truncated();
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, 8);
  const first = view.getUint32(0, true);
  const smallSize = first >>> 16;
  if (smallSize > 0) {
    if (smallSize > 4) throw new ContentError(`is a damaged MATLAB file (bad tag inside ${where})`);
    return {
      type: first & 0xffff,
      content: bytes.subarray(at + 4, at + 4 + smallSize),
      next: at + 8,
    };
  }
  const start = at + 8;
  const stop = start + view.getUint32(4, true);
  if (stop > end) throw truncated();
  // Padded to 8 bytes, except compressed ones; the last one may lack its padding.
  const next = first === type.compressed ? stop : start + Math.ceil((stop - start) / 8) * 8;
  return { type: first, content: bytes.subarray(start, stop), next };
}

interface ArrayHeader {
  readonly name: string;
  readonly dimensions: readonly number[];
  /** Why the array cannot be read. */
  readonly problem?: string;
  /** Where its values start. */
  readonly next: number;
}

/** The elements before an array's values: flags, dimensions, name. */
function readArrayHeader(bytes: Uint8Array): ArrayHeader {
  const where = 'the header of an array';
  const flags = readElement(bytes, 0, bytes.length, where);
  const sizes = readElement(bytes, flags.next, bytes.length, where);
  const name = readElement(bytes, sizes.next, bytes.length, where);
  const word = flags.content.length < 4 ? 0 : flags.content[0] | (flags.content[1] << 8);
  const kind = word & 0xff;
  const isComplex = (word & 0x0800) !== 0;
  const isNumeric = kind >= numericClasses.first && kind <= numericClasses.last;
  const problem = isComplex
    ? 'a complex array'
    : isNumeric
      ? undefined
      : (otherClasses[kind] ?? `an array of the unknown class ${kind}`);
  return {
    name: Buffer.from(name.content).toString('latin1'),
    dimensions: [...(valuesOf(sizes) ?? [])],
    problem,
    next: name.next,
  };
}

function readArray(bytes: Uint8Array, header: ArrayHeader): MatArray {
  const { name, dimensions, problem, next } = header;
  if (problem) throw new ContentError(`contains ${name} as ${problem}, expected real numbers`);
  const element = readElement(bytes, next, bytes.length, name);
  const values = valuesOf(element);
  if (values === undefined) {
    throw new ContentError(`contains ${name} with values of the unsupported type ${element.type}`);
  }
  const expected = dimensions.reduce((product, size) => product * size, 1);
  if (dimensions.length < 2 || values.length !== expected) {
    throw new ContentError(
      `contains ${name} of size ${dimensions.join('x')} with ${values.length} values`,
    );
  }
  return { dimensions, values };
}

/** undefined where the type is not a number, or the size no multiple of the type's. */
function valuesOf({ type, content }: Element): MatArray['values'] | undefined {
  const found = valueTypes.get(type);
  if (found === undefined || content.length % found.bytes !== 0) return undefined;
  // Bytes, of which there may be hundreds of megabytes, are not copied.
  if (found.of === Uint8Array) return content;
  return new found.of(new Uint8Array(content).buffer);
}

/** Unpacks a zlib stream; the limit stops one that would fill the memory. */
async function unpack(packed: Uint8Array, left: number, limit: number): Promise<Uint8Array> {
  const target = new Uint8Array(left);
  let length = 0;
  const inflate = createInflate({ chunkSize: 1 << 18 });
  inflate.end(packed);
  try {
    for await (const chunk of inflate as AsyncIterable<Uint8Array>) {
      if (length + chunk.length > left) {
        throw new ContentError(`unpacks to more than the ${limit} bytes of the expected arrays`);
      }
      target.set(chunk, length);
      length += chunk.length;
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!code?.startsWith('Z_')) throw error;
    throw new ContentError(`is a damaged MATLAB file (compressed array: ${message})`);
  }
  return target.subarray(0, length);
}
