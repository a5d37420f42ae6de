import type { Setting } from '../settings.js';

/** Parts of run.json that are no provenance: results, and when they were made. */
const others = new Set(['runs', 'startedAt', 'endedAt', 'experiment']);

/** The leaves of run.json that say what made the results, by path: `git.commit`, `backend.name`. */
export function provenanceOf(json: unknown): ReadonlyMap<string, Setting> {
  const leaves = new Map<string, Setting>();
  const collect = (value: unknown, path: readonly string[]) => {
    if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) {
        if (path.length > 0 || !others.has(key)) collect(item, [...path, key]);
      }
    } else if (path.length > 0) {
      leaves.set(path.join('.'), value as Setting);
    }
  };
  collect(json, []);
  return leaves;
}
