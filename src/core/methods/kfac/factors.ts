import * as tf from '@tensorflow/tfjs';
import { compiled } from '../../compile.js';
import { losses } from '../../network/loss.js';
import type { LossName } from '../../network/names.js';
import { type Layers, smoothedNetwork, type TrainedNetwork } from '../../network/network.js';
import type { Parameters } from '../../network/parameters.js';
import { type Draws, drawNoise, hardwareOf, ideal, type NoiseTape } from '../hardware.js';
import type { MethodContext } from '../method.js';
import {
  applyInverse,
  averageMoments,
  type DenseInverse,
  invertWith,
  type Moment,
  meanDiagonals,
  momentOf,
  movingShare,
  zeroMoment,
} from '../preconditioned/moments.js';
import type { ForwardPass } from '../preconditioned/preconditioned.js';
import { inputMoment, leadingSubspace, sampledMoment } from '../preconditioned/preconditioner.js';
import { learningSignals } from '../signals.js';
import type { KfacConfig } from './config.js';

/**
 * The Kronecker factors of K-FAC: of each layer A = E sum_t [x_t, 1] [x_t, 1]^T and S = E sum_t g_t g_t^T / T over the
 * T output positions t, with signals g_t for labels that are sampled from the network's own predictions.
 */
export type KroneckerFactors = {
  /** A of each layer, but a first one whose inputs never change. */
  readonly inputs: readonly Moment[];
  /** S of each layer. */
  readonly signals: readonly Moment[];
  /** Of each layer; absent before the first batch. */
  readonly inverses: readonly Inverses[] | undefined;
};

/** (A + sqrt(d) pi I)^-1 and (S + sqrt(d) / pi I)^-1. */
export type Inverses = { readonly inputs: DenseInverse; readonly signals: DenseInverse };

/** What the factors are computed with: constants of a run. */
export type FactorConstants = {
  /** A of a fully connected first layer, whose inputs never change. */
  readonly first: FixedInputs | undefined;
  readonly tape: NoiseTape;
};

type Context = MethodContext<KfacConfig>;

export const initialFactors = (
  { network }: Pick<Context, 'network'>,
  { first }: FactorConstants,
): KroneckerFactors => ({
  inputs: (first ? network.maps.slice(1) : network.maps).map(({ weightShape }) =>
    zeroMoment(weightShape[0] + 1),
  ),
  signals: network.maps.map(({ weightShape }) => zeroMoment(weightShape[1])),
  inverses: undefined,
});

/**
 * Takes in batch t (from 0) where that is due.
 * @throws NotPositiveDefiniteError when a damped factor cannot be inverted
 */
export async function updateFactors(
  context: Context,
  { first, tape }: FactorConstants,
  t: number,
  old: KroneckerFactors,
  pass: ForwardPass,
): Promise<KroneckerFactors> {
  const f = movingShare(context.config, t);
  if (f === undefined) return old;
  const { inputs, signals } = old;
  const covered = inputs.length;
  const batch = batchFactors(context, {
    ...pass,
    labels: drawLabels(context, t, pass.y.shape),
    draws: drawNoise(context, tape, `sampled/${t}`),
  });
  const moments = await averageMoments(
    context,
    f,
    [...inputs, ...signals],
    [...batch.inputs.slice(-covered), ...batch.signals],
  );
  const means = meanDiagonals(context, moments);
  const ridges = damped(context, {
    inputs: [...(first ? [first.meanDiagonal] : []), ...means.slice(0, covered)],
    signals: means.slice(covered),
  });
  const inverted = await invertWith(
    context,
    [...(first ? [first.moment] : []), ...moments],
    [...ridges.inputs, ...ridges.signals],
  );
  const layers = ridges.inputs.length;
  return {
    inputs: moments.slice(0, covered),
    signals: moments.slice(covered),
    inverses: inverted
      .slice(0, layers)
      .map((inverse, l) => ({ inputs: inverse, signals: inverted[layers + l] })),
  };
}

/**
 * The random numbers of batch t: a uniform one for each row to choose its label, or normal ones for each output of a
 * loss without labels. They depend on the seed and t alone, so that resumed runs draw the same.
 */
function drawLabels(context: Context, t: number, [rows, outputs]: number[]): tf.Tensor2D {
  const random = context.stream(`kfac/${t}`);
  const isLabel = context.loss === 'cross-entropy';
  const columns = isLabel ? 1 : outputs;
  const values = Float32Array.from({ length: rows * columns }, () =>
    isLabel ? random.uniform() : random.normal(),
  );
  return tf.tensor2d(values, [rows, columns]);
}

/**
 * The loss gradient at the outputs U [m, classes] for labels drawn from softmax(U), by its cumulative sums and `noise`
 * [m, 1]; for other losses, of `noise` [m, outputs], whose covariance is the Hessian of the squared error, 2 I, and the
 * bound curvature I of that of a plugin's loss.
 */
export function sampledGradient(
  loss: LossName,
  outputs: tf.Tensor2D,
  noise: tf.Tensor2D,
): tf.Tensor2D {
  if (loss !== 'cross-entropy') return tf.mul(noise, Math.sqrt(losses[loss].curvature));
  const [rows, classes] = outputs.shape;
  const probabilities = tf.softmax(outputs);
  const below = tf.slice(tf.cumsum(probabilities, 1), [0, 0], [rows, classes - 1]);
  const label = tf.sum(tf.cast(tf.lessEqual(below, noise), 'float32'), 1, true);
  const drawn = tf.cast(tf.equal(tf.range(0, classes), label), 'float32');
  return tf.sub(probabilities, drawn);
}

type Sampled = ForwardPass & { readonly labels: tf.Tensor2D; readonly draws: Draws };

const batchFactors = compiled((context: Context, { labels, draws, ...pass }: Sampled) => {
  const outputs = pass.preActivations[pass.preActivations.length - 1];
  const g = sampledGradient(context.loss, outputs, labels);
  const { config } = context;
  const network = smoothedNetwork(context.network, pass.epsilon);
  return kroneckerFactors({ config, network }, pass, g, hardwareOf(config, draws));
});

/** A and S of every layer, for signals that start from the gradient `g` [m, outputs]; inside a tidy. */
export function kroneckerFactors(
  { network, config }: Pick<Context, 'config'> & { readonly network: TrainedNetwork },
  { parameters, ...layers }: Layers & { readonly parameters: Parameters },
  g: tf.Tensor2D,
  hardware = ideal,
): { readonly inputs: tf.Tensor2D[]; readonly signals: tf.Tensor2D[] } {
  const rule = { rule: 'back-propagation' } as const;
  const { gradients } = learningSignals(network, parameters, layers, g, rule, hardware);
  return {
    inputs: network.maps.map((map, l) => inputMoment({ config }, map, layers.inputs[l])),
    signals: network.maps.map(({ weightShape: [, channels] }, l) => {
      const positions: tf.Tensor2D = tf.reshape(gradients[l], [-1, channels]);
      return tf.div(tf.matMul(positions, positions, true, false), positions.shape[0]);
    }),
  };
}

type Means = { readonly inputs: readonly tf.Scalar[]; readonly signals: readonly tf.Scalar[] };

/** sqrt(d) pi and sqrt(d) / pi, from the mean diagonal entries of A and S. */
const damped = compiled(({ config }: Context, { inputs, signals }: Means): Means => {
  const ridge = (own: tf.Scalar, other: tf.Scalar): tf.Scalar =>
    tf.sqrt(tf.mul(config.damping, tf.div(own, tf.maximum(other, smallestMean))));
  return {
    inputs: inputs.map((a, l) => ridge(a, signals[l])),
    signals: signals.map((s, l) => ridge(tf.maximum(s, smallestMean), inputs[l])),
  };
});

/** Below it a factor of zeros, of units that are never active, would leave nothing to invert. */
const smallestMean = 1e-20;

/** E [x, 1] [x, 1]^T of a fully connected first layer, to be damped by an amount that changes. */
export type FixedInputs = {
  /** A, or Q^T A Q with an orthonormal Q of leading eigenvectors. */
  readonly moment: Moment;
  readonly meanDiagonal: tf.Scalar;
  readonly subspace: Subspace | undefined;
};

/** Q [n, rank], and the mean of the eigenvalues of A beyond it. */
export type Subspace = { readonly basis: tf.Tensor2D; readonly rest: tf.Scalar };

export async function fixedInputs({
  config,
  network,
  train,
}: Pick<Context, 'network' | 'train'> & {
  readonly config: Pick<KfacConfig, 'inputRank'>;
}): Promise<FixedInputs> {
  const gram = sampledMoment(train, network.maps[0]);
  const n = gram.shape[0];
  const [trace] = await tf.sum(tf.mul(gram, tf.eye(n))).data();
  const meanDiagonal = tf.scalar(trace / n);
  const rank = config.inputRank;
  if (rank >= n) return { moment: await momentOf(gram), meanDiagonal, subspace: undefined };
  const rows = Float32Array.from((await leadingSubspace(gram, rank)).basis);
  const basis: tf.Tensor2D = tf.transpose(tf.tensor2d(rows, [rank, n]));
  const moment: tf.Tensor2D = tf.matMul(basis, tf.matMul(gram, basis), true, false);
  const [kept] = await tf.sum(tf.mul(moment, tf.eye(rank))).data();
  const rest = tf.scalar(Math.max(0, trace - kept) / (n - rank));
  return { moment: await momentOf(moment), meanDiagonal, subspace: { basis, rest } };
}

/** (A + delta I)^-1 G; with Q and r the rest, Q (Q^T A Q + delta I)^-1 Q^T G + (G - Q Q^T G) / (r + delta). */
export function applyInputs(
  inverse: DenseInverse,
  g: tf.Tensor2D,
  subspace: Subspace | undefined,
): tf.Tensor2D {
  if (!subspace) return applyInverse(inverse, g);
  const { basis, rest } = subspace;
  const beyond = tf.add(rest, inverse.delta);
  const inside: tf.Tensor2D = tf.matMul(basis, g, true, false);
  const change = tf.sub(applyInverse(inverse, inside), tf.div(inside, beyond));
  return tf.add(tf.matMul(basis, change), tf.div(g, beyond));
}
