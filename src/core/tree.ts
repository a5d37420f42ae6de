import type { Tensor } from '@tensorflow/tfjs';

/** Tensors in arrays and plain objects, nested arbitrarily. */
export type Tree = Tensor | readonly Tree[] | { readonly [key: string]: Tree };

/**
 * The state of a method: a tree that may also hold float64 arrays on the host, and numbers; undefined is a
 * value that is not set yet. A checkpoint is exactly this tree.
 */
export type State =
  | Tensor
  | Float64Array
  | number
  | undefined
  | readonly State[]
  | { readonly [key: string]: State };

/** A part of a state that has no parts itself. */
export type StateLeaf = Tensor | Float64Array | number | undefined;

/** The tensors of a tree, in the order of its array entries and object keys. */
export function leavesOf(tree: Tree): Tensor[] {
  if (isTensor(tree)) return [tree];
  return Object.values(tree).flatMap(leavesOf);
}

/** A tree of the same form with other tensors, in the order of {@link leavesOf}. */
export function withLeaves<T extends Tree>(tree: T, leaves: readonly Tensor[]): T {
  const rest = leaves.values();
  const rebuilt = (node: Tree): Tree => {
    if (isTensor(node)) return rest.next().value as Tensor;
    if (Array.isArray(node)) return node.map(rebuilt);
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, rebuilt(value)]));
  };
  return rebuilt(tree) as T;
}

/** `combine` of every pair of tensors that have the same place in two trees of one form. */
export function zipTrees<T extends Tree>(a: T, b: T, combine: (a: Tensor, b: Tensor) => Tensor): T {
  const zipped = (x: Tree, y: Tree): Tree => {
    if (isTensor(x)) return combine(x, y as Tensor);
    if (Array.isArray(x)) return x.map((item, i) => zipped(item, (y as readonly Tree[])[i]));
    const other = y as { readonly [key: string]: Tree };
    return Object.fromEntries(
      Object.entries(x).map(([key, item]) => [key, zipped(item, other[key])]),
    );
  };
  return zipped(a, b) as T;
}

/** The tensors in arrays and plain objects, which may hold other values too. */
export function tensorsIn(value: unknown): Tensor[] {
  if (isTensor(value)) return [value];
  if (Array.isArray(value)) return value.flatMap(tensorsIn);
  const isPlain = typeof value === 'object' && value?.constructor === Object;
  return isPlain ? Object.values(value).flatMap(tensorsIn) : [];
}

/** @param kept tensors that are not disposed */
export function disposeTree(tree: unknown, kept: readonly Tensor[] = []): void {
  const living = new Set(kept);
  for (const tensor of tensorsIn(tree)) if (!living.has(tensor)) tensor.dispose();
}

export function isLeaf(state: State): state is StateLeaf {
  return typeof state !== 'object' || state instanceof Float64Array || isTensor(state);
}

/** By its fields: `instanceof` fails where two copies of the tensor library are loaded. */
export function isTensor(value: unknown): value is Tensor {
  return typeof value === 'object' && value !== null && 'dataId' in value && 'dtype' in value;
}
