import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tinyExperiments } from './experiments.js';
import { untimed } from './inspect.js';
import { fln } from './program.js';

/** Printed when training begins. */
export const trains = 'Results:';

/** An uninterrupted run of one method. */
export interface Reference {
  readonly label: string;
  /** Without its run directory. */
  readonly command: readonly string[];
  /** metrics.csv without its time columns, then layers.csv where there is one. */
  readonly metrics: string;
  /** Of the whole process, and from the first line on that the training prints. */
  readonly ms: number;
  readonly trainingMs: number;
}

/** Trains every method of the registry once. @param folder where the configs are left */
export async function uninterrupted(folder: string): Promise<Reference[]> {
  const references: Reference[] = [];
  for (const [i, { config, labels }] of tinyExperiments().entries()) {
    const path = join(folder, `${i}.yaml`);
    writeFileSync(path, config);
    for (const label of labels) {
      const out = join(folder, `reference-${label}`);
      const command = ['run', path, '--only', label, '--progress', 'text'];
      const outcome = await fln([...command, '--out', out], folder, { watch: trains });
      const { code, stderr, ms, seenMs } = outcome;
      if (code !== 0) throw new Error(`the uninterrupted run of ${label} failed:\n${stderr}`);
      const metrics = numbersOf(out, label);
      references.push({ label, command, ms, trainingMs: ms - seenMs, metrics });
      rmSync(out, { recursive: true });
    }
  }
  return references;
}

const csvOf = (out: string, label: string, name: string): string => join(out, `${label}-s1`, name);

/** {@link Reference.metrics} of a run. */
export function numbersOf(out: string, label: string): string {
  const layers = csvOf(out, label, 'layers.csv');
  const rest = existsSync(layers) ? readFileSync(layers, 'utf8') : '';
  return untimed(csvOf(out, label, 'metrics.csv')) + rest;
}
