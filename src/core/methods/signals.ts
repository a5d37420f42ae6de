import * as tf from '@tensorflow/tfjs';
import { isSmoothed } from '../network/activations/activation.js';
import { channelSums, layerGradient } from '../network/maps/linear-map.js';
import type { Layers, TrainedNetwork } from '../network/network.js';
import type { Norm } from '../network/norm.js';
import type { LayerParameters, Parameters } from '../network/parameters.js';
import type { Nudge } from './fields.js';
import { type Hardware, ideal } from './hardware.js';

/**
 * How the learning signal of a hidden layer follows from the one above it. `targetStep` c multiplies r of the
 * last hidden layer.
 */
export type SignalRule =
  | { readonly rule: 'back-propagation' }
  | { readonly rule: Nudge; readonly targetStep: number };

export type Signals = {
  /** g_l of every layer, [m, units], as the hardware sends it: at U_l, of the bias. */
  readonly gradients: tf.Tensor2D[];
  /** The same at the output of the layer's map, before max-pooling and norm, of the weights; g_l without those. */
  readonly mapGradients: tf.Tensor2D[];
  /** phi(U_l - r_l) of every hidden layer, [m, units]; none where the rule is back-propagation. */
  readonly lowered: tf.Tensor2D[];
};

/**
 * Learning signals g_l of all layers, top down: each layer's weight gradient is [P(X_l), 1]^T g_l. Rows are data
 * points, U_l = A_l(X_l; W_l) + b_l, X_{l+1} = phi(U_l), g_L is given, and with r = c A_l^T(g_l; W_l),
 *
 *     back-propagation:  g_{l-1} = phi'(U_{l-1}) r
 *     one-sided:         g_{l-1} = phi(U_{l-1}) - phi(U_{l-1} - r)
 *     two-sided:         g_{l-1} = (phi(U_{l-1} + r) - phi(U_{l-1} - r)) / 2
 *
 * c = `targetStep` at the last hidden layer and 1 elsewhere; 1 throughout for back-propagation. phi(U - r) is the step
 * of the X-block of a lifted network, and the difference dB/du at it; the two-sided one is that of dual propagation (Hoier, Staudt and Zach
 * 2023) and of centred equilibrium propagation (Laborieux et al. 2021). Where r is small, both are c times
 * back-propagation; where it is not, the one-sided one has an error of the order of r^2 with one sign.
 *
 * A norm is a non-linearity with variables of its own, lifted as the activation above it is: the rule's difference of
 * the norm, with r = g_l, gives the signal of the map's output. A skip connection adds S^T g_l to r where its input is; max-pooling
 * routes r (maps/max-pool.ts), and dropout multiplies it by the mask of the forward pass.
 *
 * @param outputGradient g_L [m, classes]
 * @param hardware sends each g_l, and reads each phi of a difference, and U for phi'(U)
 */
export function learningSignals(
  network: TrainedNetwork,
  parameters: Parameters,
  { inputs, preActivations, between }: Layers,
  outputGradient: tf.Tensor2D,
  signal: SignalRule,
  hardware: Hardware = ideal,
): Signals {
  let g = hardware.signal(outputGradient);
  const gradients = [g];
  const mapGradients: tf.Tensor2D[] = [];
  const lowered: tf.Tensor2D[] = [];
  /** What skip connections add to the signal of X_l. */
  const skipped: tf.Tensor2D[] = [];
  const head = network.activations.length;
  for (let l = head; ; l--) {
    const { norm, maxPool, skip, isFrozen } = network.stages[l];
    const { mapped, pooled } = between[l];
    // Nothing below a first layer without trained weights needs a signal.
    const isUsed = l > 0 || !isFrozen;
    let atMap = norm && isUsed ? normSignal(norm, pooled!, g, signal) : g;
    if (maxPool && isUsed) atMap = maxPool.route(mapped!, pooled ?? maxPool.apply(mapped!), atMap);
    mapGradients.unshift(atMap);
    if (l === 0) return { gradients, mapGradients, lowered };
    if (skip) {
      const back = skip.adjoint(g);
      const other = skipped[skip.from];
      skipped[skip.from] = other ? tf.add(other, back) : back;
    }
    let back = network.maps[l].adjoint(atMap, parameters[l].weights);
    if (skipped[l]) back = tf.add(back, skipped[l]);
    const { outerPool } = network.stages[l - 1];
    const { kept, activations } = between[l - 1];
    if (outerPool) back = outerPool.route(activations!, inputs[l], back);
    if (kept) back = tf.mul(back, kept);
    const activation = network.activations[l - 1];
    const { phi, slope } = activation;
    const u = preActivations[l - 1];
    // X_l would have the noise of the forward pass, dropout or pooling besides, and is not smoothed.
    const isWhole = hardware.isIdeal && !isSmoothed(activation) && !outerPool && !kept;
    const value = (at: tf.Tensor2D) => (isWhole ? inputs[l] : phi(at));
    if (signal.rule === 'back-propagation') {
      const [seen] = hardware.read(u);
      g = tf.mul(slope(seen, value(seen)), back);
    } else {
      const r = l === head ? (tf.mul(back, signal.targetStep) as tf.Tensor2D) : back;
      const low = phi(tf.sub(u, r));
      lowered.unshift(low);
      const isCentred = signal.rule === 'two-sided';
      const [upper, lower] = hardware.read(isCentred ? phi(tf.add(u, r)) : value(u), low);
      g = isCentred ? tf.mul(tf.sub(upper, lower), 0.5) : tf.sub(upper, lower);
    }
    g = hardware.signal(g);
    gradients.unshift(g);
  }
}

/** The signal below a norm of P [m, units], from g above it. */
function normSignal(
  norm: Norm,
  pooled: tf.Tensor2D,
  g: tf.Tensor2D,
  { rule }: SignalRule,
): tf.Tensor2D {
  return rule === 'back-propagation'
    ? norm.slopeTimes(pooled, g)
    : norm.difference(pooled, g, rule === 'two-sided');
}

/** The gradient of weights and bias of a layer from its signals; of weights that are not trained it is 0. */
export function gradientOf(
  network: TrainedNetwork,
  { gradients, mapGradients }: Pick<Signals, 'gradients' | 'mapGradients'>,
  inputs: readonly tf.Tensor2D[],
  l: number,
): LayerParameters {
  const map = network.maps[l];
  const { norm, maxPool, isFrozen } = network.stages[l];
  if (!norm && !maxPool && !isFrozen) return layerGradient(map, inputs[l], gradients[l]);
  const [patch, channels] = map.weightShape;
  return {
    weights: isFrozen
      ? tf.zeros([patch, channels])
      : map.weightGradient!(inputs[l], mapGradients[l]),
    bias: channelSums(gradients[l], channels),
  };
}
