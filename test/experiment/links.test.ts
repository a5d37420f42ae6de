import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { UsageError } from '../../src/errors.js';
import { runExperiment } from '../../src/experiment/run.js';
import { temporaryFolder, tinyExperiment } from './tiny.js';

const experiment = tinyExperiment('backend=wasm', 'epochs=1');

/** A run directory that Adam was trained in. */
async function trained(): Promise<string> {
  const outDir = temporaryFolder();
  await runExperiment(experiment, { outDir, only: ['adam'] });
  return outDir;
}

it.each(['sgd-s1', 'sgd-s1/metrics.csv', 'sgd-s1/checkpoints'])(
  'a run directory in which %s is a link is refused, and nothing is written through it',
  async (name) => {
    const outDir = await trained();
    const elsewhere = temporaryFolder();
    const target = name.endsWith('csv') ? join(elsewhere, 'precious') : elsewhere;
    if (name.endsWith('csv')) writeFileSync(target, 'precious');
    mkdirSync(join(outDir, name, '..'), { recursive: true });
    symlinkSync(target, join(outDir, name));
    const before = readdirSync(elsewhere);
    const options = { outDir, only: ['sgd'], overwrite: true };
    await expect(runExperiment(experiment, options)).rejects.toThrow(UsageError);
    await expect(runExperiment(experiment, options)).rejects.toThrow(
      / is a symbolic link: writing to it would change something outside of the directory/,
    );
    expect(readdirSync(elsewhere)).toEqual(before);
    if (name.endsWith('csv')) expect(readFileSync(target, 'utf8')).toBe('precious');
  },
);

it('files that are links are replaced, not written through', async () => {
  const outDir = await trained();
  const elsewhere = join(temporaryFolder(), 'precious');
  writeFileSync(elsewhere, 'precious');
  for (const name of ['config.yaml', 'figure.svg', 'report.html', 'summary.csv']) {
    rmSync(join(outDir, name), { force: true });
    symlinkSync(elsewhere, join(outDir, name));
  }
  const { status } = await runExperiment(experiment, { outDir, only: ['sgd'], overwrite: true });
  expect(status).toBe('completed');
  expect(readFileSync(elsewhere, 'utf8')).toBe('precious');
});
