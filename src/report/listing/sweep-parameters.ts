import { dirname, join } from 'node:path';
import { readText } from '../../files/read.js';
import type { ListedRun } from './listed-run.js';

/** Settings that vary between runs which are all trials of one sweep; none for other runs. */
export function sweepParameters(runs: readonly ListedRun[]): string[] {
  const sweeps = new Set(runs.map(({ directory }) => dirname(dirname(directory.path))));
  if (sweeps.size !== 1) return [];
  const [sweep] = sweeps;
  try {
    const { parameters } = JSON.parse(readText(join(sweep, 'sweep.json')));
    return parameters.filter((path: unknown) => typeof path === 'string').map(shortName);
  } catch {
    // No sweep, or one whose manifest is damaged: its runs are listed all the same.
    return [];
  }
}

/** `learningRate` for `methods.adam.learningRate`: each run has its own. */
const shortName = (path: string) => path.replace(/^methods\.[^.]+\.(?=[^.]+$)/, '');
