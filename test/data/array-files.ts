import { readFileSync } from 'node:fs';
import { crc32, deflateRawSync } from 'node:zlib';

/** Files that NumPy 2.4 wrote, by name: see test/data/samples.test.ts. */
export const numpyFiles: Readonly<Record<string, Buffer>> = Object.fromEntries(
  Object.entries<string>(
    JSON.parse(readFileSync(new URL('../golden/numpy.json', import.meta.url), 'utf8')),
  ).map(([name, text]) => [name, Buffer.from(text, 'base64')]),
);

/** A `.npy` file, version 1.0, of any header. */
export function npyFile(
  descr: string,
  shape: readonly number[],
  data: Uint8Array,
  order: 'True' | 'False' = 'False',
): Buffer {
  const dict = `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': (${shape.map((n) => `${n},`).join(' ')}), }`;
  const header = Buffer.from(`${dict.padEnd(64 * Math.ceil((dict.length + 11) / 64) - 11)}\n`);
  const magic = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 0, 0]);
  magic.writeUInt16LE(header.length, 8);
  return Buffer.concat([magic, header, data]);
}

const bytesOf = (values: { buffer: ArrayBufferLike }) =>
  new Uint8Array(values.buffer as ArrayBuffer);

export const float32File = (shape: readonly number[], values: readonly number[]): Buffer =>
  npyFile("'<f4'", shape, bytesOf(Float32Array.from(values)));

export const uint8File = (shape: readonly number[], values: readonly number[]): Buffer =>
  npyFile("'|u1'", shape, Uint8Array.from(values));

export const int64File = (values: readonly number[]): Buffer =>
  npyFile("'<i8'", [values.length], bytesOf(BigInt64Array.from(values, BigInt)));

/** What an entry's directory says, where it is not true. */
interface Lies {
  readonly bytes?: number;
  readonly crc?: number;
}

/** A `.npz` file of arrays by name, stored or compressed. */
export function npzFile(
  arrays: Readonly<Record<string, Uint8Array>>,
  { compress = false, lies = {} }: { readonly compress?: boolean; readonly lies?: Lies } = {},
): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(arrays)) {
    const stored = compress ? deflateRawSync(content) : Buffer.from(content);
    const file = Buffer.from(`${name}.npy`);
    const facts = Buffer.alloc(26);
    facts.writeUInt16LE(20, 0);
    facts.writeUInt16LE(compress ? 8 : 0, 4);
    facts.writeUInt32LE(lies.crc ?? crc32(content), 10);
    facts.writeUInt32LE(stored.length, 14);
    facts.writeUInt32LE(lies.bytes ?? content.length, 18);
    facts.writeUInt16LE(file.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), facts, file, stored]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(
      Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 0]), facts, tail, file]),
    );
    locals.push(local);
    offset += local.length;
  }
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(directory.length, 8);
  end.writeUInt16LE(directory.length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, ...directory, end]);
}
