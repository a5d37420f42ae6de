import * as tf from '@tensorflow/tfjs';
import {
  type Activation,
  divergence64,
  isSmoothed,
  type SmoothedActivation,
} from '../network/activations/activation.js';
import { preActivation, type TrainedNetwork } from '../network/network.js';
import type { Parameters } from '../network/parameters.js';
import { type Rows, sumScalars } from './full-batch/rows.js';
import type { LayerMetrics } from './method.js';

/** Activations and weights before a step, or after it. */
export interface Lifted {
  /** X_l from the first layer on; of the output only where it has a variable. In chunks of rows. */
  readonly activations: readonly Rows[];
  readonly parameters: Parameters;
}

/** A step on the rows `x`, X_0. */
export interface LiftedStep {
  readonly x: Rows;
  /** Its X is that of a forward pass where the step starts with one. */
  readonly before: Lifted;
  readonly after: Lifted;
  /** What dropout multiplied the activations of each hidden layer by, if anything: X_0 is one chunk then. */
  readonly kept?: readonly (tf.Tensor2D | undefined)[];
  /** Of the sub-problems solved for each layer; absent where the method solves none. */
  readonly residuals?: readonly (readonly number[])[];
}

/** Slopes above this share of the largest one count as active. */
const activeSlope = 0.1;

/**
 * Units of a layer, in a chunk of rows, whose penalty is computed on the host, at most: of larger ones it is that of the
 * first rows. One of gelu takes a microsecond.
 */
const mostOnHost = 1 << 21;

/** Measures every layer, from the blocks alone: the same code for every method. */
export async function measureLayers(
  network: TrainedNetwork,
  step: LiftedStep,
  most = mostOnHost,
): Promise<LayerMetrics[]> {
  const { x, before, after, residuals } = step;
  const rows = x.reduce((sum, chunk) => sum + chunk.shape[0], 0);
  const measured: LayerMetrics[] = [];
  for (const [l, { weights }] of after.parameters.entries()) {
    const old = before.parameters[l].weights;
    const [change, size] = await sumScalars([weights], () => distances(weights, old));
    const solved = residuals?.[l] ?? [];
    const hasVariable = l < after.activations.length;
    measured.push({
      weightChange: ratio(change, size),
      residual: solved.length > 0 ? Math.max(...solved) : undefined,
      ...(hasVariable && (await measureActivations(network, step, l, rows, most))),
    });
  }
  return measured;
}

async function measureActivations(
  network: TrainedNetwork,
  { x, before, after, kept }: LiftedStep,
  l: number,
  rows: number,
  most: number,
): Promise<LayerMetrics> {
  const activation = l < network.activations.length ? network.activations[l] : undefined;
  const phi = (u: tf.Tensor2D) => activation?.phi(u) ?? u;
  const inputs = (chunk: number) => [
    x[chunk],
    ...after.activations
      .slice(0, l)
      .map((rows, i) => passedOn(network.stages[i], rows[chunk], kept?.[i])),
  ];
  const predicted = (chunk: number, { parameters }: Lifted) =>
    preActivation(network, l, inputs(chunk), parameters[l]).u;
  const values = await sumScalars(x, (chunk) => {
    const now = after.activations[l][chunk];
    // Before the others exist: of a wide layer each is large.
    const ofTarget = tf.tidy(() => distances(now, phi(predicted(chunk, before))));
    const u = predicted(chunk, after);
    const image = phi(u);
    return [
      ...distances(now, image),
      ...distances(now, before.activations[l][chunk]),
      ...ofTarget,
      activation ? activeUnits(activation, u, image) : tf.scalar(0),
      activation
        ? tf.tidy(() => tf.sum(activation.divergence?.(now, u) ?? tf.scalar(0)))
        : tf.mul(tf.sum(tf.squaredDifference(now, u)), 0.5),
    ];
  });
  const [gap, image, moved, old, asked, oldImage, active] = values;
  let penalty = values[values.length - 1];
  if (activation && !isSmoothed(activation) && !activation.divergence) {
    for (const chunk of x.keys()) {
      const now = after.activations[l][chunk];
      const [m, units] = now.shape;
      const used = Math.min(m, Math.max(1, Math.floor(most / units)));
      const first = tf.tidy(() =>
        [now, predicted(chunk, after)].map((value) => tf.slice(value, 0, used)),
      ) as tf.Tensor2D[];
      penalty += (m / used) * (await divergenceOnHost(activation, first[0], first[1]));
      tf.dispose(first);
    }
  }
  return {
    penalty: penalty / rows,
    constraintViolation: ratio(gap, image),
    activeShare:
      activation && active / x.reduce((sum, _, i) => sum + after.activations[l][i].size, 0),
    activationChange: ratio(moved, old),
    targetChange: ratio(asked, oldImage),
  };
}

/** Inputs of the next layer from activations: dropout and max-pooling. */
export const passedOn = (
  { outerPool }: TrainedNetwork['stages'][number],
  activations: tf.Tensor2D,
  kept: tf.Tensor2D | undefined,
): tf.Tensor2D =>
  tf.tidy(() => {
    const values: tf.Tensor2D = kept ? tf.mul(activations, kept) : activations;
    return outerPool ? outerPool.apply(values) : values.clone();
  });

function activeUnits(
  { slope, maxSlope }: Activation | SmoothedActivation,
  u: tf.Tensor2D,
  v: tf.Tensor2D,
): tf.Scalar {
  return tf.tidy(() => tf.sum(tf.step(tf.sub(slope(u, v), tf.mul(activeSlope, maxSlope)))));
}

/** sum B(v, u) in float64: in float32 its terms cancel where v is near phi(u). */
async function divergenceOnHost(
  activation: Activation,
  activations: tf.Tensor2D,
  predicted: tf.Tensor2D,
): Promise<number> {
  const [v, u] = await Promise.all([activations.data(), predicted.data()]);
  let sum = 0;
  for (let i = 0; i < v.length; i++) sum += divergence64(activation, v[i], u[i]);
  return sum;
}

/** ||A - B||^2 and ||B||^2 */
const distances = (a: tf.Tensor, b: tf.Tensor): tf.Scalar[] => [
  tf.tidy(() => tf.sum(tf.squaredDifference(a, b))),
  tf.tidy(() => tf.sum(tf.square(b))),
];

/** Of lengths, from their squares; undefined where only the second is 0. */
function ratio(square: number, reference: number): number | undefined {
  if (reference > 0) return Math.sqrt(square / reference);
  return square === 0 ? 0 : undefined;
}
