import { deflateSync } from 'node:zlib';

/** One array of a MATLAB file made for a test; what is left out is as SVHN's files have it. */
export interface MatEntry {
  readonly name: string;
  readonly dimensions: readonly number[];
  readonly values: ArrayLike<number>;
  /** Class of the array: 9 uint8, 6 double, 5 sparse, ... */
  readonly kind?: number;
  /** How the values are stored. */
  readonly as?: keyof typeof types;
  readonly isCompressed?: boolean;
  readonly isComplex?: boolean;
}

const types = {
  int8: { code: 1, of: Int8Array },
  uint8: { code: 2, of: Uint8Array },
  uint16: { code: 4, of: Uint16Array },
  int32: { code: 5, of: Int32Array },
  uint32: { code: 6, of: Uint32Array },
  single: { code: 7, of: Float32Array },
  double: { code: 9, of: Float64Array },
  int64: { code: 12, of: BigInt64Array },
} as const;

/** A MATLAB 5 file, little-endian. */
export function matFile(entries: readonly MatEntry[]): Buffer {
  const header = Buffer.alloc(128, ' ');
  header.write('MATLAB 5.0 MAT-file, made for a test');
  header.fill(0, 116, 124);
  header.writeUInt16LE(0x0100, 124);
  header.write('IM', 126);
  return Buffer.concat([header, ...entries.map(matArray)]);
}

export function matArray(entry: MatEntry): Buffer {
  const { name, dimensions, values, kind = 9, as = 'uint8' } = entry;
  const flags = Uint32Array.of(kind | (entry.isComplex ? 0x0800 : 0), 0);
  const stored =
    as === 'int64'
      ? BigInt64Array.from(Array.from(values), BigInt)
      : types[as].of.from(Array.from(values));
  const array = element(
    14,
    Buffer.concat([
      element(6, bytesOf(flags)),
      element(5, bytesOf(Int32Array.from(dimensions))),
      element(1, Buffer.from(name)),
      element(types[as].code, bytesOf(stored)),
    ]),
  );
  return (entry.isCompressed ?? true) ? element(15, deflateSync(array)) : array;
}

const bytesOf = (values: ArrayBufferView): Buffer =>
  Buffer.from(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength);

/** A tag and its content, padded; in 8 bytes where the content has at most 4, as MATLAB writes it. */
export function element(type: number, content: Buffer): Buffer {
  const tag = Buffer.alloc(8);
  if (content.length >= 1 && content.length <= 4 && type !== 15) {
    tag.writeUInt32LE((content.length << 16) | type, 0);
    content.copy(tag, 4);
    return tag;
  }
  tag.writeUInt32LE(type, 0);
  tag.writeUInt32LE(content.length, 4);
  const padding = type === 15 ? 0 : -content.length & 7;
  return Buffer.concat([tag, content, Buffer.alloc(padding)]);
}
