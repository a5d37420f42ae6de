/**
 * `npm run build && npx tsx scripts/long-runs.ts [STEPS] [METHOD ...]`: trains every method for 20,000 steps on a
 * small network. Prints the number of tensors and the resident memory after a tenth of the steps and at the end; exits 1
 * when the number of tensors changes, or the memory increases by more than 150 MB.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { parseExperiment } from '../src/config/load.js';
import { runExperiment } from '../src/experiment/run.js';
import { tinyExperiments } from './robustness/experiments.js';
import { measuredOn } from './robustness/provenance.js';

const largestGrowth = 150;

/** With its published settings lau-bcd diverges after thousands of iterations on few images. */
const steadyLau = 'methods.lau-bcd.alpha=0.1';

const [steps = 20_000, ...only] = process.argv
  .slice(2)
  .map((word, i) => (i === 0 ? Number(word) : word));
const count = Number(steps);
// Full-batch methods take all 100 images a step, the others 50.
for (const { name, config, labels } of tinyExperiments(count / 2, count)) {
  for (const label of labels) {
    if (only.length > 0 && !only.includes(`${name}-${label}`)) continue;
    const folder = mkdtempSync(join(tmpdir(), 'fln-long-'));
    try {
      const { experiment } = parseExperiment(config, name, [
        'dataset.limit=100',
        ...(labels.includes('lau-bcd') ? [steadyLau] : []),
        `evaluate.every=${count}`,
      ]);
      const seen: { batch: number; tensors: number; megabytes: number }[] = [];
      const started = performance.now();
      const { runs } = await runExperiment(
        experiment,
        { outDir: join(folder, 'run'), only: [label] },
        (event) => {
          if (event.type !== 'batch' || ![count / 10, count].includes(event.batch)) return;
          const megabytes = Math.round(process.memoryUsage.rss() / 1e6);
          seen.push({ batch: event.batch, tensors: tf.memory().numTensors, megabytes });
        },
      );
      const seconds = ((performance.now() - started) / 1000).toFixed(0);
      const [early, late] = seen;
      const status = runs.find((run) => run.label === label);
      const isSound =
        status?.status === 'COMPLETED' &&
        early.tensors === late.tensors &&
        late.megabytes - early.megabytes <= largestGrowth;
      if (!isSound) process.exitCode = 1;
      const text = seen.map(
        ({ batch, tensors, megabytes }) => `${tensors} tensors and ${megabytes} MB after ${batch}`,
      );
      process.stdout.write(
        `${name} ${label}: ${text.join(', ')}; ${seconds} s${isSound ? '' : `  NOT SOUND ${status?.error ?? ''}`}\n`,
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}
process.stdout.write(`${await measuredOn()}\n`);
