import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Experiment } from '../../src/config/experiment.js';
import { parseExperiment } from '../../src/config/load.js';
import { FlnError } from '../../src/errors.js';

export { untimed } from '../../scripts/robustness/inspect.js';

/** An experiment of a second or two: 2 methods, 8 batches. */
export const tinyConfig = `
name: tiny
dataset: { name: synthetic-digits, limit: 200, testLimit: 100 }
network: { layers: [ { dense: 12, activation: relu }, { dense: 10 } ] }
epochs: 2
batchSize: 50
seeds: [1]
evaluate: { every: 3 }
methods:
  - { name: adam, learningRate: 0.01 }
  - { name: sgd, momentum: 0.9 }
`;

export function tinyExperiment(...overrides: string[]): Experiment {
  return parseExperiment(tinyConfig, 'tiny.yaml', overrides).experiment;
}

/** A folder that is removed when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fln-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Every path below a folder, with the size and the time of the last change. */
export function tree(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  return ['', ...names].map((name) => {
    const { size, mtimeMs } = lstatSync(join(folder, name));
    return `${name} ${size} ${mtimeMs}`;
  });
}

/** Writes a file, and makes the folders above it. */
export function put(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** What a user is told, with the exit code, or `no error`. */
export const outcomeOf = (attempt: Promise<unknown>) =>
  attempt.then(
    () => 'no error',
    (error) => {
      if (!(error instanceof FlnError)) throw error;
      return { exitCode: error.exitCode, message: error.message };
    },
  );
