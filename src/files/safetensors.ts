import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { withRegularFile } from './read.js';
import { syncFile } from './system-calls.js';

/**
 * Files of named arrays in the safetensors format (https://huggingface.co/docs/safetensors), which
 * libraries of most languages read: the size of the header (8 bytes), the header (JSON: name ->
 * dtype, shape and offsets), then the arrays, row-major. All numbers are little-endian.
 */

const bytesOf = { F32: 4, F64: 8 } as const;
export type Dtype = keyof typeof bytesOf;

/** An array without its values. */
export interface ArrayShape {
  readonly name: string;
  readonly dtype: Dtype;
  /** [] for a single number */
  readonly shape: readonly number[];
}

/** An array, read. */
export interface NamedArray extends ArrayShape {
  readonly values: Float32Array | Float64Array;
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, side) => size * side, 1);

/**
 * Writes a file, one array after the other, and syncs it.
 * @param values gives the values of an array; called for each once the one before is written
 * @param onBytes gets all bytes, in order
 * @throws what the system reports
 */
export async function writeArrays(
  path: string,
  arrays: readonly ArrayShape[],
  values: (index: number) => Promise<Float32Array | Float64Array>,
  onBytes: (bytes: Uint8Array) => void = () => {},
): Promise<void> {
  const file = openSync(path, 'wx');
  try {
    const write = (bytes: Uint8Array) => {
      for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
      onBytes(bytes);
    };
    write(header(arrays));
    for (const index of arrays.keys()) {
      const array = await values(index);
      write(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    }
    syncFile(file);
  } finally {
    closeSync(file);
  }
}

function header(arrays: readonly ArrayShape[]): Uint8Array {
  let offset = 0;
  const entries = arrays.map(({ name, dtype, shape }) => {
    const start = offset;
    offset += bytesOf[dtype] * sizeOf(shape);
    return [name, { dtype, shape, data_offsets: [start, offset] }];
  });
  const json = JSON.stringify(Object.fromEntries(entries));
  // Padded, so that the arrays begin at a multiple of their size.
  const text = json.padEnd(Math.ceil(json.length / 8) * 8);
  const bytes = Buffer.alloc(8 + text.length);
  bytes.writeBigUInt64LE(BigInt(text.length));
  bytes.write(text, 8);
  return bytes;
}

/** The content of a file, in memory. */
export function encodeArrays(arrays: readonly NamedArray[]): Uint8Array {
  const bytesIn = ({ buffer, byteOffset, byteLength }: Float32Array | Float64Array) =>
    new Uint8Array(buffer, byteOffset, byteLength);
  return Buffer.concat([header(arrays), ...arrays.map(({ values }) => bytesIn(values))]);
}

/**
 * @returns the arrays by name, each with memory of its own
 * @throws Error in plain words when the file does not have this format, and what the system reports
 */
export function readArrays(path: string): Map<string, NamedArray> {
  return withRegularFile(path, Number.POSITIVE_INFINITY, (file, size) =>
    arraysIn(size, (position, bytes) => {
      const buffer = new Uint8Array(bytes);
      for (let done = 0; done < bytes; ) {
        const count = readSync(file, buffer, done, bytes - done, position + done);
        if (count === 0) throw new Error('it became shorter while it was read');
        done += count;
      }
      return buffer.buffer;
    }),
  );
}

/** {@link readArrays} of the content of a file. */
export const parseArrays = (content: Uint8Array): Map<string, NamedArray> =>
  arraysIn(
    content.length,
    (position, bytes) =>
      // A copy, whose memory starts at a multiple of the arrays' element size.
      Uint8Array.from(content.subarray(position, position + bytes)).buffer,
  );

/** @param read a part of the content, as memory of its own: position and length in bytes */
function arraysIn(
  size: number,
  read: (position: number, bytes: number) => ArrayBuffer,
): Map<string, NamedArray> {
  const length = size < 8 ? Number.NaN : Number(Buffer.from(read(0, 8)).readBigUInt64LE());
  if (!(length <= Math.min(size - 8, longestHeader))) throw new Error('its header is truncated');
  const entries: unknown = JSON.parse(Buffer.from(read(8, length)).toString('utf8'));
  const arrays = new Map<string, NamedArray>();
  let left = size - 8 - length;
  for (const [name, entry] of Object.entries(entries as object)) {
    const found = described(name, entry);
    if (found.end > size - 8 - length) throw new Error(`its array ${name} is truncated`);
    left -= found.end - found.start;
    if (left < 0) throw new Error('its arrays overlap');
    // One array at a time: nothing is in memory twice.
    const buffer = read(8 + length + found.start, found.end - found.start);
    const { dtype, shape } = found;
    const values = dtype === 'F32' ? new Float32Array(buffer) : new Float64Array(buffer);
    arrays.set(name, { name, dtype, shape, values });
  }
  return arrays;
}

/** Bytes: enough for tens of thousands of arrays. */
const longestHeader = 1 << 23;

/** The array that an entry of the header describes, with its byte offsets behind the header. */
function described(name: string, entry: unknown): ArrayShape & { start: number; end: number } {
  const { dtype, shape, data_offsets: offsets } = entry as Record<string, unknown>;
  const known = (Object.keys(bytesOf) as Dtype[]).find((type) => type === dtype);
  const isCount = (value: unknown): value is number =>
    Number.isSafeInteger(value) && Number(value) >= 0;
  const lists =
    Array.isArray(shape) && Array.isArray(offsets) && [...shape, ...offsets].every(isCount);
  if (known === undefined || !lists) throw new Error(`its header does not describe array ${name}`);
  const [start, end] = offsets as number[];
  if (end - start !== sizeOf(shape) * bytesOf[known]) {
    throw new Error(`its array ${name} is truncated`);
  }
  return { name, dtype: known, shape, start, end };
}
