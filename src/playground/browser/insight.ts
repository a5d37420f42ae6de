import * as tf from '@tensorflow/tfjs';
import { gatherRows, oneHot } from '../../core/batches.js';
import { hiddenActivations } from '../../core/evaluate.js';
import type { PreconditionedConfig } from '../../core/methods/preconditioned/config.js';
import { lossGradient } from '../../core/methods/preconditioned/preconditioned.js';
import { learningSignals, type SignalRule } from '../../core/methods/signals.js';
import { forwardLayers } from '../../core/network/network.js';
import { scoped } from '../../core/training.js';
import type { Histogram, Insight, SignalName } from '../protocol.js';
import type { MethodRun, Session } from './trainer.js';

/** Training images whose pre-activations are counted. */
const probeRows = 200;
const bins = 48;
const mostFilters = 32;

/** The layers of a method as they are now. */
export async function look(session: Session, run: MethodRun): Promise<Insight> {
  const parameters = run.training.parameters();
  const { data, network, shape } = session;
  const { layers } = await hiddenActivations(
    network,
    parameters,
    shape.layers,
    data.test,
    data.levels,
  );
  const images = Math.min(8, data.test.count);
  const activations = layers.map(({ shape: [height, width, channels], values }) => {
    const units = height * width * channels;
    return Array.from({ length: images }, (_, i) => values.slice(i * units, (i + 1) * units));
  });
  const { weights } = parameters[0];
  const [inputs, units] = weights.shape;
  const values = await weights.data();
  const filters = Array.from({ length: Math.min(mostFilters, units) }, (_, k) =>
    Float32Array.from({ length: inputs }, (_, i) => values[i * units + k]),
  );
  const histograms = await scoped(
    () => countLayers(session, run),
    () => [],
  );
  return { label: run.entry.label, batch: run.batch, filters, activations, histograms };
}

/** What is drawn of a hidden layer, on the host: [rows * units] each. */
interface LayerValues {
  readonly u: ArrayLike<number>;
  readonly r?: ArrayLike<number>;
  readonly signals?: Readonly<Record<SignalName, ArrayLike<number>>>;
}

/**
 * U_l of the hidden layers on some training images, and r_l, by which the X-update moves it: r = c A^T g of the layer
 * above, with the targets and the scale of the loss of the method (core/methods/signals.ts).
 */
async function countLayers(session: Session, run: MethodRun): Promise<Histogram[]> {
  const { data, network } = session;
  const { train, levels, classes } = data;
  const rows = Uint32Array.from({ length: Math.min(probeRows, train.count) }, (_, i) => i);
  const parameters = run.training.parameters();
  const x = tf.tensor2d(gatherRows(train, rows, levels), [rows.length, 784]);
  const layers = forwardLayers(network, parameters, x);
  const hidden = layers.preActivations.slice(0, -1);
  const { config } = run.entry;
  if (config.targetStep === undefined) {
    const values = await Promise.all(hidden.map(async (u) => ({ u: await u.data() })));
    return values.map(histogramOf);
  }
  const { nudge, targetStep } = config as { nudge: 'one-sided'; targetStep: number };
  const rule: SignalRule = { rule: nudge, targetStep };
  const y = tf.tensor2d(oneHot(train.labels, rows, classes), [rows.length, classes]);
  const context = { config: config as PreconditionedConfig, loss: run.experiment.loss };
  const outputGradient = lossGradient(context, { y, preActivations: layers.preActivations });
  const { gradients } = learningSignals(network, parameters, layers, outputGradient, rule);
  const values = hidden.map(async (u, l): Promise<LayerValues> => {
    const { phi, slope } = network.activations[l];
    const back = network.maps[l + 1].adjoint(gradients[l + 1], parameters[l + 1].weights);
    const r: tf.Tensor2D = tf.mul(back, l === hidden.length - 1 ? targetStep : 1);
    const value = phi(u);
    const low = phi(tf.sub(u, r));
    const signals = {
      'back-propagation': await tf.mul(slope(u, value), r).data(),
      'one-sided': await tf.sub(value, low).data(),
      'two-sided': await tf.mul(tf.sub(phi(tf.add(u, r)), low), 0.5).data(),
    };
    return { u: await u.data(), r: await r.data(), signals };
  });
  return (await Promise.all(values)).map(histogramOf);
}

function histogramOf({ u, r, signals }: LayerValues): Histogram {
  const [low, high] = centralRange(u);
  const counts = new Array<number>(bins).fill(0);
  const squares = new Array<number>(bins).fill(0);
  const products = signals && mapSignals(signals, () => new Array<number>(bins).fill(0));
  const scale = bins / (high - low);
  for (let i = 0; i < u.length; i++) {
    const bin = Math.floor((u[i] - low) * scale);
    if (!(bin >= 0 && bin < bins)) continue;
    counts[bin]++;
    if (!r || !signals || !products) continue;
    squares[bin] += r[i] * r[i];
    for (const name of Object.keys(signals) as SignalName[]) {
      products[name][bin] += signals[name][i] * r[i];
    }
  }
  const shares = counts.map((count) => count / u.length);
  if (!products) return { low, high, counts: shares };
  return {
    ...{ low, high, counts: shares },
    steps: squares.map((sum, bin) => Math.sqrt(sum / counts[bin])),
    slopes: mapSignals(products, (sums) => sums.map((sum, bin) => sum / squares[bin])),
  };
}

const mapSignals = <From, To>(
  signals: Readonly<Record<SignalName, From>>,
  change: (signal: From) => To,
): Record<SignalName, To> =>
  Object.fromEntries(
    Object.entries(signals).map(([name, signal]) => [name, change(signal)]),
  ) as Record<SignalName, To>;

/** All but the outermost thousandths, with zero inside. */
function centralRange(values: ArrayLike<number>): [number, number] {
  const sorted = Float32Array.from(values).sort();
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))];
  const low = Math.min(at(0.001), -0.1);
  const high = Math.max(at(0.999), 0.1);
  return [low, high];
}

/** The network's outputs for an image [784] of 8-bit grey, and its hidden activations. */
export async function classify(
  { network, data }: Session,
  run: MethodRun,
  pixels: Uint8Array,
): Promise<{ outputs: number[]; hidden: Float32Array[] }> {
  const image = { images: pixels, labels: new Uint8Array(1), count: 1 };
  return scoped(
    async () => {
      const x = tf.tensor2d(gatherRows(image, [0], data.levels), [1, 784]);
      const { inputs, preActivations } = forwardLayers(network, run.training.parameters(), x);
      const last = preActivations[preActivations.length - 1];
      const outputs = run.experiment.loss === 'cross-entropy' ? tf.softmax(last) : last;
      const hidden = inputs.slice(1).map(async (value) => (await value.data()) as Float32Array);
      return { outputs: [...(await outputs.data())], hidden: await Promise.all(hidden) };
    },
    () => [],
  );
}
