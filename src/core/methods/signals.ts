import * as tf from '@tensorflow/tfjs';
import { isSmoothed } from '../network/activations/activation.js';
import type { Layers, TrainedNetwork } from '../network/network.js';
import type { Parameters } from '../network/parameters.js';
import type { Nudge } from './fields.js';
import { ideal } from './hardware.js';

/**
 * How the learning signal of a hidden layer follows from the one above it. `targetStep` c multiplies r of the
 * last hidden layer.
 */
export type SignalRule =
  | { readonly rule: 'back-propagation' }
  | { readonly rule: Nudge; readonly targetStep: number };

export type Signals = {
  /** g_l of every layer, [m, units], as the hardware sends it. */
  readonly gradients: tf.Tensor2D[];
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
 * @param outputGradient g_L [m, classes]
 * @param hardware sends each g_l, and reads each phi of a difference, and U for phi'(U)
 */
export function learningSignals(
  network: TrainedNetwork,
  parameters: Parameters,
  { inputs, preActivations }: Layers,
  outputGradient: tf.Tensor2D,
  signal: SignalRule,
  hardware = ideal,
): Signals {
  let g = hardware.signal(outputGradient);
  const gradients = [g];
  const lowered: tf.Tensor2D[] = [];
  const head = network.activations.length;
  for (let l = head; l > 0; l--) {
    const activation = network.activations[l - 1];
    const { phi, slope } = activation;
    const u = preActivations[l - 1];
    // X_l would have the noise of the forward pass besides, and is not smoothed.
    const value = (at: tf.Tensor2D) =>
      hardware.isIdeal && !isSmoothed(activation) ? inputs[l] : phi(at);
    const back = network.maps[l].adjoint(g, parameters[l].weights);
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
  return { gradients, lowered };
}
