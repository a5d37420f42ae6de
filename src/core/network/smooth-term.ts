import * as tf from '@tensorflow/tfjs';
import type { Activation } from './activations/activation.js';
import { losses } from './loss.js';
import type { LinearMap } from './maps/linear-map.js';
import type { LossName } from './names.js';
import { penalty } from './penalty.js';

/**
 * A convex function of a layer's pre-activations u [m, n], summed over all entries: the term of the layer
 * above in an X- or W-update. It holds its targets.
 */
export interface SmoothTerm {
  /** Value at u, a scalar. */
  value(u: tf.Tensor2D): tf.Scalar;
  /** Gradient at u, [m, n]. */
  gradient(u: tf.Tensor2D): tf.Tensor2D;
  /** Upper bound of every eigenvalue of its Hessian. */
  readonly curvature: number;
  readonly targets: readonly tf.Tensor2D[];
  /** The same function with other targets. */
  with(targets: readonly tf.Tensor2D[]): SmoothTerm;
}

/** u -> sum B(phi(s), u), whose gradient is phi(u) - phi(s). */
export function penaltyTerm(activation: Activation, s: tf.Tensor2D, v: tf.Tensor2D): SmoothTerm {
  return {
    value: (u) => tf.tidy(() => tf.sum(penalty(activation, s, u))),
    gradient: (u) => tf.tidy(() => tf.sub(activation.phi(u), v)),
    curvature: activation.maxSlope,
    targets: [s, v],
    with: ([s, v]) => penaltyTerm(activation, s, v),
  };
}

/** The same function of the pre-activations of every output position, [m * positions, channels]. */
export function byPosition(term: SmoothTerm, map: LinearMap): SmoothTerm {
  const { outputs, positions } = map;
  if (positions === 1) return term;
  const whole = (u: tf.Tensor2D) => tf.reshape(u, [-1, outputs]) as tf.Tensor2D;
  return {
    value: (u) => tf.tidy(() => term.value(whole(u))),
    gradient: (u) => tf.tidy(() => tf.reshape(term.gradient(whole(u)), u.shape)),
    curvature: term.curvature,
    targets: term.targets,
    with: (targets) => byPosition(term.with(targets), map),
  };
}

/** u -> sum over rows of loss(y, u). */
export function lossTerm(name: LossName, y: tf.Tensor2D): SmoothTerm {
  const { rows, gradient, curvature } = losses[name];
  return {
    value: (u) => tf.tidy(() => tf.sum(rows(y, u))),
    gradient: (u) => gradient(y, u),
    curvature,
    targets: [y],
    with: ([y]) => lossTerm(name, y),
  };
}
