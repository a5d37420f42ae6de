import type { MethodResolution } from './methods.js';
import { find, type Path, pathText, type Tree } from './tree.js';

/**
 * Where each value of a resolved config comes from, by dotted path. A list of plain values counts
 * as one value.
 */
export function traceOrigins(
  resolved: Readonly<Record<string, unknown>>,
  written: Tree,
  file: string,
  methods: readonly Pick<MethodResolution, 'fallback'>[],
): Record<string, string> {
  const origins: [string, string][] = leaves(resolved, []).map((path) => {
    const found = find(written, path);
    if (found) return [pathText(path), placesOf(found.node, file)];
    const [root, index, field] = path;
    const isMethod = root === 'methods' && typeof index === 'number';
    return [pathText(path), isMethod ? methods[index].fallback(String(field)) : 'default'];
  });
  return Object.fromEntries(origins);
}

/** Paths of the values, in order. */
function leaves(value: unknown, path: Path): Path[] {
  if (Array.isArray(value)) {
    const isPlain = value.every((item) => typeof item !== 'object');
    return isPlain ? [path] : value.flatMap((item, i) => leaves(item, [...path, i]));
  }
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]));
}

/** `file:line`, `command line`, or both for a list that was overridden in part. */
function placesOf(node: Tree, file: string): string {
  const own = node.place.from === 'file' ? `${file}:${node.place.line}` : 'command line';
  if (node.kind !== 'list') return own;
  const overridden = node.items.some(({ place }) => place.from === 'command line');
  return overridden && own !== 'command line' ? `${own}, command line` : own;
}
