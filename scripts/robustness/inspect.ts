import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { readCheckpoint } from '../../src/experiment/checkpoint/checkpoint.js';
import { Checkpoints } from '../../src/experiment/checkpoint/checkpoints.js';
import { layersFile } from '../../src/runs/layers.js';
import { clockColumns, readMetrics } from '../../src/runs/metrics.js';

/**
 * Reads every file of a run directory the way the program does.
 * @returns what is wrong with those that cannot be read; half-written ones have names of their own
 */
export function unreadable(directory: string): string[] {
  const problems: string[] = [];
  const attempt = (path: string, read: () => unknown) => {
    try {
      read();
    } catch (error) {
      problems.push(`${path}: ${(error as Error).message}`);
    }
  };
  if (!existsSync(directory)) return [];
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((file) => !file.includes('.tmp'))
    .map((file) => join(directory, file));
  for (const path of files) {
    const text = () => readFileSync(path, 'utf8');
    if (path.endsWith('.json')) attempt(path, () => JSON.parse(text()));
    else if (path.endsWith('.yaml')) attempt(path, () => parse(text()));
    else if (path.endsWith('metrics.csv')) attempt(path, () => readMetrics(path));
    else if (path.endsWith('layers.csv')) attempt(path, () => readMetrics(path, layersFile));
    else if (/batch-\d+$/.test(path)) attempt(path, () => readCheckpoint(path));
    else if (path.endsWith('.svg')) {
      attempt(path, () => {
        if (!text().trimEnd().endsWith('</svg>')) throw new Error('it is cut off');
      });
    } else if (path.endsWith('.html')) {
      attempt(path, () => {
        if (!text().trimEnd().endsWith('</html>')) throw new Error('it is cut off');
      });
    }
  }
  return problems;
}

/** Batches done at the last checkpoint of a run; 0 without any. */
export function lastCheckpoint(directory: string, label: string, seed = 1): number {
  return new Checkpoints(join(directory, `${label}-s${seed}`)).list()[0]?.batch ?? 0;
}

/** A metrics.csv without its time columns, which no two runs share. */
export function untimed(path: string): string {
  const lines = readFileSync(path, 'utf8').split('\n');
  const names = lines[0].split(',');
  const timed = clockColumns.map((name) => names.indexOf(name));
  return lines
    .map((line) =>
      line
        .split(',')
        .filter((_, column) => !timed.includes(column))
        .join(','),
    )
    .join('\n');
}
