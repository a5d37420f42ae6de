import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../../files/atomic.js';
import { readText } from '../../files/read.js';
import { programInfo } from '../../shared/provenance.js';
import { installationFolder } from '../packages.js';
import { backendNames, backends } from '../registry.js';
import { probeBackend, type Trial } from './probe.js';
import type { CheckResult, InstalledPackages } from './recipe.js';
import { recipes } from './recipes.js';
import { folderBytes } from './space.js';

/** A registered backend, and the result of starting it. */
export interface ListedBackend {
  readonly name: string;
  readonly summary: string;
  readonly trial: Trial;
}

/** An existing private installation. */
export interface ListedInstallation {
  readonly name: string;
  readonly folder: string;
  readonly bytes: number;
  /** When, how and from what it was installed; absent when its record cannot be read. */
  readonly made?: string;
}

/**
 * Starts every backend in a process of its own, two at a time.
 * @throws Interrupted
 */
export async function listBackends(signal: AbortSignal): Promise<ListedBackend[]> {
  const listed = new Map<string, ListedBackend>();
  const waiting = [...backendNames];
  const worker = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const trial = await probeBackend(name, signal);
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

/** Content of installation.json: what was installed, how, and the result of its check. */
interface InstallationRecord extends InstalledPackages {
  readonly name: string;
  /** Title of the method. */
  readonly way: string;
  readonly check: string;
  readonly node: string;
  readonly platform: string;
  readonly program: string;
  /** ISO 8601, UTC. */
  readonly installedAt: string;
}

const fileName = 'installation.json';

/** @throws DiskError */
export function writeInstallationRecord(
  folder: string,
  name: string,
  way: string,
  packages: InstalledPackages,
  checked: CheckResult,
): void {
  const { name: program, version } = programInfo();
  const record: InstallationRecord = {
    name,
    way,
    ...packages,
    check: checked.text,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    program: `${program} ${version}`,
    installedAt: new Date().toISOString(),
  };
  writeFileAtomic(join(folder, fileName), `${JSON.stringify(record, null, 2)}\n`);
}

/** @returns undefined when there is none, or it cannot be read */
function readInstallationRecord(folder: string): InstallationRecord | undefined {
  try {
    const record = JSON.parse(readText(join(folder, fileName)));
    return typeof record?.installedAt === 'string' ? record : undefined;
  } catch {
    return undefined;
  }
}
