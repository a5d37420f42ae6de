import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { comparisonTable, wordColumns } from '../../src/cli/render/comparison.js';
import { formatDiff } from '../../src/cli/render/diff.js';
import { takeLock } from '../../src/files/lock.js';
import { serveRuns } from '../../src/live/server.js';
import { commonColumns } from '../../src/runs/metrics.js';
import type { RunStatus } from '../../src/runs/run-json.js';

/** One row of a metrics.csv. */
export const row = (batch: number, accuracy: number | '' = 0.9, label = 'adam') =>
  `${[label, 1, batch, 1, batch / 10, 0.5, 0.8, accuracy === '' ? '' : 0.4, accuracy, '', '', 1].join(',')}\n`;
export const header = `${commonColumns.join(',')}\n`;

/** A run directory that this process pretends to train in. */
export class RunningDirectory {
  readonly #lock;

  constructor(
    readonly path: string,
    readonly labels: readonly string[] = ['adam'],
  ) {
    mkdirSync(path, { recursive: true });
    this.#lock = takeLock(join(path, 'lock'), () => new Error('held'));
    this.record(Object.fromEntries(labels.map((label) => [label, 'QUEUED'])));
  }

  file(label = this.labels[0]): string {
    return join(this.path, `${label}-s1`, 'metrics.csv');
  }

  start(label = this.labels[0], content = header): void {
    mkdirSync(join(this.path, `${label}-s1`), { recursive: true });
    writeFileSync(this.file(label), content);
  }

  append(text: string, label = this.labels[0]): void {
    appendFileSync(this.file(label), text);
  }

  record(status: Readonly<Record<string, RunStatus>>, error?: string, more: object = {}): void {
    const runs = this.labels.map((label) => ({
      label,
      seed: 1,
      status: status[label],
      startedAt: new Date(Date.now() - 10_000).toISOString(),
      totalBatches: 40,
      error: status[label] === 'FAILED' ? error : undefined,
    }));
    const network = { layers: '4-3', widths: [4, 3], activations: ['relu'] };
    const experiment = { name: 'running', hash: 'x', dataset: 'synthetic-digits', network };
    writeFileSync(join(this.path, 'run.json'), JSON.stringify({ experiment, runs, ...more }));
  }

  release(): void {
    this.#lock.release();
  }
}

/** `fln serve` in this process, until the test ends. */
export async function served(root: string): Promise<{ url: string; errors: unknown[] }> {
  const errors: unknown[] = [];
  const { close, url } = await serveRuns(root, {
    port: 0,
    texts: {
      comparison: ({ rows }) => comparisonTable(rows),
      words: wordColumns,
      diff: formatDiff,
    },
    onError: (error) => errors.push(error),
  });
  onTestFinished(close);
  return { url, errors };
}
