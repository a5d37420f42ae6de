import * as tf from '@tensorflow/tfjs';
import type { Activation } from '../network/activations/activation.js';
import type { LinearMap } from '../network/maps/linear-map.js';
import type { LayerParameters } from '../network/parameters.js';
import type { SmoothTerm } from '../network/smooth-term.js';
import type { SolverOptions, SolverReport } from './solver.js';
import { squaredMapNorm } from './spectral-norm.js';

/**
 * The X-update of one layer (eq. 14; eq. 15-16 for the last hidden layer), all rows at once:
 *
 *     min_Z  sum B(Z, U) + weight g(A(Z; W) + b)  =  F(Z) - U Z + h(Z) + const
 *
 * with g the term of the layer above: its penalty B(X_next, .), or the loss.
 */
export interface ActivationProblem {
  /** phi of this layer, which B belongs to. */
  readonly activation: Activation;
  /** U [m, p]: pre-activations predicted by the layer below. */
  readonly predicted: tf.Tensor2D;
  /** A, W and b of the layer above. */
  readonly map: LinearMap;
  readonly layer: LayerParameters;
  readonly above: SmoothTerm;
  /** Weight of the term above, relative to this layer's penalty. */
  readonly weight: number;
}

export interface ActivationUpdate extends SolverReport {
  /** X = phi(S), [m, p] */
  readonly activations: tf.Tensor2D;
  /** S, [m, p] */
  readonly preimage: tf.Tensor2D;
}

/**
 * Solves an X-update from Z = phi(U), where B is zero.
 *
 * With a simple F (ReLU): accelerated proximal gradient with step 1/||h''||, constant momentum for
 * the 1-strongly convex F (FISTA; Chambolle and Pock 2016, algorithm 5). Otherwise: mirror descent in
 * pre-activation space, S <- S - theta (S - U + h'(phi(S))), theta = 1/(1 + ||h''|| sup phi'), which
 * never leaves the domain of F nor evaluates phi^-1 near its poles.
 *
 * Optimality residual: ||Z - phi(U - h'(Z))||, zero iff Z is the minimiser, relative to ||Z|| or to its
 * own value at the start, whichever is less: how far the activations move can differ by orders of
 * magnitude between layers. A start that is optimal to rounding stays.
 */
export async function updateActivations(
  problem: ActivationProblem,
  options: SolverOptions,
): Promise<ActivationUpdate> {
  const { activation, predicted, map, layer, above, weight } = problem;
  const smoothness = weight * above.curvature * (await squaredMapNorm(map, layer.weights));
  const method = activation.proximal
    ? accelerated(problem, smoothness)
    : mirror(problem, smoothness);

  let state = method.start(predicted);
  let iterations = 0;
  let first = 0;
  for (;;) {
    const { gradient, distance } = evaluate(problem, state.point);
    const [apart, size] = await distance.data();
    if (iterations === 0) first = apart;
    const done =
      relative(apart, size, first) <= options.tolerance || iterations >= options.maxIterations;
    const next = done ? undefined : tf.tidy(() => method.advance(state, gradient));
    tf.dispose([gradient, distance]);
    if (!next) break;
    tf.dispose(state);
    state = next;
    iterations++;
  }
  const result = tf.tidy(() => method.finish(state));
  tf.dispose(state);
  const last = evaluate(problem, result.activations);
  const [apart, size] = await last.distance.data();
  tf.dispose(last);
  return { ...result, iterations, residual: relative(apart, size, first) };
}

/** Distances below this share of ||Z|| are rounding errors. */
const rounding = 1e-6;

function relative(apart: number, size: number, first: number): number {
  return apart <= rounding * size ? 0 : apart / Math.min(first, size);
}

/** h'(Z), and ||Z - phi(U - h'(Z))|| and ||Z||, [2]. */
function evaluate(problem: ActivationProblem, z: tf.Tensor2D) {
  return tf.tidy(() => {
    const gradient = slope(problem, z);
    const wanted = problem.activation.phi(tf.sub(problem.predicted, gradient));
    return { gradient, distance: tf.stack([tf.norm(tf.sub(z, wanted)), tf.norm(z)]) };
  });
}

/** h'(Z) = weight A^T(g'(A(Z; W) + b); W) */
function slope({ map, layer, above, weight }: ActivationProblem, z: tf.Tensor2D): tf.Tensor2D {
  const outer = tf.mul(above.gradient(map.apply(z, layer)), weight);
  return map.adjoint(outer as tf.Tensor2D, layer.weights);
}

type State = {
  /** Where the next gradient is taken. */
  readonly point: tf.Tensor2D;
  /** Z of the accelerated method, S of mirror descent. */
  readonly iterate: tf.Tensor2D;
};

interface Iteration {
  start(predicted: tf.Tensor2D): State;
  advance(state: State, gradient: tf.Tensor2D): State;
  finish(state: State): { activations: tf.Tensor2D; preimage: tf.Tensor2D };
}

function accelerated({ activation, predicted }: ActivationProblem, smoothness: number): Iteration {
  const { operator, preimage } = activation.proximal!;
  const step = 1 / Math.max(smoothness, 1e-12);
  const q = Math.sqrt(step / (1 + step));
  const momentum = (1 - q) / (1 + q);
  return {
    start: (u) => tf.tidy(() => ({ point: activation.phi(u), iterate: activation.phi(u) })),
    advance: ({ point, iterate }, gradient) => {
      const moved = tf.add(point, tf.mul(tf.sub(predicted, gradient), step)) as tf.Tensor2D;
      const next = operator(moved, step);
      return { iterate: next, point: tf.add(next, tf.mul(tf.sub(next, iterate), momentum)) };
    },
    // The extrapolated point, at which the method stopped, may be just outside the domain of F.
    finish: ({ point }) => {
      const feasible = activation.phi(preimage(point));
      return { activations: feasible, preimage: preimage(feasible) };
    },
  };
}

function mirror({ activation, predicted }: ActivationProblem, smoothness: number): Iteration {
  const step = 1 / (1 + smoothness * activation.maxSlope);
  return {
    start: (u) => tf.tidy(() => ({ point: activation.phi(u), iterate: u.clone() })),
    advance: ({ iterate }, gradient) => {
      const pull = tf.sub(tf.sub(predicted, gradient), iterate);
      const next = tf.add(iterate, tf.mul(pull, step)) as tf.Tensor2D;
      return { iterate: next, point: activation.phi(next) };
    },
    finish: ({ iterate }) => ({ activations: activation.phi(iterate), preimage: iterate.clone() }),
  };
}
