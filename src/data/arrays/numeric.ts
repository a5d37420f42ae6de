import { DataError } from '../../errors.js';
import { ContentError } from '../content-error.js';
import { type NumericArray, permuted, shapeText, type Values } from './npy.js';
import { about } from './read.js';

/** Labels as they are in the files: class names, or numbers [count] or [count, width]. */
export type SampleLabels =
  | { readonly kind: 'names'; readonly values: readonly string[] }
  | {
      readonly kind: 'numbers';
      readonly values: Values;
      /** Numbers in a row; undefined for a vector [count]. */
      readonly width?: number;
      /** Stored as floating-point numbers, or named as the target of a regression. */
      readonly isTarget?: boolean;
    };

/** Rows of the user's own data, as they are in the files. */
export interface Samples {
  /** [count, height * width * channels], row-major, channels last: 8-bit pixels, or finite numbers. */
  readonly x: Uint8Array | Float32Array;
  readonly count: number;
  /** [height, width, channels] of a row; flat features are [1, 1, features]. */
  readonly shape: readonly [number, number, number];
  readonly y?: SampleLabels;
  /** Names of the feature columns of a CSV file. */
  readonly columns?: readonly string[];
  /** How messages name a row: `row 3 (from 0)`, `line 5`, `cat/7.png`. */
  readonly rowName: (row: number) => string;
  /** File name -> SHA-256. Of a folder of images: one, of the names and contents of all. */
  readonly sha256: Readonly<Record<string, string>>;
}

export interface ReadSamplesOptions {
  /** The split, which says which arrays of an archive of several splits are meant. */
  readonly role?: 'train' | 'test' | 'validation';
  /** Position of the channels in images [n, ., ., .]; last when absent, unless the shape contradicts. */
  readonly channels?: 'first' | 'last';
  /** Arrays of an archive that are not named after the split are not taken. */
  readonly onlyOwnRole?: boolean;
  /** Files without labels are accepted. */
  readonly labelsAreOptional?: boolean;
  /** Feature columns that a CSV file must have: those of the training file. */
  readonly columns?: readonly string[];
}

/**
 * Samples of arrays that may come from a library's caller as well.
 * @param names of the arrays, for messages
 * @throws DataError
 */
export function samplesOf(
  x: NumericArray,
  y: NumericArray | undefined,
  names: { readonly x: string; readonly y: string },
  options: ReadSamplesOptions,
  sha256: Readonly<Record<string, string>>,
): Samples {
  const rowName = (row: number) => `row ${row} (from 0)`;
  const { values, shape } = about(names.x, () => inputs(x, options.channels));
  const count = x.shape[0];
  if (y === undefined) return { x: values, count, shape, rowName, sha256 };
  const labels = about(names.y, () => labelArray(y));
  if (y.shape[0] !== count) {
    throw new DataError(
      `${names.x} has ${count} rows and ${names.y} has ${y.shape[0]}: they do not belong together.`,
    );
  }
  return { x: values, count, shape, y: labels, rowName, sha256 };
}

/** Inputs [n, d], [n, h, w] or [n, h, w, c] as rows. */
function inputs(
  { values, shape, dtype }: NumericArray,
  channels: 'first' | 'last' | undefined,
): Pick<Samples, 'shape'> & { values: Samples['x'] } {
  if (shape.length < 2 || shape.length > 4) {
    const way = shape.length === 1 ? '; for one feature use x.reshape(-1, 1)' : '';
    throw new ContentError(
      `has the shape ${shapeText(shape)}; expected rows [n, d], or images [n, h, w] or [n, h, w, c]${way}`,
    );
  }
  if (shape.includes(0)) throw new ContentError(`is empty: its shape is ${shapeText(shape)}`);
  const wanted = dtype === 'uint8' ? plainBytes(values as Uint8Array) : finite(values, shape);
  if (shape.length === 2) return { values: wanted, shape: [1, 1, shape[1]] };
  const [, a, b, c = 1] = shape;
  if (shape.length === 3) return { values: wanted, shape: [a, b, 1] };
  if (channels === 'first')
    return { values: permuted(wanted, shape, [0, 2, 3, 1]), shape: [b, c, a] };
  if (channels === undefined && a <= 4 && c > 4) {
    throw new ContentError(
      `has the shape ${shapeText(shape)}, whose channels seem to come first: set channels: first, ` +
        `or, for images of ${a}x${b} with ${c} channels, channels: last`,
    );
  }
  return { values: wanted, shape: [a, b, c] };
}

/** Not a Buffer, and at a word boundary: such rows are gathered four pixels at a time. */
export function plainBytes(values: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = values;
  return byteOffset % 4 === 0 ? new Uint8Array(buffer, byteOffset, length) : new Uint8Array(values);
}

/** The same numbers as float32. @throws ContentError for one that is NaN or infinite, or becomes so */
function finite(values: Values, shape: readonly number[]): Float32Array {
  const result = values instanceof Float32Array ? values : Float32Array.from(values);
  for (let i = 0; i < result.length; i++) {
    if (Number.isFinite(result[i])) continue;
    const why = Number.isFinite(values[i])
      ? `${values[i]}, beyond the range of float32,`
      : `${values[i]}`;
    throw new ContentError(
      `has ${why} in ${elementName(i, shape)}; replace or remove such rows, as with x[np.isfinite(x).all(axis=1)]`,
    );
  }
  return result;
}

function elementName(element: number, shape: readonly number[]): string {
  const width = shape.slice(1).reduce((product, size) => product * size, 1);
  const row = Math.floor(element / width);
  const inRow = element - row * width;
  if (shape.length <= 2) return `row ${row}, column ${inRow} (from 0)`;
  const index: number[] = [];
  let rest = inRow;
  for (const size of shape.slice(1).reverse()) {
    index.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return `row ${row}, element [${index.join(', ')}] (from 0)`;
}

/** Labels or targets, [n] or [n, k]; a column [n, 1] of integers is a vector. */
function labelArray({ values, shape, dtype }: NumericArray): SampleLabels {
  if (shape.length < 1 || shape.length > 2 || shape.includes(0)) {
    throw new ContentError(
      `has the shape ${shapeText(shape)}; expected labels [n], or targets of a regression [n, k]`,
    );
  }
  if (dtype.startsWith('float')) {
    const bad = values.findIndex((value) => !Number.isFinite(Math.fround(value)));
    if (bad >= 0) {
      throw new ContentError(
        `has ${values[bad]} in ${shape.length === 2 ? elementName(bad, shape) : `row ${bad} (from 0)`}, which is no finite 32-bit number`,
      );
    }
  }
  const isTarget = dtype.startsWith('float');
  const isMatrix = shape.length === 2 && (shape[1] > 1 || isTarget);
  return {
    kind: 'numbers',
    values,
    ...(isMatrix && { width: shape[1] }),
    ...(isTarget && { isTarget }),
  };
}
