/** Keys and list positions from the root of a config, e.g. ['methods', 0, 'learningRate']. */
export type Path = readonly (string | number)[];

/** Where a key or a value was written. */
export type Place =
  | FilePlace
  | {
      readonly from: 'command line';
      readonly override: string;
      /** For an override of a sweep, which is not text. */
      readonly setting?: Setting;
    };

/** Lines and columns count from 1. */
export interface FilePlace {
  readonly from: 'file';
  readonly line: number;
  readonly column: number;
  readonly length: number;
}

/** A value to write at a path of a config, as in an override: `methods.adam.learningRate`. */
export interface Setting {
  readonly path: string;
  readonly value: unknown;
}

/**
 * A config as it was written: plain values, each with its place. The file is parsed into this form,
 * overrides are applied to it, and the places of errors and origins come from it.
 */
export type Tree = Scalar | List | Block;

export interface Scalar {
  readonly kind: 'scalar';
  readonly place: Place;
  readonly value: string | number | boolean | null;
}

export interface List {
  readonly kind: 'list';
  readonly place: Place;
  readonly items: Tree[];
}

export interface Block {
  readonly kind: 'block';
  readonly place: Place;
  readonly entries: Map<string, Entry>;
}

export interface Entry {
  readonly key: Place;
  readonly value: Tree;
}

/** The values without places. All keys of blocks become own properties of objects, `__proto__` too. */
export function plain(tree: Tree): unknown {
  switch (tree.kind) {
    case 'scalar':
      return tree.value;
    case 'list':
      return tree.items.map(plain);
    case 'block':
      return Object.fromEntries([...tree.entries].map(([key, { value }]) => [key, plain(value)]));
  }
}

/** Plain data as a tree in which everything has the same place. */
export function treeOf(value: unknown, place: Place): Tree {
  if (Array.isArray(value)) {
    return { kind: 'list', place, items: value.map((item) => treeOf(item, place)) };
  }
  if (typeof value !== 'object' || value === null) {
    return { kind: 'scalar', place, value: value as Scalar['value'] };
  }
  const entries = Object.entries(value).map(
    ([key, inner]) => [key, { key: place, value: treeOf(inner, place) }] as const,
  );
  return { kind: 'block', place, entries: new Map(entries) };
}

/** The node at `path`, and the place of its key where it has one; undefined when there is none. */
export function find(root: Tree, path: Path): { node: Tree; key?: Place } | undefined {
  let node = root;
  let key: Place | undefined;
  for (const step of path) {
    if (node.kind === 'block') {
      const entry = node.entries.get(String(step));
      if (!entry) return undefined;
      node = entry.value;
      key = entry.key;
    } else if (node.kind === 'list' && typeof step === 'number' && step < node.items.length) {
      node = node.items[step];
      key = undefined;
    } else {
      return undefined;
    }
  }
  return { node, key };
}

/**
 * The place that an error about `path` points at: that of the value, of its key when the value is empty,
 * or of the closest block around it when it is absent.
 */
export function placeOf(root: Tree, path: Path): Place {
  const found = find(root, path);
  if (found) {
    const empty = found.node.kind === 'scalar' && found.node.value === null;
    return empty && found.key ? found.key : found.node.place;
  }
  for (let end = path.length - 1; end > 0; end--) {
    const around = find(root, path.slice(0, end));
    if (around) return around.key ?? around.node.place;
  }
  return root.place;
}

/** As users write it in overrides: `methods.0.learningRate`. */
export function pathText(path: Path): string {
  return path.join('.');
}
