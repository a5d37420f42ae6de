import * as tf from '@tensorflow/tfjs';
import { type Compiled, eager, type TensorFunction } from '../compile.js';
import type { Activation } from '../network/activations/activation.js';
import type { LinearMap } from '../network/maps/linear-map.js';
import type { LayerParameters } from '../network/parameters.js';
import type { SmoothTerm } from '../network/smooth-term.js';
import type { Tree } from '../tree.js';
import { euclideanNorm, relativeTo, type SolverOptions, type SolverReport } from './solver.js';
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
  /**
   * Compiles the two parts of an iteration, for a caller that solves many problems with this activation, map and kind of
   * term above. When absent they run one operation after the other.
   */
  readonly compile?: <Input extends Tree, Output extends Tree>(
    part: string,
    fn: TensorFunction<Input, Output>,
  ) => Compiled<Input, Output>;
}

export interface ActivationUpdate extends SolverReport {
  /** X = phi(S), [m, p]; X = phi_1(S) - kappa U of a phi that decreases somewhere. */
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
 * never leaves the domain of F nor evaluates phi^-1 near its poles. Of a phi that decreases somewhere the
 * variable is Z_1 = phi_1(S) of its monotone part: Z = phi_1(S) - kappa U, and sup phi' + kappa in place of sup phi'.
 *
 * ||h''|| of a convolution is an estimate, which may be too small. Each step is checked: with D the
 * change of Z, ||A D||^2 <= ||A||^2 ||D||^2 for the estimate makes h(Z) + <h'(Z), D> + ||h''|| ||D||^2 / 2
 * an upper bound of h(Z + D), which the descent of both methods needs. Where it fails, the estimate is
 * increased and the step repeated.
 *
 * Optimality residual: ||Z - phi(U - h'(Z))||, zero iff Z is the minimiser, relative to ||Z|| or to its
 * own value at the start, whichever is less: the change of the activations can differ by orders of
 * magnitude between layers. A start that is optimal up to rounding errors is returned.
 */
export async function updateActivations(
  problem: ActivationProblem,
  options: SolverOptions,
): Promise<ActivationUpdate> {
  const { activation, predicted, map, layer, above } = problem;
  const { compile = (_, fn) => eager(fn) } = problem;
  const { bound, ...norm } = await squaredMapNorm(map, layer.weights);
  let { estimate } = norm;
  const methodFor = (squaredNorm: number) => {
    const smoothness = problem.weight * above.curvature * squaredNorm;
    return activation.proximal ? accelerated(problem, smoothness) : mirror(problem, smoothness);
  };
  let method = methodFor(estimate);
  const evaluated = compile('target', (point: Evaluated) => evaluate(problem, point));
  const stretched = compile('stretch', (change: Stretched) => stretch(map, change));
  const weight = tf.scalar(problem.weight);
  const evaluateAt = (z: tf.Tensor2D) =>
    evaluated.run({ z, targets: above.targets, predicted, layer, weight });

  let state = method.start(predicted);
  let iterations = 0;
  let first = 0;
  for (;;) {
    const { target, distance } = evaluateAt(state.point);
    const [residual, size, sum] = await distance.data();
    if (iterations === 0) first = residual;
    // NaN ends the loop, too.
    const isOpen = relative(residual, size, sum, first) > options.tolerance;
    let next: State | undefined;
    if (isOpen && iterations < options.maxIterations) {
      for (;;) {
        next = tf.tidy(() => method.advance(state, target));
        if (!(estimate < bound)) break;
        const to = method.reached(next);
        const squares = stretched.run({ from: state.point, to, weights: layer.weights });
        const [image, change] = await squares.data();
        squares.dispose();
        const needed = relativeTo(image, change);
        if (!(needed > estimate)) break;
        estimate = Math.min(bound, 1.1 * needed);
        method = methodFor(estimate);
        tf.dispose(next);
      }
    }
    tf.dispose([target, distance]);
    if (!next) break;
    tf.dispose(state);
    state = next;
    iterations++;
  }
  const result = tf.tidy(() => method.finish(state));
  tf.dispose(state);
  const last = evaluateAt(result.activations);
  const [residual, size, sum] = await last.distance.data();
  tf.dispose([last.target, last.distance, weight]);
  return { ...result, iterations, residual: relative(residual, size, sum, first) };
}

/** Distances below this share of ||Z|| are rounding errors. */
const rounding = 1e-6;

function relative(residual: number, size: number, sum: number, first: number): number {
  if (!Number.isFinite(size) || !Number.isFinite(sum)) return Number.NaN;
  return residual <= rounding * size ? 0 : relativeTo(residual, Math.min(first, size));
}

type Evaluated = {
  readonly z: tf.Tensor2D;
  readonly targets: readonly tf.Tensor2D[];
  readonly predicted: tf.Tensor2D;
  readonly layer: LayerParameters;
  readonly weight: tf.Scalar;
};

/**
 * The target U - h'(Z), h'(Z) = weight A^T(g'(A(Z; W) + b); W), and ||Z - phi(target)||, ||Z|| and the sum of the target, [3]:
 * phi may turn NaN into a number, a sum does not.
 */
function evaluate(
  { activation, map, above }: Pick<ActivationProblem, 'activation' | 'map' | 'above'>,
  { z, targets, predicted, layer, weight }: Evaluated,
): { target: tf.Tensor2D; distance: tf.Tensor1D } {
  const slope = above.with(targets).gradient(map.apply(z, layer));
  const outer: tf.Tensor2D = tf.mul(slope, weight);
  const target: tf.Tensor2D = tf.sub(predicted, map.adjoint(outer, layer.weights));
  const next = imageOf({ activation, predicted }, target);
  const measured = [euclideanNorm(tf.sub(z, next)), euclideanNorm(z), tf.sum(target)];
  return { target, distance: tf.stack(measured) as tf.Tensor1D };
}

type Stretched = {
  readonly from: tf.Tensor2D;
  readonly to: tf.Tensor2D;
  readonly weights: tf.Tensor2D;
};

/** ||A D||^2 and ||D||^2 of the change D between two points, all rows together, [2]. */
function stretch(map: LinearMap, { from, to, weights }: Stretched): tf.Tensor1D {
  const change: tf.Tensor2D = tf.sub(to, from);
  const linear = { weights, bias: tf.zeros([weights.shape[1]]) as tf.Tensor1D };
  const squares = [map.apply(change, linear), change].map((x) => tf.sum(tf.square(x)));
  return tf.stack(squares) as tf.Tensor1D;
}

/** Z of S: phi(S), or phi_1(S) - kappa U. */
function imageOf(
  { activation: { phi, skip = 0 }, predicted }: Pick<ActivationProblem, 'activation' | 'predicted'>,
  s: tf.Tensor2D,
): tf.Tensor2D {
  return skip > 0 ? tf.add(phi(s), tf.mul(skip, tf.sub(s, predicted))) : phi(s);
}

type State = {
  /** Where the next gradient is taken. */
  readonly point: tf.Tensor2D;
  /** Z of the accelerated method, S of mirror descent. */
  readonly iterate: tf.Tensor2D;
};

interface Iteration {
  start(predicted: tf.Tensor2D): State;
  /** @param target U - h'(Z) at the point */
  advance(state: State, target: tf.Tensor2D): State;
  /** Z after a step from `point`, before any extrapolation; owned by the state. */
  reached(state: State): tf.Tensor2D;
  finish(state: State): { activations: tf.Tensor2D; preimage: tf.Tensor2D };
}

function accelerated({ activation }: ActivationProblem, smoothness: number): Iteration {
  const { operator, preimage } = activation.proximal!;
  const step = 1 / Math.max(smoothness, 1e-12);
  const q = Math.sqrt(step / (1 + step));
  const momentum = (1 - q) / (1 + q);
  return {
    start: (u) => tf.tidy(() => ({ point: activation.phi(u), iterate: activation.phi(u) })),
    advance: ({ point, iterate }, target) => {
      const moved = tf.add(point, tf.mul(target, step)) as tf.Tensor2D;
      const next = operator(moved, step);
      return { iterate: next, point: tf.add(next, tf.mul(tf.sub(next, iterate), momentum)) };
    },
    reached: ({ iterate }) => iterate,
    // The extrapolated point, at which the method stopped, may be just outside the domain of F.
    finish: ({ point }) => {
      const feasible = activation.phi(preimage(point));
      return { activations: feasible, preimage: preimage(feasible) };
    },
  };
}

function mirror(problem: ActivationProblem, smoothness: number): Iteration {
  const { activation } = problem;
  const step = 1 / (1 + smoothness * (activation.maxSlope + (activation.skip ?? 0)));
  const image = (s: tf.Tensor2D) => imageOf(problem, s);
  return {
    start: (u) => tf.tidy(() => ({ point: image(u), iterate: u.clone() })),
    advance: ({ iterate }, target) => {
      const pull = tf.sub(target, iterate);
      const next = tf.add(iterate, tf.mul(pull, step)) as tf.Tensor2D;
      return { iterate: next, point: image(next) };
    },
    reached: ({ point }) => point,
    finish: ({ iterate }) => ({ activations: image(iterate), preimage: iterate.clone() }),
  };
}
