import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadExperiment } from '../../src/config/load.js';
import { locateDataset } from '../../src/data/inspect.js';
import { runExperiment } from '../../src/experiment/run.js';
import { readMetrics } from '../../src/runs/metrics.js';
import type { Torch } from './torch.js';

/** PyTorch's Adam as tuned on a validation split; docs/speed.md has the command and the tables. */
const contests = [
  {
    config: 'configs/speed/mnist-mlp.yaml',
    network: 'MLP',
    target: 0.97,
    adam: { batch: 128, learningRate: 0.016, schedule: 'linear', epochs: 1 },
  },
  {
    config: 'configs/speed/mnist-lenet5.yaml',
    network: 'LeNet-5',
    target: 0.98,
    adam: { batch: 256, learningRate: 0.016, schedule: 'constant', epochs: 4 },
  },
] as const;

/** Seconds of training to a test accuracy on MNIST, a pair for each seed. */
export interface Contest {
  readonly network: string;
  readonly target: number;
  readonly fenchel: readonly Reached[];
  readonly adam: readonly Reached[];
}

export interface Reached {
  readonly seed: number;
  /** Set-up, batches and steps; evaluations, warm-up and reading of files are left out. */
  readonly seconds: number;
  readonly batches: number;
}

/**
 * Fenchel and PyTorch's Adam in turn, seed by seed.
 * @returns why there is nothing to measure, where MNIST is absent
 */
export async function timeToAccuracy(torch: Torch): Promise<Contest[] | { reason: string }> {
  const { state, files } = await locateDataset('mnist');
  const path = files[0]?.path;
  if (state !== 'present' || !path?.endsWith('.gz')) {
    return { reason: 'gzipped MNIST is not on this machine: name its folder with FLN_DATA_DIR' };
  }
  const folder = join(path, '..');
  const results: Contest[] = [];
  for (const { config, network, target, adam } of contests) {
    const [ours, theirs]: [Reached[], Reached[]] = [[], []];
    for (const seed of [1, 2, 3]) {
      ours.push(await trainOurs(config, seed, target));
      const threads = availableParallelism();
      const run = { network, data: folder, ...adam, seed, target, every: 5, threads };
      const message = { do: 'train', ...run };
      const { seconds, batches } = await torch.ask<Reached>(message);
      theirs.push({ seed, seconds: seconds ?? Infinity, batches });
    }
    results.push({ network, target, fenchel: ours, adam: theirs });
  }
  return results;
}

async function trainOurs(config: string, seed: number, target: number): Promise<Reached> {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const { experiment } = loadExperiment(join(root, config));
  const out = mkdtempSync(join(tmpdir(), 'fln-bench-'));
  try {
    await runExperiment(experiment, {
      outDir: join(out, 'run'),
      backend: 'tensorflow',
      seeds: [seed],
    });
    const { columns } = readMetrics(join(out, 'run', `fenchel-s${seed}`, 'metrics.csv')).metrics;
    const row = columns.test_accuracy.findIndex((accuracy) => accuracy >= target);
    if (row < 0) return { seed, seconds: Infinity, batches: columns.batch.length };
    return { seed, seconds: columns.wall_s[row], batches: columns.batch[row] };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}
