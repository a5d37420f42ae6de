import { basename, dirname, resolve } from 'node:path';
import type { Run } from '../runs/run-directory.js';

/** The seeds of one method in one run directory, under a name that is unique in the figure. */
export interface Series {
  readonly name: string;
  readonly runs: readonly Run[];
}

/**
 * Groups runs by directory and label, in their order. A label that occurs in several directories is
 * prefixed by the experiment's name, or where those agree too, by what tells the directories apart.
 */
export function groupRuns(runs: readonly Run[]): Series[] {
  const groups = new Map<string, Run[]>();
  for (const run of runs) {
    const key = JSON.stringify([run.directory, run.label]);
    const group = groups.get(key);
    if (group) group.push(run);
    else groups.set(key, [run]);
  }
  const series = [...groups.values()];
  return series.map((runs) => {
    const [first] = runs;
    const rivals = series.map(([other]) => other).filter(({ label }) => label === first.label);
    return {
      name: rivals.length > 1 ? `${prefix(first, rivals)}/${first.label}` : first.label,
      runs,
    };
  });
}

function prefix(run: Run, rivals: readonly Run[]): string {
  const unique = (name: (run: Run) => string) =>
    rivals.filter((rival) => name(rival) === name(run)).length === 1;
  const folder = ({ directory }: Run) => basename(resolve(directory));
  const parent = ({ directory }: Run) => basename(dirname(resolve(directory)));
  const candidates = [
    ({ experiment }: Run) => experiment,
    folder,
    (run: Run) => `${parent(run)}/${folder(run)}`,
  ];
  return (candidates.find(unique) ?? ((run) => run.directory))(run);
}
