import type { ConfigIssue } from './issues.js';
import type { Block, Tree } from './tree.js';

/** Longer lists are taken for a mistyped range. */
const maxSeeds = 10_000;

/**
 * The seeds in `3`, `1-5` or `1,3-5`, in the order in which they are written.
 * @returns an error message when the text is not of this form
 */
export function readSeeds(text: string): readonly number[] | string {
  const seeds: number[] = [];
  for (const part of text.split(',')) {
    const match = /^\s*([1-9]\d*)(?:\s*-\s*([1-9]\d*))?\s*$/.exec(part);
    if (match === null) {
      return `expected positive integers and ranges, as in 1-5 or 1,3-5, got "${part.trim().slice(0, 40)}"`;
    }
    const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])];
    if (last < first) return `the range ${part.trim()} ends before it begins`;
    if (seeds.length + last - first >= maxSeeds) {
      return `"${text.slice(0, 40)}" has more than ${maxSeeds} seeds`;
    }
    for (let seed = first; seed <= last; seed++) seeds.push(seed);
  }
  return seeds;
}

/** Text that looks like ranges of seeds; other text is left to the schema. */
const isRange = (node: Tree): node is Tree & { kind: 'scalar'; value: string } =>
  node.kind === 'scalar' &&
  typeof node.value === 'string' &&
  /^[\d\s,-]*[,-][\d\s,-]*$/.test(node.value);

/**
 * Expands the ranges in `seeds: 1-5`, `seeds: 1,3-5` and `seeds: [1, 3-5]`.
 * @returns the invalid ones
 */
export function expandSeeds(root: Block): ConfigIssue[] {
  const entry = root.entries.get('seeds');
  if (entry === undefined) return [];
  const node = entry.value;
  const items = node.kind === 'list' ? node.items : [node];
  if (!items.some(isRange)) return [];
  const issues: ConfigIssue[] = [];
  const expanded = items.flatMap((item, i): Tree[] => {
    if (!isRange(item)) return [item];
    const seeds = readSeeds(item.value);
    if (typeof seeds !== 'string') return seeds.map((value) => ({ ...item, value }));
    const path = node.kind === 'list' ? ['seeds', i] : ['seeds'];
    issues.push({ path, message: seeds, place: item.place });
    return [item];
  });
  if (issues.length === 0) {
    const value: Tree = { kind: 'list', place: node.place, items: expanded };
    root.entries.set('seeds', { ...entry, value });
  }
  return issues;
}
