import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { expect, it } from 'vitest';
import { fln, workplace } from '../cli/fln.js';

const config = `
name: twice
dataset: { name: synthetic-digits, limit: 600, testLimit: 200 }
network: { layers: [ { dense: 30, activation: relu }, { dense: 20, activation: sigmoid }, { dense: 10 } ] }
epochs: 2
batchSize: 100
seeds: [1, 2]
evaluate: { every: 4 }
methods:
  - { name: fenchel }
  - { name: fenchel, label: fenchel-exact, solver: exact, preset: paper, gamma: [10, 10, 100] }
  - { name: adam }
  - { name: sgd, momentum: 0.9 }
`;

const timeColumns = ['wall_s', 'step_ms'];

/** The file with its time columns emptied: every other byte counts. */
function withoutTimes(path: string): string {
  const text = readFileSync(path, 'utf8');
  const [header, ...rows] = parse(text) as string[][];
  const timed = timeColumns.map((name) => header.indexOf(name));
  expect(timed).not.toContain(-1);
  for (const row of rows) {
    for (const column of timed) {
      expect(Number(row[column])).toBeGreaterThanOrEqual(0);
      row[column] = '';
    }
  }
  return [header, ...rows].map((row) => row.join(',')).join('\n');
}

it('writes the same CSV bytes twice, times apart, in every method and seed', async () => {
  const cwd = workplace(config);
  for (const out of ['first', 'second']) {
    const { code, stderr } = await fln(['run', 'tiny.yaml', '--out', out], { cwd });
    expect(stderr).not.toContain('failed');
    expect(code).toBe(0);
  }
  for (const label of ['fenchel', 'fenchel-exact', 'adam', 'sgd']) {
    const files = [1, 2].map((seed) => {
      const [first, second] = ['first', 'second'].map((out) =>
        withoutTimes(join(cwd, out, `${label}-s${seed}`, 'metrics.csv')),
      );
      expect(second).toBe(first);
      return first;
    });
    // Not the same because nothing depends on the seed.
    expect(files[0].split('\n')).toHaveLength(13);
    expect(files[1].replaceAll(',2,', ',1,')).not.toBe(files[0]);
  }
});
