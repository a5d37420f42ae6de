import * as tf from '@tensorflow/tfjs';
import type { Experiment } from '../config/experiment.js';
import { disposeParameters } from '../core/network/network.js';
import type { Parameters } from '../core/network/parameters.js';
import { UsageError } from '../errors.js';
import { centre, certify, maxPairedRows, squaredDeviation } from './certificate.js';
import { affine64, loss64, squares64 } from './float64.js';
import { minimisePrimal } from './primal-descent.js';
import type { BoundProblem, BoundSettings } from './problem.js';

/** Every objective is float64, and in units of p below. */
export interface CertificateReport {
  readonly kind: 'certificate';
  readonly rho: readonly number[];
  readonly seed: number;
  readonly images: number;
  /** Hidden units of the network that was trained; the bound holds for any number. */
  readonly width: number;
  /** p of the network that was trained: an upper bound of p*. */
  readonly reached: number;
  /** A lower bound of p*, rounding included. */
  readonly certified: number;
  /** certified / reached */
  readonly share: number;
  /** p of a network of zero weights, whose output is the mean target. */
  readonly constant: number;
  /** The loss in `reached`. */
  readonly loss: number;
  /** Fraction of the training images that the network classifies correctly. */
  readonly trainAccuracy: number;
  /** Whether pairs of images had multipliers: where there are few enough. */
  readonly paired: boolean;
  /** Steps of the ascent. */
  readonly steps: number;
}

/** @throws UsageError unless the network is one hidden ReLU layer with loss mse */
export function checkCertifiable({ network, loss }: Experiment): void {
  const { activations } = network;
  if (activations.length !== 1 || activations[0] !== 'relu' || loss !== 'mse') {
    const what = `${activations.length} hidden layer${activations.length === 1 ? '' : 's'}${activations.length > 0 ? ` (${activations.join(', ')})` : ''} and loss ${loss}`;
    throw new UsageError(
      `--certify needs one hidden layer with relu and loss mse, and the config has ${what}. ` +
        'Try loss=mse, or leave out --certify',
    );
  }
}

/**
 * A network of one hidden ReLU layer, trained, beside a lower bound of the minimum over networks of every width:
 *
 *     p = ||relu([X, 1] W) A + c - Y||^2 / m + rho_1 ||W||^2 + rho_2 ||A||^2,
 *
 * X the inputs less their mean over the images. W includes the biases of the hidden layer, which have a ridge here; c has
 * none. Scaling a unit's two weights against each other shows that p* is (2/m) times the minimum in certificate.ts,
 * with beta = m sqrt(rho_1 rho_2).
 *
 * @param initial disposed by the caller, as is the problem
 * @throws UsageError for a convolution, or pooling between the layers
 */
export async function networkCertificate(
  { network, x, y, rho }: BoundProblem,
  { seed }: BoundSettings,
  initial: Parameters,
): Promise<CertificateReport> {
  const [first, second] = network.maps;
  const width = first.weightShape[1];
  if (first.positions !== 1 || second.positions !== 1 || second.weightShape[0] !== width) {
    throw new UsageError(
      '--certify needs fully connected layers: no convolution, and no pooling after the hidden layer. ' +
        'Try network.layers=[{dense: 50, activation: relu}, {dense: 10}], or leave out --certify',
    );
  }
  const [m, q] = y.shape;
  const patches = first.patches(x);
  const inputs = Float64Array.from(await patches.data());
  patches.dispose();
  const p = inputs.length / m;
  centre(inputs, m, p);
  const targets = Float64Array.from(await y.data());
  const [weights, hiddenBias, head, bias] = await train({ inputs, p, y, rho }, initial);

  const hidden = affine64(inputs, weights, hiddenBias).map((u) => Math.max(0, u));
  const outputs = affine64(hidden, head, bias);
  const loss = loss64('mse', targets, outputs, q) / m;
  const ridge = rho[0] * (squares64(weights) + squares64(hiddenBias)) + rho[1] * squares64(head);
  const withOnes = new Float64Array(m * (p + 1)).fill(1);
  for (let i = 0; i < m; i++) withOnes.set(inputs.subarray(i * p, (i + 1) * p), i * (p + 1));
  // Rounded down: N(R) <= beta proves less for a smaller beta.
  const beta = m * Math.sqrt(rho[0] * rho[1]) * (1 - 1e-15);
  const { value, steps } = await certify({ inputs: withOnes, targets, rows: m, beta });
  const certified = ((2 * value) / m) * (1 - 1e-15);
  const reached = loss + ridge;
  return {
    kind: 'certificate',
    rho,
    seed,
    images: m,
    width,
    reached,
    certified,
    share: certified / reached,
    constant: squaredDeviation(targets, q) / m,
    loss,
    trainAccuracy: accuracy(outputs, targets, q),
    paired: m <= maxPairedRows,
    steps,
  };
}

/** W, its biases, A and c of the network that Adam finds. */
async function train(
  {
    inputs,
    p,
    y,
    rho,
  }: { inputs: Float64Array; p: number; y: tf.Tensor2D; rho: readonly number[] },
  initial: Parameters,
): Promise<Float64Array[]> {
  const m = y.shape[0];
  const x = tf.tensor2d(Float32Array.from(inputs), [m, p]);
  const objective = ([first, second]: Parameters): tf.Scalar => {
    const hidden = tf.relu(tf.add(tf.matMul(x, first.weights), first.bias));
    const outputs = tf.add(tf.matMul(hidden, second.weights), second.bias);
    const size = (values: tf.Tensor) => tf.sum(tf.square(values));
    return tf.addN([
      tf.div(tf.sum(tf.squaredDifference(y, outputs)), m),
      tf.mul(tf.add(size(first.weights), size(first.bias)), rho[0]),
      tf.mul(size(second.weights), rho[1]),
    ]) as tf.Scalar;
  };
  const found = await minimisePrimal(objective, initial);
  const values = await Promise.all(
    found.flatMap((layer) => [layer.weights.data(), layer.bias.data()]),
  );
  disposeParameters(found);
  x.dispose();
  return values.map((value) => Float64Array.from(value));
}

function accuracy(outputs: Float64Array, targets: Float64Array, q: number): number {
  const top = (values: Float64Array, row: number) => {
    const part = values.subarray(row * q, (row + 1) * q);
    return part.indexOf(part.reduce((a, b) => Math.max(a, b)));
  };
  const rows = targets.length / q;
  let correct = 0;
  for (let i = 0; i < rows; i++) if (top(outputs, i) === top(targets, i)) correct++;
  return correct / rows;
}

/** What the numbers prove and what they do not. */
export function certificateStatements({ certified, reached, share }: CertificateReport): string[] {
  const percent = (100 * share).toFixed(1);
  return [
    `Certified: the minimum p* over networks with one hidden ReLU layer of any width lies between ${certified.toPrecision(6)} ` +
      `and ${reached.toPrecision(6)}, the value reached, of which ${percent} % is certified (weak duality; float64, rounding included).`,
    'Not certified: where in between. The inputs are centred, and the ridge includes the biases of the hidden layer: the bound ' +
      'does not hold without that ridge.',
  ];
}
