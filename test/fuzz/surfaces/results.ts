import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { compareRuns } from '../../../src/report/comparison.js';
import { diffRuns } from '../../../src/report/diff.js';
import { listRuns } from '../../../src/report/listing.js';
import { comparePaired } from '../../../src/report/paired-comparison.js';
import { parseMetrics } from '../../../src/runs/metrics.js';
import { loadRunDirectory } from '../../../src/runs/run-directory.js';
import { mnistMethods, syntheticCsv } from '../../report/synthetic.js';
import { gateConfig } from '../../verify/inject.js';
import { mutatedText } from '../mutate.js';
import { makeOdd, type OddFile, oddFile } from '../odd-file.js';
import { checkMessage, harmless, type Surface } from '../surface.js';
import { words } from './config.js';

const csv = syntheticCsv(mnistMethods[0], 1, { batches: 30 });
const csvWords = [
  ...words,
  ',',
  ',,',
  '\n',
  '\r\n',
  '"',
  'NaN',
  'Infinity',
  '1e308',
  'test_accuracy',
  '0.5',
];

export const metrics: Surface<string> = {
  name: 'metrics.csv',
  cases: fc.oneof(
    { arbitrary: mutatedText([csv], csvWords), weight: 9 },
    { arbitrary: fc.string({ unit: 'binary', maxLength: 300 }), weight: 1 },
  ),
  run: async (text) => {
    const read = await harmless(() => parseMetrics(text, 'metrics.csv'));
    if (read === undefined) return;
    const { rows, columns } = read.metrics;
    for (const [name, values] of Object.entries(columns)) {
      if (values.length !== rows) throw new Error(`${name} has ${values.length} of ${rows} rows`);
    }
    for (const warning of read.warnings) checkMessage(warning);
  },
};

const record = JSON.stringify({
  program: { name: 'fenchel-lifted-networks', version: '0.1.0' },
  git: { commit: '0123', dirty: false },
  experiment: {
    name: 'gate',
    hash: '0123456789ab',
    dataset: 'mnist',
    network: { layers: '784-10' },
  },
  backend: { name: 'wasm', version: '4' },
  startedAt: '2026-01-01T00:00:00Z',
  runs: [
    {
      label: 'fenchel',
      seed: 1,
      status: 'COMPLETED',
      startedAt: '2026-01-01T00:00:00Z',
      summary: { batches: 30, finalTestAccuracy: 0.9, wallSeconds: 3 },
    },
    { label: 'adam', seed: 2, status: 'FAILED', error: 'diverged' },
  ],
});
const jsonWords = [
  '"__proto__":{"polluted":1},',
  '"runs":',
  'null',
  '[]',
  '{}',
  '"',
  '\\u0000',
  '1e999',
  '-1',
  '"COMPLETED"',
  '"RUNNING"',
  '../../x',
  '\u001b[31m',
  '<script>',
];

interface Files {
  readonly record: string;
  readonly config: string;
  readonly csv: string;
  readonly label: string;
  readonly odd: OddFile;
}

/** A run directory in which one file or more are damaged, read by every command that reads. */
export const runDirectories: Surface<Files> = {
  name: 'run directories',
  cases: fc.record({
    record: fc.oneof(fc.constant(record), mutatedText([record], jsonWords)),
    config: fc.oneof(fc.constant(gateConfig), mutatedText([gateConfig], words)),
    csv: fc.oneof(fc.constant(csv), mutatedText([csv], csvWords)),
    odd: oddFile,
    label: fc.constantFrom('fenchel', 'adam', 'x y', '<b>', '\u001b[31m', 'a-s1', '..'),
  }),
  run: async ({ record, config, csv, label, odd }, folder) => {
    const place = join(folder, 'run');
    rmSync(place, { recursive: true, force: true });
    mkdirSync(join(place, `${label}-s1`), { recursive: true });
    const files = ['run.json', 'config.yaml', `${label}-s1/metrics.csv`];
    const paths = files.map((file) => join(place, file));
    for (const [i, text] of [record, config, csv].entries()) writeFileSync(paths[i], text);
    makeOdd(odd, paths);
    const { problems, runs } = loadRunDirectory(place);
    const compared = compareRuns([loadRunDirectory(place, 'last row')]);
    const listed = await harmless(() =>
      listRuns([place], { where: ['epochs>=1', 'method=fenchel'] }),
    );
    const paired = await harmless(() => comparePaired([loadRunDirectory(place)], 'adam'));
    const diff = await harmless(() => diffRuns(place, place));
    const all = [
      ...problems,
      ...compared.problems,
      ...(paired?.problems ?? []),
      ...(listed?.problems ?? []),
      ...(diff?.problems ?? []),
    ];
    for (const { message } of all) checkMessage(message);
    for (const run of runs)
      for (const text of [run.label, run.experiment, run.error ?? '']) checkMessage(text);
  },
};
