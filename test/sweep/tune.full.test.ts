import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { expect, it } from 'vitest';
import { fln, workplace } from '../cli/fln.js';
import { tinyConfig } from '../experiment/tiny.js';

/** tuning.csv without times. */
function record(cwd: string, out: string): Record<string, string>[] {
  const rows: Record<string, string>[] = parse(readFileSync(join(cwd, out, 'tuning.csv')), {
    columns: true,
  });
  return rows.map(({ seconds: _, ...row }) => row);
}

it('killed at any moment, a tuning with halving resumes to the same record; its result can be trained', async () => {
  const cwd = workplace(`${tinyConfig}backend: wasm\n`);
  const tune = (out: string, ...more: string[]) => {
    const args = ['tune', 'tiny.yaml', '--trials', '2', '--halving', '2', '--out', out, ...more];
    return [...args, '--checkpoint-every', '1'];
  };
  const whole = await fln(tune('whole', '--only', 'sgd'), { cwd });
  expect(whole.code, whole.stderr).toBe(0);
  const killed = await fln(tune('parts'), {
    cwd,
    onStderr: (text, signal) => {
      // Between the two trials of the second method.
      if (/parts\/sgd\n[\s\S]*\[1\//.test(text)) signal('SIGKILL');
    },
  });
  expect(killed.code).toBeNull();
  const again = await fln(tune('parts'), { cwd });
  expect(again.code).toBe(2);
  expect(again.stderr).toContain('already contains trials of this tuning. Add --resume');
  const resumed = await fln(tune('parts', '--resume'), { cwd });
  expect(resumed.code, resumed.stderr).toBe(0);
  expect(resumed.stdout).toMatch(/^adam +2 +12 +[\d.]+ s +\d +\d+\.\d+ %$/m);
  const rows = record(cwd, 'parts');
  const sgd = rows.filter(({ method }) => method === 'sgd');
  expect(sgd).toMatchObject(record(cwd, 'whole'));
  for (const method of ['adam', 'sgd']) {
    const batches = rows.filter((row) => row.method === method).map((row) => row.batches);
    expect(batches.toSorted()).toEqual(['4', '8']);
  }

  const run = await fln(['run', 'parts/tuned.yaml', '--out', 'run', '--progress', 'none'], { cwd });
  expect(run.code).toBe(0);
  const compared = await fln(['compare', 'run', '--csv'], { cwd });
  expect(parse(compared.stdout, { columns: true })).toMatchObject([
    { method: 'adam', tuning_trials: '2', tuning_batches: '12' },
    { method: 'sgd', tuning_trials: '2', tuning_batches: '12' },
  ]);
});
