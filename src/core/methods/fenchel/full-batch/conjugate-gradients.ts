import * as tf from '@tensorflow/tfjs';
import { splitBias, stackBias } from '../../../network/stacked.js';
import { ridgeColumn } from '../../../solvers/majorizer.js';
import { relativeTo } from '../../../solvers/solver.js';
import { affine, mapChunks, type Rows, sumChunks } from '../../full-batch/rows.js';
import type { FenchelFullBatchConfig } from './config.js';
import { type Constants, type Hidden, type HiddenUpdate, ridgePull } from './hidden-layer.js';

/**
 * The hidden layer's W-update (eq. 17), given Z:
 *
 *     min over P   f(P) = sum B(Z, [X_0, 1] P) / N + rho_0 / lambda ||W_0||^2
 *
 * by conjugate gradients (Polak and Ribiere), each unit, a column of P, with its own beta and step, all with the metric
 * (C + delta I)^-1: two products a step. Along a line a unit's f is convex and piecewise quadratic: two Newton steps from
 * 0; where the value there is not lower, that of one, else the step that minimises the quadratic bound. f never rises.
 *
 * Optimality residual: the norm of the gradient under (C + delta I)^-1, relative to that at the start.
 *
 * @param z Z >= 0
 */
export async function solveHidden(
  config: FenchelFullBatchConfig,
  { set, preconditioner }: Constants,
  { layer, u: start }: Hidden,
  z: Rows,
): Promise<HiddenUpdate> {
  const columns = layer.bias.shape[0];
  const ridges = ridgeColumn({ weights: ridgePull(config), bias: 0 }, layer.weights.shape[0]);
  let p = stackBias(layer);
  let u = start as tf.Tensor2D[];
  let direction: tf.Tensor2D = tf.zerosLike(p);
  /** [X_0, 1] direction */
  let image = mapChunks(u, (chunk) => tf.zerosLike(u[chunk]));
  let oldGradient: tf.Tensor2D = tf.zerosLike(p);
  let oldSquares: Float64Array = new Float64Array(columns).fill(Number.POSITIVE_INFINITY);
  let norm = 0;
  let residual = 0;
  let iterations = 0;
  for (; ; iterations++) {
    const { gradient, step } = tf.tidy(() => {
      const misfit = (chunk: number) => tf.sub(tf.relu(u[chunk]), z[chunk]) as tf.Tensor2D;
      const weights = sumChunks(u, (chunk) => tf.matMul(set.x[chunk], misfit(chunk), true, false));
      const bias = sumChunks(u, (chunk) => tf.sum(misfit(chunk), 0, true));
      const slope = tf.div(tf.concat([weights, bias]), set.rows);
      const gradient = tf.add(slope, tf.mul(p, ridges)) as tf.Tensor2D;
      return { gradient, step: tf.matMul(preconditioner, gradient) as tf.Tensor2D };
    });
    const [squares, across, along] = await columnSums(() => [
      tf.mul(gradient, step),
      tf.mul(oldGradient, step),
      tf.mul(gradient, direction),
    ]);
    const length = Math.sqrt(squares.reduce((sum, value) => sum + Math.max(0, value), 0));
    if (iterations === 0) norm = length;
    residual = relativeTo(length, norm);
    // NaN ends the loop, too.
    const isDone = !(residual > config.weightTolerance) || iterations === config.weightSteps;
    if (isDone) {
      tf.dispose([gradient, step]);
      break;
    }
    const beta = squares.map((square, j) => Math.max(0, (square - across[j]) / oldSquares[j]) || 0);
    // A direction that is not one of descent starts anew.
    const slopes = along.map((slope, j) => beta[j] * slope - squares[j]);
    for (const [j, slope] of slopes.entries()) {
      if (slope < 0) continue;
      beta[j] = 0;
      slopes[j] = -squares[j];
    }
    const betas = rowOf(beta);
    const move = tf.tidy(() => tf.sub(tf.mul(direction, betas), step) as tf.Tensor2D);
    const change = splitBias(step);
    const moved = mapChunks(
      image,
      (chunk) => tf.sub(tf.mul(image[chunk], betas), affine(set.x[chunk], change)) as tf.Tensor2D,
    );
    tf.dispose([direction, image, oldGradient, step, change, betas]);
    [direction, image, oldGradient, oldSquares] = [move, moved, gradient, squares];
    const line = { u, image, z, rows: set.rows, ...(await quadraticAlong(p, direction, ridges)) };
    const steps = rowOf(await lineSearch(line, slopes));
    const next = tf.tidy(() => tf.add(p, tf.mul(direction, steps)) as tf.Tensor2D);
    const reached = mapChunks(u, (chunk) => tf.add(u[chunk], tf.mul(image[chunk], steps)));
    tf.dispose([p, steps]);
    if (u !== start) tf.dispose(u);
    [p, u] = [next, reached as tf.Tensor2D[]];
  }
  const hidden = { layer: splitBias(p), u };
  tf.dispose([p, direction, image, oldGradient, ridges]);
  return { hidden, iterations, residual, norm };
}

/** A line from U in every unit, [X_0, 1] P + t [X_0, 1] direction, with the ridge's part of f there. */
type Line = {
  readonly u: Rows;
  readonly image: Rows;
  readonly z: Rows;
  readonly rows: number;
  /** Of the ridge along the direction, for each unit: its slope, and its curvature. */
  readonly slope: Float64Array;
  readonly curvature: Float64Array;
};

async function quadraticAlong(p: tf.Tensor2D, direction: tf.Tensor2D, ridges: tf.Tensor) {
  const [slope, curvature] = await columnSums(() => {
    const weighted = tf.mul(direction, ridges);
    return [tf.mul(p, weighted), tf.mul(direction, weighted)];
  });
  return { slope, curvature };
}

/**
 * @param slopes f' at 0 of each unit, negative, or 0 where the unit is solved
 * @returns a step t >= 0 of each unit with f(t) <= f(0)
 */
async function lineSearch(line: Line, slopes: Float64Array): Promise<Float64Array> {
  const { u, image, z, rows } = line;
  const [energy, fit, bend, square] = await chunkSums(u, (chunk) => {
    const [ui, r] = [u[chunk], image[chunk]];
    const squares = tf.square(r);
    const positive = tf.relu(ui);
    return [tf.square(positive), tf.mul(z[chunk], r), tf.mul(tf.step(positive), squares), squares];
  });
  const curvature = (sums: Float64Array, j: number) => sums[j] / rows + line.curvature[j];
  const newton = (t: number, slope: number, bend: number) =>
    bend > 0 && Number.isFinite(slope / bend) ? Math.max(0, t - slope / bend) : t;
  /** f(t) - f(0), f'(t) and f''(t). */
  const measure = async (steps: Float64Array) => {
    const t = rowOf(steps);
    const [energyAt, slopeAt, bendAt] = await chunkSums(u, (chunk) => {
      const r = image[chunk];
      const positive = tf.relu(tf.add(u[chunk], tf.mul(r, t)));
      return [
        tf.square(positive),
        tf.mul(tf.sub(positive, z[chunk]), r),
        tf.mul(tf.step(positive), tf.square(r)),
      ];
    });
    t.dispose();
    return {
      value: steps.map((step, j) => {
        const data = ((energyAt[j] - energy[j]) / 2 - step * fit[j]) / rows;
        return data + step * (line.slope[j] + (step * line.curvature[j]) / 2);
      }),
      slope: steps.map((step, j) => slopeAt[j] / rows + line.slope[j] + step * line.curvature[j]),
      bend: steps.map((_, j) => curvature(bendAt, j)),
    };
  };
  const once = slopes.map((slope, j) => newton(0, slope, curvature(bend, j)));
  const first = await measure(once);
  const twice = once.map((t, j) => newton(t, first.slope[j], first.bend[j]));
  const second = await measure(twice);
  return slopes.map((slope, j) => {
    if (second.value[j] <= Math.min(0, first.value[j])) return twice[j];
    return first.value[j] <= 0 ? once[j] : newton(0, slope, curvature(square, j));
  });
}

/** A row of numbers on the device, [1, n]. */
const rowOf = (values: Float64Array): tf.Tensor2D =>
  tf.tensor2d(Float32Array.from(values), [1, values.length]);

/** Column sums of each matrix, on the host. */
async function columnSums(matrices: () => readonly tf.Tensor[]): Promise<Float64Array[]> {
  return chunkSums([undefined], matrices);
}

/** The same over all chunks; each chunk's sums are in float32, theirs in float64. */
async function chunkSums(
  chunks: readonly unknown[],
  matrices: (chunk: number) => readonly tf.Tensor[],
): Promise<Float64Array[]> {
  const sums = mapChunks(chunks, (chunk) => tf.stack(matrices(chunk).map((m) => tf.sum(m, 0))));
  const parts = await Promise.all(sums.map((tensor) => tensor.data()));
  const [count, columns] = sums[0].shape;
  tf.dispose(sums);
  return Array.from({ length: count }, (_, i) =>
    Float64Array.from({ length: columns! }, (_, j) =>
      parts.reduce((sum, values) => sum + values[i * columns! + j], 0),
    ),
  );
}
