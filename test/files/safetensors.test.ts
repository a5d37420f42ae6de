import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readArrays, writeArrays } from '../../src/files/safetensors.js';
import { temporaryFolder } from '../experiment/tiny.js';

const arrays = [
  { name: 'a.weights', dtype: 'F32', shape: [2, 3] },
  { name: 'empty', dtype: 'F32', shape: [0, 4] },
  { name: 'loss', dtype: 'F64', shape: [] },
] as const;
const values = [
  Float32Array.of(1, -0, 0.1, Number.NaN, 3e38, -1e-45),
  new Float32Array(),
  Float64Array.of(Number.POSITIVE_INFINITY),
];

async function written(): Promise<string> {
  const path = join(temporaryFolder(), 'state.safetensors');
  await writeArrays(path, arrays, async (index) => values[index]);
  return path;
}

describe('safetensors', () => {
  it('writes the layout of the format', async () => {
    const seen: Uint8Array[] = [];
    const path = join(temporaryFolder(), 'state.safetensors');
    await writeArrays(
      path,
      arrays,
      async (index) => values[index],
      (part) => seen.push(part),
    );
    const bytes = readFileSync(path);
    expect(Buffer.concat(seen).equals(bytes)).toBe(true);
    const length = Number(bytes.readBigUInt64LE());
    expect(length % 8).toBe(0);
    expect(JSON.parse(bytes.toString('utf8', 8, 8 + length))).toEqual({
      'a.weights': { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] },
      empty: { dtype: 'F32', shape: [0, 4], data_offsets: [24, 24] },
      loss: { dtype: 'F64', shape: [], data_offsets: [24, 32] },
    });
    expect(bytes.length).toBe(8 + length + 32);
    expect(bytes.readFloatLE(8 + length)).toBe(1);
  });

  it('reads back every bit', async () => {
    const read = readArrays(await written());
    expect([...read.keys()]).toEqual(arrays.map(({ name }) => name));
    for (const [i, { name, shape }] of arrays.entries()) {
      expect(read.get(name)).toEqual({ ...arrays[i], shape, values: values[i] });
    }
  });

  it('says what is wrong with a file that is cut off or of another kind', async () => {
    const path = await written();
    const bytes = readFileSync(path);
    const reading = (change: () => Uint8Array | string) => {
      writeFileSync(path, change());
      return () => readArrays(path);
    };
    expect(reading(() => bytes.subarray(0, bytes.length - 1))).toThrow('array loss is truncated');
    expect(reading(() => bytes.subarray(0, 40))).toThrow('header is truncated');
    expect(reading(() => '')).toThrow('header is truncated');
    expect(reading(() => 'PK\u0003\u0004 something else entirely')).toThrow('header is truncated');
    const overlapping = { a: [0, 24], b: [8, 32] };
    const entry = ([name, place]: [string, number[]]) => [
      name,
      { dtype: 'F64', shape: [3], data_offsets: place },
    ];
    const text = JSON.stringify(Object.fromEntries(Object.entries(overlapping).map(entry)));
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(BigInt(text.length));
    expect(reading(() => Buffer.concat([head, Buffer.from(text), Buffer.alloc(32)]))).toThrow(
      'its arrays overlap',
    );
    const other = bytes.toString('latin1').replace('"F64"', '"I64"');
    expect(reading(() => Buffer.from(other, 'latin1'))).toThrow('does not describe array loss');
  });
});
