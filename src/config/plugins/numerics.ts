import * as tf from '@tensorflow/tfjs';
import type { Activation } from '../../core/network/activations/activation.js';
import type { Loss } from '../../core/network/loss.js';
import { Random } from '../../core/random.js';
import { activationProblem, checkPoints, phi64 } from './activation-check.js';

const shown = (value: number): string => String(Number(value.toPrecision(4)));

/** The first place where float32 values are not those expected. */
function firstDifference(
  what: string,
  at: readonly number[],
  values: ArrayLike<number>,
  expected: (u: number) => number | undefined,
  tolerance: number,
): string | undefined {
  for (const [i, u] of at.entries()) {
    const wanted = expected(u);
    if (wanted === undefined) continue;
    if (Math.abs(values[i] - wanted) <= tolerance * (1 + Math.abs(wanted))) continue;
    return `${what} is ${shown(values[i])} at ${shown(u)}, expected ${shown(wanted)}`;
  }
  return undefined;
}

/**
 * Compares the tensor functions of an activation with its float64 part, on the backend that is active: phi
 * with the derivative of F*, its slope with the second derivative, and the proximal operator with its equation.
 * @returns the first problem
 */
export async function activationTensorProblem(activation: Activation): Promise<string | undefined> {
  const problem = activationProblem(activation);
  if (problem !== undefined) return problem;
  const values = async (make: (u: tf.Tensor2D, v: tf.Tensor2D) => tf.Tensor) => {
    const result = tf.tidy(() => {
      const u = tf.tensor2d([...checkPoints], [1, checkPoints.length]);
      return make(u, activation.phi(u));
    });
    const data = await result.data();
    const isRight = String(result.shape) === `1,${checkPoints.length}`;
    result.dispose();
    return { data, isRight };
  };
  const phi = (u: number) => phi64(activation, u);
  const slope = (u: number) => {
    const [left, right] = [(phi(u) - phi(u - 0.01)) / 0.01, (phi(u + 0.01) - phi(u)) / 0.01];
    // Undefined at a kink.
    return Math.abs(left - right) > 0.05 ? undefined : (left + right) / 2;
  };
  const expected: [
    string,
    (u: tf.Tensor2D, v: tf.Tensor2D) => tf.Tensor,
    (u: number) => number | undefined,
    number,
  ][] = [
    ['phi', (u) => activation.phi(u), phi, 1e-3],
    ['slope', (u, v) => activation.slope(u, v), slope, 1e-2],
    ['conjugate', (u) => activation.conjugate(u), activation.float64.conjugate, 1e-4],
  ];
  if (activation.proximal) {
    const { operator, preimage } = activation.proximal;
    // theta F'(v) + v - w = 0 for w = u + phi(u): v = phi(u), with theta 1.
    expected.push(
      ['proximal.operator(u + phi(u), 1)', (u, v) => operator(tf.add(u, v), 1), phi, 1e-3],
      ['phi(proximal.preimage(phi(u)))', (_, v) => activation.phi(preimage(v)), phi, 1e-3],
    );
  }
  for (const [what, make, value, tolerance] of expected) {
    const { data, isRight } = await values(make);
    if (!isRight) return `${what} does not return a tensor of the shape of its argument`;
    const difference = firstDifference(what, checkPoints, data, value, tolerance);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

/**
 * Checks a loss on random outputs, on the backend that is active: the gradient is that of `rows`, and along
 * random directions the loss is convex and curves by at most `curvature`.
 * @returns the first problem
 */
export async function lossProblem(loss: Loss, classes = 4): Promise<string | undefined> {
  const count = 16;
  const random = new Random(1, 'loss-check');
  const draw = () => Array.from({ length: count * classes }, () => 2 * random.normal());
  const labels = Array.from({ length: count }, () => random.integer(classes));
  const [u, direction] = [draw(), draw()];
  const step = 0.05;
  const results = tf.tidy(() => {
    const y = tf.oneHot(tf.tensor1d(labels, 'int32'), classes).toFloat() as tf.Tensor2D;
    const at = (t: number) =>
      tf.tensor2d(
        u.map((value, i) => value + t * direction[i]),
        [count, classes],
      );
    const along = tf.tensor2d(direction, [count, classes]);
    const slopeAt = (t: number) => tf.sum(tf.mul(loss.gradient(y, at(t)), along), 1);
    const rows = [-step, step].map((t) => loss.rows(y, at(t)));
    const shapes = [rows[0].shape, loss.gradient(y, at(0)).shape].map(String);
    return { rows, slopes: [-step, 0, step].map(slopeAt), shapes };
  });
  const [below, above] = await Promise.all(results.rows.map((row) => row.array()));
  const slopes = (await Promise.all(results.slopes.map((slope) => slope.array()))) as number[][];
  tf.dispose([results.rows, results.slopes]);
  if (results.shapes[0] !== String(count)) return 'rows does not return one value per row';
  if (results.shapes[1] !== `${count},${classes}`) return 'gradient does not return [m, classes]';
  for (let i = 0; i < count; i++) {
    const square = direction
      .slice(i * classes, (i + 1) * classes)
      .reduce((sum, value) => sum + value ** 2, 0);
    const rise = (above[i] - below[i]) / (2 * step);
    // The mean of the slope over the interval, by Simpson's rule.
    const mean = (slopes[0][i] + 4 * slopes[1][i] + slopes[2][i]) / 6;
    if (!(Math.abs(rise - mean) <= 0.02 * (1 + Math.abs(mean)))) {
      return `the gradient is not that of rows: along a direction the loss rises by ${shown(rise)}, and its gradient says ${shown(mean)}`;
    }
    const curvature = (slopes[2][i] - slopes[0][i]) / (2 * step * square);
    if (curvature < -1e-2) return 'is not convex: its gradient decreases along a direction';
    if (curvature > loss.curvature * 1.02 + 1e-2) {
      return `curves by ${shown(curvature)} along a direction, more than its curvature, ${loss.curvature}`;
    }
  }
  return undefined;
}
