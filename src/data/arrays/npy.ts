import { ContentError } from '../content-error.js';

/**
 * NumPy's array format, versions 1.0 to 3.0: the magic "\x93NUMPY", two version bytes, the length of the header
 * (2 bytes, from version 2.0 on 4), a Python dict with `descr`, `fortran_order` and `shape`, then the values.
 * Source: numpy.lib.format, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */

/** Values as they are stored; 64-bit integers, which must be exact, as float64. */
export type Values =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

export interface NumericArray {
  /** Row-major, whatever the order in the file. */
  readonly values: Values;
  readonly shape: readonly number[];
  /** NumPy's name, such as `uint8`, `int64`, `bool`. */
  readonly dtype: string;
}

interface Dtype {
  readonly name: string;
  readonly bytes: number;
  readonly view: (buffer: ArrayBuffer, offset: number, length: number) => Values;
}

const dtypes: Readonly<Record<string, Dtype>> = {
  b1: { name: 'bool', bytes: 1, view: (b, o, n) => new Uint8Array(b, o, n) },
  u1: { name: 'uint8', bytes: 1, view: (b, o, n) => new Uint8Array(b, o, n) },
  i1: { name: 'int8', bytes: 1, view: (b, o, n) => new Int8Array(b, o, n) },
  u2: { name: 'uint16', bytes: 2, view: (b, o, n) => new Uint16Array(b, o, n) },
  i2: { name: 'int16', bytes: 2, view: (b, o, n) => new Int16Array(b, o, n) },
  u4: { name: 'uint32', bytes: 4, view: (b, o, n) => new Uint32Array(b, o, n) },
  i4: { name: 'int32', bytes: 4, view: (b, o, n) => new Int32Array(b, o, n) },
  u8: { name: 'uint64', bytes: 8, view: (b, o, n) => exact(new BigUint64Array(b, o, n)) },
  i8: { name: 'int64', bytes: 8, view: (b, o, n) => exact(new BigInt64Array(b, o, n)) },
  f4: { name: 'float32', bytes: 4, view: (b, o, n) => new Float32Array(b, o, n) },
  f8: { name: 'float64', bytes: 8, view: (b, o, n) => new Float64Array(b, o, n) },
};

/** @throws ContentError for integers that float64 cannot hold */
function exact(values: BigInt64Array | BigUint64Array): Float64Array {
  const result = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) {
    result[i] = Number(values[i]);
    if (!Number.isSafeInteger(result[i])) {
      throw new ContentError(`has the integer ${values[i]}, beyond 2^53, in element ${i} (from 0)`);
    }
  }
  return result;
}

/** @throws ContentError when `content` is not an array of numbers in little-endian order, whole */
export function parseNpy(content: Uint8Array): NumericArray {
  const { dtype, shape, isFortran, start } = parseHeader(content);
  const count = shape.reduce((product, size) => product * size, 1);
  const declared = count * dtype.bytes;
  const found = content.length - start;
  const size = `${shapeText(shape)} of ${dtype.name}, ${declared} bytes`;
  if (found < declared) {
    throw new ContentError(`is truncated: its header declares ${size}, and ${found} follow`);
  }
  if (found > declared) {
    throw new ContentError(
      `has ${found - declared} bytes after the array that its header declares (${size})`,
    );
  }
  const aligned = (content.byteOffset + start) % dtype.bytes === 0;
  const bytes = aligned ? content : new Uint8Array(content.subarray(start));
  const offset = aligned ? content.byteOffset + start : 0;
  const stored = dtype.view(bytes.buffer as ArrayBuffer, offset, count);
  const values =
    isFortran && shape.length > 1
      ? permuted(stored, shape.toReversed(), reversal(shape.length))
      : stored;
  return { values, shape, dtype: dtype.name };
}

const reversal = (rank: number) => Array.from({ length: rank }, (_, axis) => rank - 1 - axis);

/**
 * numpy.transpose of a row-major array.
 * @param shape of `values`
 * @param axes axis i of the result is axis axes[i] of `values`
 */
export function permuted<T extends Values>(
  values: T,
  shape: readonly number[],
  axes: readonly number[],
): T {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    strides[axis] = strides[axis + 1] * shape[axis + 1];
  }
  const sizes = axes.map((axis) => shape[axis]);
  const steps = axes.map((axis) => strides[axis]);
  const result = new (values.constructor as new (length: number) => T)(values.length);
  const index = new Array<number>(sizes.length).fill(0);
  const last = sizes.length - 1;
  for (let to = 0, from = 0; to < result.length; ) {
    for (let i = 0; i < sizes[last]; i++) result[to++] = values[from + i * steps[last]];
    let axis = last - 1;
    for (; axis >= 0; axis--) {
      from += steps[axis];
      if (++index[axis] < sizes[axis]) break;
      from -= steps[axis] * sizes[axis];
      index[axis] = 0;
    }
    if (axis < 0) break;
  }
  return result;
}

/** `[60000, 28, 28]` */
export const shapeText = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

/** NumPy itself refuses longer headers. */
const mostHeaderBytes = 10_000;

function parseHeader(content: Uint8Array): {
  dtype: Dtype;
  shape: number[];
  isFortran: boolean;
  start: number;
} {
  const head = Buffer.from(content.buffer, content.byteOffset, Math.min(content.length, 12));
  if (head.toString('latin1', 0, 6) !== '\x93NUMPY') {
    throw new ContentError('is not a NumPy array (it does not start with \\x93NUMPY)');
  }
  const version = head[6];
  if (head.length < 12) throw new ContentError('ends inside its NumPy header');
  if (version < 1 || version > 3) {
    throw new ContentError(
      `has version ${version}.${head[7]} of the NumPy format; 1.0 to 3.0 are read`,
    );
  }
  const [from, length] = version === 1 ? [10, head.readUInt16LE(8)] : [12, head.readUInt32LE(8)];
  if (length > mostHeaderBytes) {
    throw new ContentError(`has a NumPy header of ${length} bytes, more than ${mostHeaderBytes}`);
  }
  if (from + length > content.length) throw new ContentError('ends inside its NumPy header');
  const text = Buffer.from(content.buffer, content.byteOffset + from, length).toString('latin1');
  const order = /'fortran_order':\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape':\s*\(([\d\s,L]*)\)/.exec(text)?.[1];
  if (!/'descr':/.test(text) || order === undefined || shape === undefined) {
    throw new ContentError('has a NumPy header without descr, fortran_order and shape');
  }
  const sizes = (shape.match(/\d+/g) ?? []).map(Number);
  if (sizes.length > 8 || !Number.isSafeInteger(sizes.reduce((a, b) => a * b, 8))) {
    throw new ContentError(`has an impossible shape, ${shapeText(sizes)}`);
  }
  return {
    dtype: dtypeOf(/'descr':\s*(\[|'([^']*)')/.exec(text)),
    shape: sizes,
    isFortran: order === 'True',
    start: from + length,
  };
}

function dtypeOf(descr: RegExpExecArray | null): Dtype {
  if (descr === null) throw new ContentError('has a NumPy header without a readable descr');
  if (descr[1] === '[') {
    throw new ContentError('is a structured array; save each field as an array of its own');
  }
  const code = descr[2];
  const kind = code.replace(/^[<>|=]/, '');
  if (kind.startsWith('O')) {
    throw new ContentError(
      'holds pickled Python objects, which are never loaded; make it an array of numbers with x.astype("float32") and save it with allow_pickle=False',
    );
  }
  if (/^[US]/.test(kind)) {
    throw new ContentError(
      'is an array of strings; number them first, with names, y = np.unique(y, return_inverse=True)',
    );
  }
  if (kind.startsWith('c')) {
    throw new ContentError('holds complex numbers; save the real and imaginary parts as features');
  }
  const dtype = Object.hasOwn(dtypes, kind) ? dtypes[kind] : undefined;
  if (dtype === undefined) {
    const names = Object.values(dtypes).map(({ name }) => name);
    throw new ContentError(
      `has the dtype "${code.slice(0, 20)}"; convert it with x.astype("float32") (read are ${names.join(', ')})`,
    );
  }
  if (code.startsWith('>') && dtype.bytes > 1) {
    throw new ContentError(
      `is big-endian (dtype "${code}"); save it as little-endian with x.astype("<${kind}")`,
    );
  }
  return dtype;
}
