import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { refuseSymlinks } from '../files/folder.js';

/** The files of a sweep directory. */
export const sweepPaths = (directory: string) => ({
  manifest: join(directory, 'sweep.json'),
  file: join(directory, 'sweep.yaml'),
  lock: join(directory, 'lock'),
  history: join(directory, 'history.ndjson'),
  /** The resolved experiment of a trial. */
  config: (id: string) => join(directory, 'configs', `${id}.yaml`),
  /** Its run directory. */
  trial: (id: string) => join(directory, 'trials', id),
  state: (id: string) => join(directory, 'states', `${id}.json`),
  trialLock: (id: string) => join(directory, 'states', `${id}.lock`),
  /** Output of its processes. */
  log: (id: string) => join(directory, 'logs', `${id}.log`),
  slurm: join(directory, 'slurm'),
});

export const isSweepDirectory = (directory: string): boolean =>
  existsSync(sweepPaths(directory).manifest);

/** The folders of a sweep directory, except that of the Slurm launcher. */
export const sweepFolders = (directory: string): string[] =>
  ['configs', 'trials', 'states', 'logs'].map((name) => join(directory, name));

/**
 * Refuses symbolic links, through which a sweep would write outside of its directory.
 * @param ids trials whose logs will be written
 * @throws UsageError
 */
export function refuseLinksIn(directory: string, ids: readonly string[]): void {
  const { history, slurm, log } = sweepPaths(directory);
  refuseSymlinks([...sweepFolders(directory), slurm, history, ...ids.map(log)]);
}
