/**
 * `npm run build && npx tsx scripts/checkpoint-cost.ts [SECONDS]`, with FLN_DATA_DIR set to the files of
 * MNIST: what checkpoints at the default interval cost, as a share of the time from the first batch to
 * the end of the last checkpoint. Trains each case for SECONDS (140: two checkpoints or more) and stops.
 * Prints a line a case; exits 1 when one costs 3 % or more.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadExperiment } from '../src/config/load.js';
import { runExperiment } from '../src/experiment/run.js';
import { measuredOn } from './robustness/provenance.js';

/** A config, one of its methods, and changes that make it train long enough. */
const cases = [
  { what: 'MLP, preconditioned', config: 'mnist-mlp', method: 'fenchel', changes: ['epochs=1000'] },
  { what: 'MLP, Adam', config: 'mnist-mlp', method: 'adam', changes: ['epochs=1000'] },
  {
    what: 'LeNet-5, preconditioned',
    config: 'mnist-lenet5',
    method: 'fenchel',
    changes: ['epochs=1000'],
  },
  {
    what: 'MLP, full batch',
    config: 'mnist-lifted',
    method: 'taylor-admm',
    changes: ['epochs=10000'],
  },
];

const seconds = Number(process.argv[2] ?? '140');
let isMissed = false;
for (const { what, config, method, changes } of cases) {
  const folder = mkdtempSync(join(tmpdir(), 'fln-cost-'));
  try {
    const file = fileURLToPath(new URL(`../configs/${config}.yaml`, import.meta.url));
    const { experiment } = loadExperiment(file, [
      ...changes,
      'seeds=[1]',
      'evaluate.every=1000000',
    ]);
    const abort = new AbortController();
    let started = 0;
    let last = { batch: 0, at: 0 };
    const checkpoints: { ms: number; bytes: number }[] = [];
    await runExperiment(
      experiment,
      { outDir: join(folder, 'run'), only: [method], backend: 'wasm', signal: abort.signal },
      (event) => {
        if (event.type === 'batch' && started === 0) started = performance.now();
        if (event.type === 'batch' && performance.now() - started > 1000 * seconds) abort.abort();
        if (event.type !== 'checkpoint' || abort.signal.aborted) return;
        checkpoints.push(event);
        last = { batch: event.batch, at: performance.now() };
      },
    );
    const cost = checkpoints.reduce((sum, { ms }) => sum + ms, 0);
    const share = cost / (last.at - started);
    if (checkpoints.length === 0 || share >= 0.03) isMissed = true;
    const megabytes = (checkpoints.at(-1)?.bytes ?? Number.NaN) / 1e6;
    process.stdout.write(
      `${what}: checkpoints of ${megabytes.toFixed(1)} MB, ${checkpoints.length} in ${last.batch} batches, ` +
        `${(cost / checkpoints.length).toFixed(0)} ms each: ${(100 * share).toFixed(2)} % of the time\n`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
process.stdout.write(`${await measuredOn()}\n`);
process.exitCode = isMissed ? 1 : 0;
