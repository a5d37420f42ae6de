import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { chunkRows } from '../../src/core/batches.js';
import { FenchelFullBatchConfig } from '../../src/core/methods/fenchel/full-batch/config.js';
import { fenchelFullBatch } from '../../src/core/methods/fenchel/full-batch/full-batch.js';
import type { TrainingData } from '../../src/core/methods/method.js';
import { buildNetwork } from '../../src/core/network/network.js';
import { denseLayers } from '../../src/core/network/shape.js';
import { Random } from '../../src/core/random.js';
import { Training } from '../../src/core/training.js';
import { startTestBackend } from '../backends.js';
import {
  type Matrix,
  map,
  multiply,
  sumAll,
  transpose,
  withOnes,
  zip,
} from '../reference/matrix.js';
import { matrix, normal } from '../solvers/tensors.js';
import { solve, stacked } from './float64.js';

/** More rows than a chunk holds, so that sums over chunks are tested too. */
const rows = chunkRows + 40;
const widths = [5, 7, 3];
const random = new Random(8, 'full-batch');
const x = normal(random, rows, widths[0]);
const labels = Uint8Array.from({ length: rows }, (_, i) => (x[i][0] > 0 ? 0 : x[i][1] > 0 ? 1 : 2));
const y = Array.from(labels, (label) => [0, 1, 2].map((k) => (k === label ? 1 : 0)));

const train: TrainingData = {
  split: { images: new Uint8Array(rows * widths[0]), labels, count: rows },
  rows: (indices) => matrix(Array.from(indices, (i) => x[i])),
};

async function start(fields: Record<string, unknown>) {
  const config = FenchelFullBatchConfig.parse({ name: 'fenchel', solver: 'full-batch', ...fields });
  const training = (await Training.start(fenchelFullBatch, {
    config,
    network: buildNetwork({ layers: denseLayers(widths), activations: ['relu'] }),
    loss: 'mse',
    train,
    batchSize: rows,
    totalBatches: 20,
    random: new Random(3, 'init'),
    stream: (name) => new Random(3, name),
  })) as Training;
  return { config, training };
}

const relu = (a: Matrix) => map(a, (value) => Math.max(0, value));
const squares = (a: Matrix) => sumAll(map(a, (value) => value ** 2));
const weightsOf = (stacked: Matrix) => stacked.slice(0, -1);

/** Without a penalty on the last row, the bias. */
function ridge(inputs: Matrix, targets: Matrix, penalty: number): Matrix {
  const a = withOnes(inputs);
  const normalMatrix = map(multiply(transpose(a), a), (value, i, j) =>
    i === j && i < a[0].length - 1 ? value + penalty : value,
  );
  return solve(normalMatrix, multiply(transpose(a), targets));
}

/** Largest eigenvalue of a small symmetric matrix. */
function largest(a: Matrix): number {
  let v: Matrix = a.map((_, i) => [1 + i / 10]);
  for (let k = 0; k < 500; k++) {
    const next = multiply(a, v);
    const size = Math.sqrt(squares(next));
    v = map(next, (value) => value / size);
  }
  return sumAll(zip(multiply(a, v), v, (p, q) => p * q));
}

/** The iterations of the variant accelerated, as its comment has them, in float64; returns (V, head) of the last one. */
function referenceIterations(first: Matrix, config: FenchelFullBatchConfig, iterations: number) {
  const { lambda, damping, stepSize, momentum, activationSteps } = config;
  const [rho0, rho1] = config.rho as number[];
  const xs = withOnes(x);
  const delta = damping + (2 * rho0) / lambda;
  const metric = map(
    multiply(transpose(xs), xs),
    (value, i, j) => value / rows + (i === j ? delta : 0),
  );
  let [p, previous]: [Matrix, Matrix] = [first, first];
  let tested: Matrix[] = [];
  for (let k = 0; k < iterations; k++) {
    const beta = Math.min(momentum, k / (k + 3));
    const v = zip(p, previous, (now, before) => now + beta * (now - before));
    const u = multiply(xs, v);
    const f = relu(u);
    const head = ridge(f, y, rows * rho1);
    tested = [v, head];
    const w = weightsOf(head);
    const smoothness = 2 * largest(multiply(transpose(w), w));
    const q = Math.sqrt(lambda / (smoothness + lambda));
    let [z, at]: [Matrix, Matrix] = [f, f];
    for (let s = 0; s < activationSteps; s++) {
      const misfit = zip(multiply(withOnes(at), head), y, (fit, target) => fit - target);
      const slope = map(multiply(misfit, transpose(w)), (value) => 2 * value);
      const next = map(at, (value, i, j) =>
        Math.max(0, (smoothness * value - slope[i][j] + lambda * u[i][j]) / (smoothness + lambda)),
      );
      at = zip(next, z, (now, before) => now + ((1 - q) / (1 + q)) * (now - before));
      z = next;
    }
    const difference = zip(z, f, (a, b) => a - b);
    const pull = map(v, (value, i) => (i < widths[0] ? ((2 * rho0) / lambda) * value : 0));
    const descent = zip(
      multiply(transpose(xs), difference),
      pull,
      (value, held) => value / rows - held,
    );
    previous = p;
    p = zip(v, solve(metric, descent), (value, step) => value + stepSize * step);
  }
  return tested;
}

describe('full-batch Fenchel, accelerated', () => {
  beforeAll(startTestBackend);

  it('does what its equations say, iteration after iteration', async () => {
    const fields = { lambda: 1.5, rho: [0.01, 0.002], damping: 0.2, stepSize: 1.5 };
    const { config, training } = await start(fields);
    const [first] = await stacked(training);
    const losses: number[] = [];
    for (let k = 0; k < 4; k++) losses.push((await training.step()).loss);
    const [hidden, head] = referenceIterations(first, config, 4);
    const actual = await stacked(training);
    for (const [l, expected] of [hidden, head].entries()) {
      const error = Math.sqrt(squares(zip(actual[l], expected, (a, b) => a - b)));
      expect(error / Math.sqrt(squares(expected)), `layer ${l}`).toBeLessThan(1e-3);
    }
    const outputs = multiply(withOnes(relu(multiply(withOnes(x), hidden))), head);
    const loss = squares(zip(outputs, y, (a, b) => a - b)) / rows;
    // Each step reports the loss before it.
    losses.push((await training.step()).loss);
    expect(losses[4]).toBeCloseTo(loss, 4);
    expect(losses[4]).toBeLessThan(losses[1]);
    training.dispose();
  });

  it('starts its momentum again when the loss rises', async () => {
    // A step this long overshoots.
    const { training } = await start({ stepSize: 60, damping: 1e-3 });
    let restarts = 0;
    const rises: boolean[] = [];
    let last = Number.POSITIVE_INFINITY;
    for (let k = 0; k < 12; k++) {
      const { loss, extra } = await training.step();
      rises.push(loss > last * (1 + 1e-4));
      last = loss;
      restarts = extra!.restarts;
    }
    expect(rises).toContain(true);
    expect(restarts).toBeGreaterThanOrEqual(rises.filter(Boolean).length);
    training.dispose();
  });
});

/** Z of an iteration from its optimality condition, by projected gradients. */
function activationsOf(hidden: Matrix, head: Matrix, lambda: number): Matrix {
  const u = multiply(withOnes(x), hidden);
  const w = weightsOf(head);
  const curvature = 2 * largest(multiply(transpose(w), w)) + lambda;
  let z = relu(u);
  for (let k = 0; k < 400; k++) {
    const misfit = zip(multiply(withOnes(z), head), y, (fit, target) => fit - target);
    const slope = multiply(misfit, transpose(w));
    z = map(z, (value, i, j) =>
      Math.max(0, value - (2 * slope[i][j] + lambda * (value - u[i][j])) / curvature),
    );
  }
  return z;
}

const solved = { variant: 'plain', weightUpdate: 'solve', weightSteps: 4 };

describe('full-batch Fenchel, plain', () => {
  beforeAll(startTestBackend);

  it.each([
    ['preset paper', { variant: 'plain', lambda: 0.05, rho: [1e-6, 1e-2], damping: 1e-3 }],
    ['a large lambda', { variant: 'plain', lambda: 5, rho: [0.01, 0.01], damping: 0.1 }],
    ['a long W-update', { variant: 'plain', lambda: 1, rho: 0.001, weightSteps: 4 }],
    ['a solved W-update', { ...solved, lambda: 0.05, rho: [1e-6, 1e-2], damping: 1e-3 }],
    ['large steps of a solved W-update', { ...solved, lambda: 50, rho: 0.001, damping: 10 }],
  ])('never raises the lifted objective: %s', async (_, fields) => {
    const { training } = await start(fields);
    const before = tf.memory().numTensors;
    const objectives: number[] = [];
    for (let k = 0; k < 10; k++) {
      const { objective, extra } = await training.step();
      expect(extra!.z_residual).toBeLessThanOrEqual(1e-5);
      objectives.push(objective!);
    }
    expect(tf.memory().numTensors).toBe(before);
    for (let k = 1; k < objectives.length; k++) {
      expect(objectives[k]).toBeLessThanOrEqual(objectives[k - 1] * (1 + 1e-5));
    }
    expect(objectives[9]).toBeLessThan(objectives[0]);
    training.dispose();
  });

  it.each([
    ['a preconditioner that fits', 1e-3, 1],
    ['one that does not, a large lambda', 5, 100],
    ['a small lambda', 1e-3, 1e-4],
  ])('solves its W-update: its gradient vanishes, with %s', async (_, damping, lambda) => {
    const rho = [0.02, 0.03];
    const steps = { weightSteps: 200, weightTolerance: 1e-4 };
    const { training } = await start({ ...solved, ...steps, lambda, rho, damping });
    const [first, head] = await stacked(training);
    const { residual, extra } = await training.step();
    expect(extra!.w_residual).toBeLessThanOrEqual(1e-4);
    expect(extra!.w_iterations).toBeLessThan(200);
    expect(residual).toBe(extra!.w_residual);
    // Z, which the step solved for to 1e-5, and the gradient of the W-update there, before and after.
    const z = activationsOf(first, head, lambda);
    const [moved] = await stacked(training);
    const slopeAt = (p: Matrix) => {
      const misfit = zip(relu(multiply(withOnes(x), p)), z, (fit, target) => fit - target);
      const slope = multiply(transpose(withOnes(x)), misfit);
      return map(
        slope,
        (value, i, j) => value / rows + (i < widths[0] ? ((2 * rho[0]) / lambda) * p[i][j] : 0),
      );
    };
    const ratio = Math.sqrt(squares(slopeAt(moved)) / squares(slopeAt(first)));
    expect(ratio).toBeLessThan(2e-3);
    training.dispose();
  });

  it('solves its X- and head updates: their gradients vanish', async () => {
    const { config, training } = await start({ variant: 'plain', lambda: 0.5, rho: [0.01, 0.03] });
    const [hidden, head] = await stacked(training);
    const { objective } = await training.step();
    const [moved, fitted] = await stacked(training);
    const z = activationsOf(hidden, head, config.lambda);
    const expected = ridge(z, y, rows * 0.03);
    const error = Math.sqrt(squares(zip(fitted, expected, (a, b) => a - b)));
    expect(error / Math.sqrt(squares(expected))).toBeLessThan(1e-3);
    // The lifted objective that was reported, from its definition.
    const after = multiply(withOnes(x), moved);
    const fit = squares(zip(multiply(withOnes(z), fitted), y, (a, b) => a - b));
    const penalty = sumAll(
      map(z, (v, i, j) => v ** 2 / 2 + Math.max(0, after[i][j]) ** 2 / 2 - v * after[i][j]),
    );
    const ridges = 0.01 * squares(weightsOf(moved)) + 0.03 * squares(weightsOf(fitted));
    const value = (fit + config.lambda * penalty) / rows + ridges;
    expect(Math.abs(objective! - value) / value).toBeLessThan(1e-4);
    training.dispose();
  });
});
