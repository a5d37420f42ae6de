import * as tf from '@tensorflow/tfjs';
import type { Activation } from '../network/activations/activation.js';
import { losses } from '../network/loss.js';
import type { LinearMap } from '../network/maps/linear-map.js';
import type { LayerParameters } from '../network/parameters.js';
import { penalty } from '../network/penalty.js';
import { lossTerm } from '../network/smooth-term.js';
import { updateActivations } from './activation-update.js';
import type { SolverOptions, SolverReport } from './solver.js';

/**
 * Lifted prediction with cross-entropy (eq. 12), over the last hidden layer:
 *
 *     value(i, k) = min_z  -log softmax(A(z; W) + b)_k + lambda B(z, u_i),      class of row i: argmin_k
 *
 * One X-update (eq. 16) with a one-hot target for each row and class; they are rows of one problem.
 * With one hidden layer this is eq. 12. In a deeper network the layers below are fed forward, where
 * their penalties are zero: the value is an upper bound on the joint minimum over all hidden layers,
 * which is not convex.
 */
export interface LiftedPredictionProblem {
  /** phi of the last hidden layer. */
  readonly activation: Activation;
  /** U [m, p]: its pre-activations in the forward pass. */
  readonly predicted: tf.Tensor2D;
  /** A, W and b of the output layer. */
  readonly map: LinearMap;
  readonly layer: LayerParameters;
  readonly lambda: number;
}

/** Rows and classes to find value(i, k) for, as two lists of one length. */
export interface Pairs {
  readonly rows: Int32Array;
  readonly classes: Int32Array;
}

export interface LiftedValues extends SolverReport {
  /** value(i, k) of each pair. */
  readonly values: Float32Array;
}

/** The optimality residual is that of the X-update over all pairs; the error of the values is quadratic in it. */
export async function liftedValues(
  problem: LiftedPredictionProblem,
  { rows, classes }: Pairs,
  options: SolverOptions,
): Promise<LiftedValues> {
  const { activation, map, layer, lambda } = problem;
  const predicted = tf.tidy(() => tf.gather(problem.predicted, tf.tensor1d(rows, 'int32')));
  const targets = oneHotRows(classes, map.outputs);
  const above = lossTerm('cross-entropy', targets);
  try {
    const { activations, preimage, ...report } = await updateActivations(
      { activation, predicted, map, layer, above, weight: 1 / lambda },
      options,
    );
    const values = tf.tidy(() => {
      const fit = losses['cross-entropy'].rows(targets, map.apply(activations, layer));
      const distance = tf.sum(penalty(activation, preimage, predicted), 1);
      return tf.add(fit, tf.mul(distance, lambda));
    });
    tf.dispose([activations, preimage]);
    const result = { values: (await values.data()) as Float32Array, ...report };
    values.dispose();
    return result;
  } finally {
    tf.dispose([predicted, targets]);
  }
}

/**
 * Pairs that can have the least value of their row, from bounds alone. At z = phi(u),
 * where B is zero, the objective f_k is -log softmax_k, an upper bound of value(i, k). lambda F is
 * strongly convex with modulus lambda / L, L = sup phi' (+ kappa, of its monotone part), so that with g = A^T(softmax - e_k; W) the gradient
 * of f_k at z,
 *
 *     value(i, k) >= f_k(z) - L ||g||^2 / (2 lambda).
 *
 * Classes whose lower bound is above another's upper bound are left out.
 */
export async function candidates(problem: LiftedPredictionProblem): Promise<Pairs> {
  const { activation, predicted, map, layer, lambda } = problem;
  const slope = activation.maxSlope + (activation.skip ?? 0);
  const bounds = tf.tidy(() => {
    const logits = map.apply(activation.phi(predicted), layer);
    const probabilities = tf.softmax(logits);
    // ||W (p - e_k)||^2 = p^T M p - 2 (M p)_k + M_kk for M = A A^T in the outputs' coordinates.
    const unit = tf.eye(map.outputs) as tf.Tensor2D;
    const images = map.adjoint(unit, layer.weights);
    const gram = tf.matMul(images, images, false, true);
    const applied = tf.matMul(probabilities, gram);
    const own = tf.sum(tf.mul(applied, probabilities), 1, true);
    const diagonal = tf.sum(tf.mul(gram, unit), 0);
    const squared = tf.add(tf.sub(own, tf.mul(applied, 2)), diagonal);
    const upper = tf.neg(tf.logSoftmax(logits));
    const lower = tf.sub(upper, tf.mul(squared, slope / (2 * lambda)));
    const least = tf.min(upper, 1, true);
    return tf.sub(lower, tf.add(least, tf.mul(rounding, tf.add(1, least))));
  });
  const excess = await bounds.data();
  bounds.dispose();
  const kept = Int32Array.from(excess.keys()).filter((i) => !(excess[i] > 0));
  return {
    rows: kept.map((i) => Math.floor(i / map.outputs)),
    classes: kept.map((i) => i % map.outputs),
  };
}

/** More than the float32 errors of both bounds. */
const rounding = 1e-4;

function oneHotRows(classes: Int32Array, count: number): tf.Tensor2D {
  const values = new Float32Array(classes.length * count);
  for (const [i, k] of classes.entries()) values[i * count + k] = 1;
  return tf.tensor2d(values, [classes.length, count]);
}
