import { join } from 'node:path';
import { writeFileAtomic } from '../../files/atomic.js';
import { readText } from '../../files/read.js';
import { programInfo } from '../../shared/provenance.js';
import type { Ingredients, Verdict } from './recipe.js';

/** Content of installation.json: what an installation is made of, how, and what it was seen to do. */
export interface InstallationRecord extends Ingredients {
  readonly name: string;
  /** Title of the way it was made. */
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
  ingredients: Ingredients,
  verdict: Verdict,
): void {
  const { name: program, version } = programInfo();
  const record: InstallationRecord = {
    name,
    way,
    ...ingredients,
    check: verdict.text,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    program: `${program} ${version}`,
    installedAt: new Date().toISOString(),
  };
  writeFileAtomic(join(folder, fileName), `${JSON.stringify(record, null, 2)}\n`);
}

/** @returns undefined when there is none, or none that can be read */
export function readInstallationRecord(folder: string): InstallationRecord | undefined {
  try {
    const record = JSON.parse(readText(join(folder, fileName)));
    return typeof record?.installedAt === 'string' ? record : undefined;
  } catch {
    return undefined;
  }
}
