import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { formatSweep } from '../../../src/cli/render/sweep.js';
import { loadSweep } from '../../../src/sweep/load.js';
import { writeSweepReport } from '../../../src/sweep/report/write-sweep-report.js';
import { sweepStatus } from '../../../src/sweep/status.js';
import { tinyConfig } from '../../experiment/tiny.js';
import { mutatedText } from '../mutate.js';
import { makeOdd, type OddFile, oddFile } from '../odd-file.js';
import { checkMessage, harmless, type Surface } from '../surface.js';
import { checkPrototypes, words } from './config.js';

const sweep = `name: s
config: tiny.yaml
set: { epochs: 1 }
parameters:
  methods.adam.learningRate: [0.01, 0.02]
  batchSize: { range: [25, 100], count: 2, integer: true }
zip:
  - { seeds.0: [1, 2], evaluate.every: [1, 2] }
metric: { method: adam, column: test_accuracy }
stopAfter: 3
slurm: { options: { partition: gpu }, setup: [module load cuda] }
`;
const random = `name: s
config: tiny.yaml
search: random
trials: 5
parameters: { methods.adam.learningRate: { range: [0.001, 1], scale: log } }
`;

/** Sweep files. */
export const sweepFiles: Surface<string> = {
  name: 'sweep files',
  cases: fc.oneof(
    {
      arbitrary: mutatedText(
        [sweep, random],
        [...words, 'range: [1, 0]', 'count: 10000', 'trials: 99999'],
      ),
      weight: 9,
    },
    { arbitrary: fc.string({ unit: 'binary', maxLength: 200 }), weight: 1 },
  ),
  run: async (text, folder) => {
    writeFileSync(join(folder, 'tiny.yaml'), tinyConfig);
    writeFileSync(join(folder, 'sweep.yaml'), text);
    await harmless(() => loadSweep(join(folder, 'sweep.yaml')));
    checkPrototypes();
  },
};

const id = '0123456789ab';
const manifest = JSON.stringify({
  version: 1,
  name: 's',
  config: 'tiny.yaml',
  search: 'grid',
  seed: 1,
  metric: { column: 'test_accuracy', goal: 'maximize' },
  parameters: ['methods.adam.learningRate', 'epochs'],
  trials: [
    {
      id,
      overrides: { 'methods.adam.learningRate': 0.1, epochs: 2 },
      addedAt: '2026',
      retired: false,
    },
    {
      id: 'ba9876543210',
      overrides: { 'methods.adam.learningRate': 0.2, epochs: 3 },
      addedAt: '2026',
    },
  ],
});
const state = JSON.stringify({
  id,
  status: 'COMPLETED',
  attempts: 1,
  results: [{ method: 'adam', seeds: 1, test_accuracy: 0.9, wall_s: 3 }],
});
const jsonWords = [
  '"__proto__":{"polluted":1},',
  'null',
  '[]',
  '{}',
  '-1',
  '1e308',
  '"../../x"',
  '\\u001b[2J',
  '"FAILED"',
  '"error":"<b>",',
];

interface Files {
  readonly manifest: string;
  readonly states: readonly string[];
  readonly odd: OddFile;
}

/** Sweep directories whose manifest or states are damaged. */
export const sweepDirectories: Surface<Files> = {
  name: 'sweep directories',
  cases: fc.record({
    manifest: fc.oneof(fc.constant(manifest), mutatedText([manifest], jsonWords)),
    odd: oddFile,
    states: fc.array(mutatedText([state], jsonWords), { minLength: 2, maxLength: 2 }),
  }),
  run: async ({ manifest, states, odd }, folder) => {
    const place = join(folder, 'sweep');
    rmSync(place, { recursive: true, force: true });
    mkdirSync(join(place, 'states'), { recursive: true });
    const files = ['sweep.json', `states/${id}.json`, 'states/ba9876543210.json'];
    const paths = files.map((file) => join(place, file));
    for (const [i, text] of [manifest, ...states].entries()) writeFileSync(paths[i], text);
    makeOdd(odd, paths);
    const status = await harmless(() => sweepStatus(place));
    if (status === undefined) return;
    checkPrototypes();
    await harmless(() => writeSweepReport(place));
    checkMessage(formatSweep(place, status));
  },
};
