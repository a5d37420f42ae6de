import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseExperiment } from '../../src/config/load.js';
import { type ExperimentOptions, runExperiment } from '../../src/experiment/run.js';
import { layerColumns } from '../../src/runs/layers.js';
import { loadRunDirectory } from '../../src/runs/run-directory.js';
import { outcomeOf, temporaryFolder, untimed } from './tiny.js';

const { experiment } = parseExperiment(
  `
name: layers
dataset: { name: synthetic-digits, limit: 100, testLimit: 50 }
network: { layers: [ { dense: 6, activation: relu }, { dense: 10 } ] }
loss: mse
epochs: 4
batchSize: 50
seeds: [1]
evaluate: { every: 3 }
methods:
  - { name: fenchel }
  - { name: adam, learningRate: 0.01 }
`,
  'layers.yaml',
  [],
);

const csv = (directory: string, name = 'layers.csv') => join(directory, 'fenchel-s1', name);

/** Stops the run of Fenchel after batch 5, which has no row of layers.csv. */
async function interrupted(outDir: string): Promise<void> {
  const controller = new AbortController();
  const options: ExperimentOptions = { outDir, only: ['fenchel'], signal: controller.signal };
  await runExperiment(experiment, options, (event) => {
    if (event.type === 'batch' && event.batch === 5) controller.abort();
  });
}

describe('layers.csv', () => {
  it('has a row per evaluated batch and layer for lifted methods, the same bytes when resumed', async () => {
    const [whole, parts] = [temporaryFolder(), temporaryFolder()];
    await runExperiment(experiment, { outDir: whole });
    await interrupted(parts);
    // Rows after the checkpoint, and a part of one, as a killed process leaves them.
    appendFileSync(csv(parts), 'fenchel,1,6,3,1,1,1,,1,1,1,1\nfenchel,1,6,3,2,');
    await runExperiment(experiment, { outDir: parts, only: ['fenchel'], resume: true });

    const text = readFileSync(csv(whole), 'utf8');
    expect(readFileSync(csv(parts), 'utf8')).toBe(text);
    const metrics = 'metrics.csv';
    expect(untimed(csv(parts, metrics))).toBe(untimed(csv(whole, metrics)));
    const [header, ...rows] = text.trimEnd().split('\n');
    expect(header).toBe(layerColumns.join());
    const places = [1, 3, 6, 8].flatMap((batch) =>
      [1, 2].map((layer) => `fenchel,1,${batch},${Math.ceil(batch / 2)},${layer}`),
    );
    expect(rows.map((row) => row.split(',').slice(0, 5).join())).toEqual(places);
    expect(existsSync(join(whole, 'adam-s1', 'layers.csv'))).toBe(false);

    const { runs, problems } = loadRunDirectory(whole);
    expect(problems).toEqual([]);
    expect(runs.find(({ label }) => label === 'adam')?.layers).toBeUndefined();
    const { layers } = runs.find(({ label }) => label === 'fenchel')!;
    expect([...layers!.columns.layer]).toEqual([1, 2, 1, 2, 1, 2, 1, 2]);
    expect(layers!.columns.penalty[0]).toBeGreaterThan(0);
    expect(layers!.columns.penalty[1]).toBeNaN();
    expect(loadRunDirectory(whole, 'last row').runs[0].layers).toBeUndefined();
  });

  it('that was changed or lost is not resumed after, and a cut one is read up to there', async () => {
    const outDir = temporaryFolder();
    await interrupted(outDir);
    const path = csv(outDir);
    const text = readFileSync(path, 'utf8');
    const resume = () =>
      outcomeOf(runExperiment(experiment, { outDir, only: ['fenchel'], resume: true }));
    writeFileSync(path, text.replace(',1,1,1,1,', ',1,1,1,1,9'));
    expect(await resume()).toMatchObject({
      exitCode: 1,
      message: expect.stringContaining(`${path} was changed or damaged since the run was`),
    });
    rmSync(path);
    expect(await resume()).toMatchObject({
      exitCode: 1,
      message: expect.stringContaining('it is missing'),
    });
    writeFileSync(path, text.slice(0, -4));
    const cut = loadRunDirectory(outDir);
    expect(cut.problems.map(({ message }) => message).join()).toContain('incomplete');
    expect(cut.runs[0].layers?.rows).toBe(3);
    writeFileSync(path, text.replace('\nfenchel,1,1,1,2', '\nfenchel,1,1,1,1'));
    const damaged = loadRunDirectory(outDir);
    expect(damaged.problems[0].message).toBe(`${path}:3: layer is "1"; layers count up from 1`);
    expect(damaged.runs[0].layers).toBeUndefined();
    expect(damaged.runs[0].metrics.rows).toBe(5);
    writeFileSync(path, text);
    expect(await resume()).toBe('no error');
  });
});
