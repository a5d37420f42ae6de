import { existsSync } from 'node:fs';
import { installationFolder } from '../packages.js';
import { backendNames, backends } from '../registry.js';
import { recipes } from './recipes.js';
import { readInstallationRecord } from './record.js';
import { folderBytes } from './space.js';
import { tryBackend } from './trial.js';
import type { Trial } from './trial-outcome.js';

/** A registered backend, and what it did when it was tried. */
export interface ListedBackend {
  readonly name: string;
  readonly summary: string;
  readonly trial: Trial;
}

/** A private installation that is there. */
export interface ListedInstallation {
  readonly name: string;
  readonly folder: string;
  readonly bytes: number;
  /** When, how and with what it was made; absent when its record cannot be read. */
  readonly made?: string;
}

/**
 * Tries every backend in a process of its own, two at a time.
 * @throws Interrupted
 */
export async function listBackends(signal: AbortSignal): Promise<ListedBackend[]> {
  const listed = new Map<string, ListedBackend>();
  const waiting = [...backendNames];
  const worker = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const trial = await tryBackend(name, signal);
      listed.set(name, { name, summary: backends[name].summary, trial });
    }
  };
  await Promise.all([worker(), worker()]);
  return backendNames.flatMap((name) => listed.get(name) ?? []);
}

export async function listInstallations(): Promise<ListedInstallation[]> {
  const present = recipes
    .map(({ name }) => ({ name, folder: installationFolder(name) ?? '' }))
    .filter(({ folder }) => existsSync(folder));
  return Promise.all(
    present.map(async ({ name, folder }) => {
      const record = readInstallationRecord(folder);
      const parts = [
        ...(record?.npm ?? []),
        ...(record?.wheels ?? []).slice(0, 1).map(nameVersion),
      ];
      const made =
        record && `${record.installedAt.slice(0, 10)} (UTC), by ${record.way}: ${parts.join(', ')}`;
      return { name, folder, bytes: await folderBytes(folder), made };
    }),
  );
}

const nameVersion = ({ name, version }: { name: string; version: string }) => `${name} ${version}`;
