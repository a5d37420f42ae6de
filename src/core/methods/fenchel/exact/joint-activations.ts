import * as tf from '@tensorflow/tfjs';
import { euclideanNorm, relativeTo, type SolverReport } from '../../../solvers/solver.js';
import {
  type Blocks,
  type LiftedProblem,
  penaltyWeight,
  termAbove,
  termWeight,
} from './objective.js';

/** Joint residuals above this count as unsolved. */
export const unsolved = 0.1;

export interface JointUpdate extends SolverReport {
  readonly blocks: Blocks;
  /** Of X_1, X_2, ...; `residual` is the largest. */
  readonly residuals: readonly number[];
}

/**
 * The X-update of all hidden layers together, given the weights (eq. 14-16 without the alternation between layers):
 *
 *     min over X_1, ..., X_L   a loss(Y, U_L) + sum_{l < L} p_l B(X_{l+1}, U_l),   U_l = A_l(X_l; W_l) + b_l
 *
 * in error coordinates E_l, X_{l+1} = phi(U_l + E_l), in which every E gives a point in the domain of F. It is
 * stationary where p_l (phi^-1(X_{l+1}) - U_l) + A_{l+1}^T d_{l+1} = 0, d_l the derivative of the term above in U_l. A pass is a
 * forward pass with E, and then, from the output down, with d_L = a grad loss and theta = `jointStep`,
 *
 *     r_l = A_{l+1}^T(d_{l+1}) / p_l,   E_l <- (1 - theta) E_l - theta r_l,   d_l = p_l (phi(U_l) - phi(U_l + E_l))
 *
 * so that the change of an upper layer reaches the lower ones in the same pass. Its fixed points are the stationary
 * points; with one hidden layer the problem is convex, with more of them it is not. Neither descent nor convergence
 * is guaranteed: the point with the least objective of all passes is returned, that of the start included, so that the
 * lifted objective never rises. Passes start from the current X, which is that of a forward pass, E = 0, on a new batch.
 *
 * Optimality residual of X_{l+1}: ||X_{l+1} - phi(U_l - r_l)|| / ||X_{l+1} - phi(U_l)||, with r_l of the returned
 * point, relative to what the update moves; 0 where the distance is rounding errors. Passes end when those of a pass, whose
 * r_l has the d above already updated, are within `tolerance`, or after `jointPasses`. (The two are 0 together.)
 */
export async function updateActivationsJointly(
  problem: LiftedProblem,
  blocks: Blocks,
): Promise<JointUpdate> {
  const { config, network } = problem;
  const first = network.maps[0].apply(blocks.inputs[0], blocks.parameters[0]);
  const start = tf.tidy(() => pointAt(problem, blocks, first));
  let [current, best] = [start, start];
  let [least] = await start.objective.data();
  let iterations = 0;
  for (let isOpen = true; isOpen && iterations < config.jointPasses; iterations++) {
    const { next, measured } = tf.tidy(() => {
      const { errors, distances } = passDown(problem, { ...blocks, ...current });
      const next = forward(problem, blocks, first, errors);
      return { next, measured: tf.concat([tf.reshape(next.objective, [1]), distances]) };
    });
    const [objective, ...distances] = await measured.data();
    measured.dispose();
    // NaN ends the loop, too.
    isOpen = relativeDistances(distances).some((residual) => residual > config.tolerance);
    const isLower = objective <= least + rounding * Math.abs(least);
    // The blocks of the start are the caller's.
    for (const point of new Set(isLower ? [current, best] : [current])) {
      if (point !== start && (isLower || point !== best)) disposePoint(point);
    }
    if (isLower) {
      best = next;
      least = Math.min(least, objective);
    }
    current = next;
  }
  if (current !== best) disposePoint(current);
  const { inputs, preimages } = best;
  const solved = { inputs, preimages, parameters: blocks.parameters };
  const residuals = await residualsAt(problem, { ...solved, preActivations: best.preActivations });
  first.dispose();
  for (const { preActivations, objective } of [start, best]) {
    tf.dispose([preActivations.slice(1), objective]);
  }
  return { blocks: solved, iterations, residuals, residual: Math.max(...residuals) };
}

/** Joint residuals of X_1, X_2, ... at any activations; those of {@link updateActivationsJointly} at its own. */
export async function jointResiduals(problem: LiftedProblem, blocks: Blocks): Promise<number[]> {
  const { network } = problem;
  const preActivations = blocks.parameters.map((layer, l) =>
    network.maps[l].apply(blocks.inputs[l], layer),
  );
  const residuals = await residualsAt(problem, { ...blocks, preActivations });
  tf.dispose(preActivations);
  return residuals;
}

async function residualsAt(
  problem: LiftedProblem,
  point: Blocks & Pick<Point, 'preActivations'>,
): Promise<number[]> {
  const distances = tf.tidy(() => passDown(problem, point, 0).distances);
  const residuals = relativeDistances(await distances.data());
  distances.dispose();
  return residuals;
}

/** Changes of activations and of the objective below this share are rounding errors. */
const rounding = 1e-6;

/** Activations with what belongs to them; a type of arrays that can be written to, as tensor scopes need. */
type Point = {
  inputs: tf.Tensor2D[];
  preimages: (tf.Tensor2D | undefined)[];
  /** U_l; that of the first layer is shared by all points. */
  preActivations: tf.Tensor2D[];
  objective: tf.Scalar;
};

function disposePoint({ inputs, preimages, preActivations, objective }: Point): void {
  for (const tensor of [...inputs.slice(1), ...preimages.slice(1), ...preActivations.slice(1)]) {
    tensor!.dispose();
  }
  objective.dispose();
}

/** U_l and the objective of the current activations. */
function pointAt(problem: LiftedProblem, blocks: Blocks, first: tf.Tensor2D): Point {
  const { maps } = problem.network;
  const preActivations = blocks.parameters.map((layer, l) =>
    l === 0 ? first : maps[l].apply(blocks.inputs[l], layer),
  );
  const objective = objectiveAt(problem, blocks, preActivations);
  return {
    inputs: [...blocks.inputs],
    preimages: [...blocks.preimages],
    preActivations,
    objective,
  };
}

/** X_{l+1} = phi(U_l + E_l) from the first layer on. */
function forward(
  problem: LiftedProblem,
  { inputs: [x], parameters }: Blocks,
  first: tf.Tensor2D,
  errors: readonly tf.Tensor2D[],
): Point {
  const { maps, activations } = problem.network;
  const inputs = [x];
  const preimages: (tf.Tensor2D | undefined)[] = [undefined];
  const preActivations = [first];
  for (const [l, error] of errors.entries()) {
    const preimage = tf.add(preActivations[l], error) as tf.Tensor2D;
    preimages.push(preimage);
    inputs.push(activations[l].phi(preimage));
    preActivations.push(maps[l + 1].apply(inputs[l + 1], parameters[l + 1]));
  }
  const objective = objectiveAt(problem, { inputs, preimages, parameters }, preActivations);
  return { inputs, preimages, preActivations, objective };
}

/** p_l, or the loss' weight in X-updates. */
const weightAbove = (problem: LiftedProblem, l: number): number =>
  (l === problem.network.activations.length ? problem.config.lossWeight : 1) *
  termWeight(problem, l);

function objectiveAt(
  problem: LiftedProblem,
  blocks: Blocks,
  preActivations: readonly tf.Tensor2D[],
): tf.Scalar {
  const terms = preActivations.map((u, l) =>
    tf.mul(termAbove(problem, blocks, l).value(u), weightAbove(problem, l)),
  );
  return tf.addN(terms) as tf.Scalar;
}

/**
 * New E_l of every hidden layer, and of each ||X - phi(U - r)||, ||X - phi(U)||, ||X|| and sum(U - r) at the old ones, [4 L]:
 * phi may turn NaN into a number, a sum does not.
 * @param theta 0: E stays, and r_l is that of the point
 */
function passDown(
  problem: LiftedProblem,
  point: Blocks & Pick<Point, 'preActivations'>,
  theta = problem.config.jointStep,
): { errors: tf.Tensor2D[]; distances: tf.Tensor1D } {
  const { maps, activations } = problem.network;
  const { inputs, preimages, parameters, preActivations } = point;
  const top = activations.length;
  const errors: tf.Tensor2D[] = [];
  const distances: tf.Scalar[][] = [];
  let outer = tf.mul(
    termAbove(problem, point, top).gradient(preActivations[top]),
    weightAbove(problem, top),
  ) as tf.Tensor2D;
  for (let l = top - 1; l >= 0; l--) {
    const { phi } = activations[l];
    const p = penaltyWeight(problem, l);
    const u = preActivations[l];
    const image = phi(u);
    const r = tf.div(maps[l + 1].adjoint(outer, parameters[l + 1].weights), p);
    const target = tf.sub(u, r) as tf.Tensor2D;
    const x = inputs[l + 1];
    const between = (value: tf.Tensor2D) => euclideanNorm(tf.sub(x, value));
    distances[l] = [
      between(phi(target)),
      between(image),
      euclideanNorm(x),
      tf.sum(target),
    ] as tf.Scalar[];
    const old = tf.sub(preimages[l + 1]!, u);
    errors[l] = tf.sub(tf.mul(old, 1 - theta), tf.mul(r, theta));
    outer = tf.mul(tf.sub(image, phi(tf.add(u, errors[l]))), p);
  }
  return { errors, distances: tf.stack(distances.flat()) as tf.Tensor1D };
}

/** Joint residuals of all layers from the distances of {@link passDown}. */
function relativeDistances(distances: ArrayLike<number>): number[] {
  return Array.from({ length: distances.length / 4 }, (_, l) => {
    const [distance, moved, size, sum] = Array.from({ length: 4 }, (_, i) => distances[4 * l + i]);
    if (!Number.isFinite(size) || !Number.isFinite(sum)) return Number.NaN;
    return distance <= rounding * size ? 0 : relativeTo(distance, moved);
  });
}
