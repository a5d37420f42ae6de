import type { Tensor } from '@tensorflow/tfjs';

/** Tensors in arrays and plain objects, nested at will. */
export type Tree = Tensor | readonly Tree[] | { readonly [key: string]: Tree };

/** The tensors of a tree, in a fixed order: entries of arrays, keys of objects as they come. */
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

export function disposeTree(tree: Tree): void {
  for (const leaf of leavesOf(tree)) leaf.dispose();
}

/** By its fields: the library's own class differs between two copies of it. */
export function isTensor(value: unknown): value is Tensor {
  return typeof value === 'object' && value !== null && 'dataId' in value && 'dtype' in value;
}
