import { leavesOf, type Setting } from '../../runs/settings.js';

/** Parts of run.json that are no provenance: results, and when they were made. */
const others = ['runs', 'startedAt', 'endedAt', 'experiment'];

/** The values of run.json that say what made the results, by path: `git.commit`, `backend.name`. */
export function provenanceOf(json: unknown): ReadonlyMap<string, Setting> {
  const parts = Object.entries(json ?? {}).filter(([name]) => !others.includes(name));
  return leavesOf(Object.fromEntries(parts));
}
