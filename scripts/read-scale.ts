/**
 * `npm run build && npx tsx scripts/read-scale.ts [COUNT]`: the time to read COUNT (1000)
 * runs of 1,000 batches with two methods each, and a sweep of as many trials. Prints seconds of whole
 * processes, including program start; exits 1 when the status of the sweep takes a second or more.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseExperiment } from '../src/config/load.js';
import { resolvedYaml } from '../src/config/print.js';
import { commonColumns } from '../src/runs/metrics.js';
import { measuredOn } from './robustness/provenance.js';

const count = Number(process.argv[2] ?? '1000');
const batches = 1000;
const bin = fileURLToPath(new URL('../bin/fln.js', import.meta.url));

const config = (learningRate: number) => `name: many
dataset: { name: synthetic-digits }
network: { layers: [ { dense: 30, activation: relu }, { dense: 10 } ] }
epochs: 10
batchSize: 100
seeds: [1]
methods: [ { name: adam, learningRate: ${learningRate} }, { name: sgd } ]
`;

const folder = mkdtempSync(join(tmpdir(), 'fln-scale-'));
try {
  const sweep = join(folder, 'sweep');
  const trials = Array.from({ length: count }, (_, i) => writeTrial(sweep, i));
  mkdirSync(join(sweep, 'states'));
  for (const { id, accuracy } of trials) {
    const results = [{ method: 'adam', seeds: 1, test_accuracy: accuracy, wall_s: 10 }];
    const state = { id, status: 'COMPLETED', attempts: 1, results };
    writeFileSync(join(sweep, 'states', `${id}.json`), JSON.stringify(state));
  }
  const manifest = {
    version: 1,
    name: 'many',
    config: 'base.yaml',
    search: 'random',
    seed: 1,
    metric: { column: 'test_accuracy', goal: 'maximize' },
    parameters: ['methods.adam.learningRate'],
    trials: trials.map(({ id, learningRate }) => ({
      id,
      overrides: { 'methods.adam.learningRate': learningRate },
      addedAt: '2026-01-01T00:00:00Z',
    })),
  };
  writeFileSync(join(sweep, 'sweep.json'), JSON.stringify(manifest));

  const status = time(['sweep', sweep, '--status']);
  report(`status of ${count} trials`, status);
  report(`list of ${2 * count} runs`, time(['ls', sweep]));
  report('the best of them, with settings', time(['ls', sweep, '--best', '--limit', '5']));
  report(`comparison of ${2 * count} runs`, time(['compare', sweep, '--csv']));
  report('report of the sweep', time(['plot', sweep]));
  process.stdout.write(`${await measuredOn()}\n`);
  process.exitCode = status < 1 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function writeTrial(sweep: string, i: number) {
  const id = i.toString(16).padStart(12, '0');
  const learningRate = Number((10 ** (-4 + (3 * i) / count)).toPrecision(6));
  const accuracy = Number((0.9 + (0.08 * ((i * 7919) % count)) / count).toFixed(4));
  const directory = join(sweep, 'trials', id);
  const { experiment } = parseExperiment(config(learningRate), 'base.yaml');
  const summary = { batches, finalTestAccuracy: accuracy, wallSeconds: 10 };
  const runs = experiment.methods.map(({ label }) => ({
    label,
    seed: 1,
    status: 'COMPLETED',
    summary,
  }));
  for (const { label } of runs) {
    mkdirSync(join(directory, `${label}-s1`), { recursive: true });
    writeFileSync(join(directory, `${label}-s1`, 'metrics.csv'), metricsCsv(label, accuracy));
  }
  const { name, hash } = experiment;
  writeFileSync(join(directory, 'config.yaml'), resolvedYaml(experiment));
  writeFileSync(
    join(directory, 'run.json'),
    JSON.stringify({ experiment: { name, hash }, runs }, null, 2),
  );
  return { id, learningRate, accuracy };
}

function metricsCsv(method: string, accuracy: number): string {
  const lines = Array.from({ length: batches }, (_, i) => {
    const values: Record<string, string | number> = {
      method,
      seed: 1,
      batch: i + 1,
      epoch: 1 + Math.floor(i / 100),
      wall_s: ((i + 1) / 100).toFixed(4),
      train_loss: (2.3 / (1 + i / 10)).toFixed(6),
      train_accuracy: accuracy,
      test_loss: i % 10 === 9 ? '0.123456' : '',
      test_accuracy: i % 10 === 9 ? accuracy : '',
      step_ms: '9.876',
    };
    return commonColumns.map((name) => values[name] ?? '').join(',');
  });
  return `${[commonColumns.join(','), ...lines].join('\n')}\n`;
}

/** Seconds of one command. */
function time(args: readonly string[]): number {
  const start = performance.now();
  const { status, stderr } = spawnSync(process.execPath, [bin, ...args], {
    encoding: 'utf8',
    maxBuffer: 1e9,
  });
  if (status !== 0) throw new Error(`fln ${args[0]} exits with ${status}: ${stderr}`);
  return (performance.now() - start) / 1000;
}

function report(what: string, seconds: number): void {
  process.stdout.write(`${what}: ${seconds.toFixed(2)} s\n`);
}
