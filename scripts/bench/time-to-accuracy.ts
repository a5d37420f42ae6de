import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Experiment } from '../../src/config/experiment.js';
import { loadExperiment } from '../../src/config/load.js';
import { locateDataset } from '../../src/data/inspect.js';
import { runExperiment } from '../../src/experiment/run.js';
import { readMetrics } from '../../src/runs/metrics.js';
import type { Torch } from './torch.js';

/**
 * The methods of a config, and PyTorch's Adam as tuned on a validation split; docs/speed.md has the command and the
 * tables.
 */
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

/** Seconds of training to a test accuracy on MNIST, of each method and seed. */
export interface Contest {
  readonly network: string;
  readonly target: number;
  /** By label; PyTorch's Adam is `PyTorch's adam`. */
  readonly reached: Readonly<Record<string, readonly Reached[]>>;
}

export interface Reached {
  readonly seed: number;
  /** Set-up, batches and steps; evaluations, warm-up and reading of files are left out. Infinity: not reached. */
  readonly seconds: number;
  readonly batches: number;
}

/**
 * All contestants in turn, seed by seed.
 * @returns why there is nothing to measure, where MNIST is absent
 */
export async function timeToAccuracy(
  torch: Torch,
  threads: number,
): Promise<Contest[] | { reason: string }> {
  const { state, files } = await locateDataset('mnist');
  const path = files[0]?.path;
  if (state !== 'present' || !path?.endsWith('.gz')) {
    return { reason: 'gzipped MNIST is not on this machine: name its folder with FLN_DATA_DIR' };
  }
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const results: Contest[] = [];
  for (const { config, network, target, adam } of contests) {
    const { experiment } = loadExperiment(join(root, config));
    const labels = experiment.methods.map(({ label }) => label);
    const reached: Record<string, Reached[]> = {};
    const add = (label: string, one: Reached) => {
      reached[label] = [...(reached[label] ?? []), one];
    };
    for (const seed of experiment.seeds) {
      for (const label of labels) add(label, await trainOurs(experiment, label, seed, target));
      const run = { network, data: join(path, '..'), ...adam, seed, target, every: 5, threads };
      const { seconds, batches } = await torch.ask<Reached>({ do: 'train', ...run });
      add("PyTorch's adam", { seed, seconds: seconds ?? Infinity, batches });
    }
    results.push({ network, target, reached });
  }
  return results;
}

async function trainOurs(
  experiment: Experiment,
  label: string,
  seed: number,
  target: number,
): Promise<Reached> {
  const out = mkdtempSync(join(tmpdir(), 'fln-bench-'));
  try {
    await runExperiment(experiment, {
      outDir: join(out, 'run'),
      backend: 'tensorflow',
      only: [label],
      seeds: [seed],
    });
    const { columns } = readMetrics(join(out, 'run', `${label}-s${seed}`, 'metrics.csv')).metrics;
    const row = columns.test_accuracy.findIndex((accuracy) => accuracy >= target);
    if (row < 0) return { seed, seconds: Infinity, batches: columns.batch.length };
    return { seed, seconds: columns.wall_s[row], batches: columns.batch[row] };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}
