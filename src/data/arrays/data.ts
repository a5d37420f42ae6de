import { createHash } from 'node:crypto';
import { DataError } from '../../errors.js';
import type { NumericArray, Values } from './npy.js';
import { type Samples, samplesOf } from './numeric.js';

/** An array in memory. */
export interface TypedArray {
  /** Row-major. */
  readonly values: Values;
  readonly shape: readonly number[];
}

/** One split of the caller's own data. */
export interface LabelledArrays {
  /** Rows [n, d], or images [n, h, w] or [n, h, w, c]: 8-bit pixels as a Uint8Array, else numbers. */
  readonly x: TypedArray;
  /** Labels [n]: integers from 0. With loss mse, a Float32Array or Float64Array [n] or [n, k] is a regression. */
  readonly y: TypedArray | Values | readonly number[];
}

/** The caller's own data: instead of the files of a config with `dataset: { name: arrays }`. */
export interface ArrayData {
  readonly train: LabelledArrays;
  /** A number is the share of the training rows to hold out. */
  readonly test: LabelledArrays | number;
  readonly validation?: LabelledArrays;
}

const dtypeNames = new Map<unknown, string>([
  [Uint8Array, 'uint8'],
  [Int8Array, 'int8'],
  [Uint16Array, 'uint16'],
  [Int16Array, 'int16'],
  [Uint32Array, 'uint32'],
  [Int32Array, 'int32'],
  [Float32Array, 'float32'],
  [Float64Array, 'float64'],
]);

/** @throws DataError when the arrays do not have their shapes, or cannot be trained on */
export function dataSamples(
  { x, y }: LabelledArrays,
  split: string,
  channels: 'first' | 'last' | undefined,
): Samples {
  const inputs = checked(x, `data.${split}.x`);
  const labels = checked(asTyped(y), `data.${split}.y`);
  const names = { x: `data.${split}.x`, y: `data.${split}.y` };
  const sha256 = { x: digest(inputs), y: digest(labels) };
  // A copy: numbers are standardized in place.
  const own = { ...inputs, values: inputs.values.slice() as Values };
  return samplesOf(own, labels, names, { channels }, sha256);
}

function asTyped(y: LabelledArrays['y']): TypedArray {
  if ('values' in y && 'shape' in y) return y as TypedArray;
  const list = y as Values | readonly number[];
  const isInteger = Array.isArray(list) && list.every(Number.isInteger);
  const values = Array.isArray(list)
    ? (isInteger ? Int32Array : Float64Array).from(list)
    : (list as Values);
  return { values, shape: [values.length] };
}

function checked({ values, shape }: TypedArray, name: string): NumericArray {
  const dtype = dtypeNames.get(values?.constructor);
  if (dtype === undefined || !Array.isArray(shape)) {
    throw new DataError(`${name}: expected { values: a typed array of numbers, shape: [n, ...] }.`);
  }
  const count = shape.reduce((product: number, size: number) => product * size, 1);
  if (count !== values.length) {
    throw new DataError(
      `${name} has ${values.length} values, and its shape [${shape.join(', ')}] needs ${count}.`,
    );
  }
  return { values, shape, dtype };
}

/** SHA-256 of shape, type and bytes. */
function digest({ values, shape, dtype }: NumericArray): string {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return createHash('sha256').update(`${dtype} [${shape.join()}]\n`).update(bytes).digest('hex');
}
