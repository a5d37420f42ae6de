import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';

/**
 * Files of named arrays in the safetensors format (https://huggingface.co/docs/safetensors), which
 * libraries of most languages read: the length of the header (8 bytes), the header (JSON: name ->
 * dtype, shape and place), then the arrays, row-major. All numbers are little-endian.
 */

const bytesOf = { F32: 4, F64: 8 } as const;
export type Dtype = keyof typeof bytesOf;

/** What is known of an array before its values. */
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
 * @param values the values of each array in turn; none is asked for before the one ahead of it is written
 * @param onBytes sees all bytes, in order
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
    fsyncSync(file);
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

/**
 * @returns the arrays by name, each with memory of its own
 * @throws Error in plain words when the file is none of this format, and what the system reports
 */
export function readArrays(path: string): Map<string, NamedArray> {
  const bytes = readFileSync(path);
  const length = bytes.length < 8 ? Number.NaN : Number(bytes.readBigUInt64LE());
  if (!(length <= bytes.length - 8)) throw new Error('its header is cut off');
  const entries: unknown = JSON.parse(bytes.toString('utf8', 8, 8 + length));
  const arrays = new Map<string, NamedArray>();
  for (const [name, entry] of Object.entries(entries as object)) {
    arrays.set(name, readArray(name, entry, bytes.subarray(8 + length)));
  }
  return arrays;
}

function readArray(name: string, entry: unknown, data: Buffer): NamedArray {
  const { dtype, shape, data_offsets: offsets } = entry as Record<string, unknown>;
  const known = (Object.keys(bytesOf) as Dtype[]).find((type) => type === dtype);
  const isCount = (value: unknown): value is number =>
    Number.isSafeInteger(value) && Number(value) >= 0;
  const lists =
    Array.isArray(shape) && Array.isArray(offsets) && [...shape, ...offsets].every(isCount);
  if (known === undefined || !lists) throw new Error(`its array ${name} is not described`);
  const [start, end] = offsets as number[];
  const size = sizeOf(shape);
  if (end - start !== size * bytesOf[known] || end > data.length) {
    throw new Error(`its array ${name} is cut off`);
  }
  // A copy: aligned, and free of the file's buffer.
  const buffer = Uint8Array.from(data.subarray(start, end)).buffer;
  const values = known === 'F32' ? new Float32Array(buffer) : new Float64Array(buffer);
  return { name, dtype: known, shape, values };
}
