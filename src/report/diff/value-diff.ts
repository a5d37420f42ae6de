import type { Setting } from '../../runs/settings.js';

/** One value that is not the same on both sides; undefined where a side has none. */
export interface ValueDifference {
  readonly name: string;
  readonly a?: Setting;
  readonly b?: Setting;
}

/** What differs between two maps, in the order of the first, then of the second. */
export function diffValues(
  a: ReadonlyMap<string, Setting>,
  b: ReadonlyMap<string, Setting>,
): ValueDifference[] {
  return [...new Set([...a.keys(), ...b.keys()])]
    .map((name) => ({ name, a: a.get(name), b: b.get(name) }))
    .filter(({ a, b }) => a !== b);
}
