import { createHash } from 'node:crypto';
import * as tf from '@tensorflow/tfjs';
import { isLeaf, isTensor, type State, type StateLeaf } from '../../core/tree.js';
import {
  type ArrayShape,
  type NamedArray,
  readArrays,
  writeArrays,
} from '../../files/safetensors.js';

/** The structure of a state: names of arrays in place of its leaves, null where a value is not set yet. */
export type StateForm =
  | string
  | null
  | readonly StateForm[]
  | { readonly [key: string]: StateForm };

/**
 * Writes the state of a method as safetensors: tensors as F32, float64 arrays as F64, and numbers as F64
 * without dimensions.
 * @returns the form, from which `readState` rebuilds the state, and the file's SHA-256
 */
export async function writeState(
  path: string,
  state: State,
): Promise<{ readonly form: StateForm; readonly sha256: string; readonly bytes: number }> {
  const leaves: { readonly name: string; readonly leaf: StateLeaf }[] = [];
  const form = formOf(state, '', (name, leaf) => leaves.push({ name, leaf }));
  const hash = createHash('sha256');
  let bytes = 0;
  await writeArrays(
    path,
    leaves.map(({ name, leaf }) => ({ name, ...describe(leaf) })),
    (index) => valuesOf(leaves[index].leaf),
    (part) => {
      hash.update(part);
      bytes += part.length;
    },
  );
  return { form, sha256: hash.digest('hex'), bytes };
}

function formOf(
  state: State,
  name: string,
  add: (name: string, leaf: StateLeaf) => void,
): StateForm {
  if (state === undefined) return null;
  if (isLeaf(state)) {
    add(name, state);
    return name;
  }
  const below = (key: string | number) => (name === '' ? `${key}` : `${name}.${key}`);
  if (isList(state)) return state.map((part, i) => formOf(part, below(i), add));
  return Object.fromEntries(
    Object.entries(state).map(([key, part]) => [key, formOf(part, below(key), add)]),
  );
}

function describe(leaf: StateLeaf): Omit<ArrayShape, 'name'> {
  if (leaf instanceof Float64Array) return { dtype: 'F64', shape: [leaf.length] };
  if (typeof leaf === 'number') return { dtype: 'F64', shape: [] };
  if (leaf?.dtype !== 'float32') throw new Error(`a state with a tensor of ${leaf?.dtype}`);
  return { dtype: 'F32', shape: leaf.shape };
}

async function valuesOf(leaf: StateLeaf): Promise<Float32Array | Float64Array> {
  if (leaf instanceof Float64Array) return leaf;
  if (isTensor(leaf)) return (await leaf.data()) as Float32Array;
  return Float64Array.of(leaf as number);
}

/**
 * Reads what `writeState` wrote.
 * @returns a state with new tensors
 * @throws Error (message without the path) when the file lacks an array of the form
 */
export function readState(path: string, form: StateForm): State {
  const arrays = readArrays(path);
  const made: tf.Tensor[] = [];
  const rebuilt = (part: StateForm): State => {
    if (part === null) return undefined;
    if (typeof part === 'string') {
      const leaf = leafOf(arrays.get(part), part);
      if (isTensor(leaf)) made.push(leaf);
      return leaf;
    }
    if (isList(part)) return part.map(rebuilt);
    return Object.fromEntries(Object.entries(part).map(([key, inner]) => [key, rebuilt(inner)]));
  };
  try {
    return rebuilt(form);
  } catch (error) {
    tf.dispose(made);
    throw error;
  }
}

function leafOf(array: NamedArray | undefined, name: string): StateLeaf {
  if (array === undefined) throw new Error(`it has no array ${name}`);
  const { dtype, shape, values } = array;
  if (dtype === 'F32') return tf.tensor(values as Float32Array, [...shape], 'float32');
  return shape.length === 0 ? values[0] : (values as Float64Array);
}

/** `Array.isArray` does not narrow to read-only arrays. */
function isList<T>(value: T | readonly T[] | object): value is readonly T[] {
  return Array.isArray(value);
}
