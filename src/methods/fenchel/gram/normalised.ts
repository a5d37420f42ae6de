import * as tf from '@tensorflow/tfjs';
import { losses } from '../../../network/loss.js';
import type { LinearMap } from '../../../network/maps/linear-map.js';
import type { LayerParameters } from '../../../network/network.js';
import { splitBias } from '../../../network/stacked.js';
import { dampedInverse, meanDiagonal } from '../../../solvers/damped-inverse.js';
import type { MethodContext } from '../../method.js';
import type { FenchelConvolutionConfig } from './config.js';
import { gramMatrix } from './gram-matrix.js';
import { RunningGram } from './running-gram.js';
import type { LayerState, WeightStep } from './weight-step.js';

/**
 * Steps of a normalised length, for networks with convolutions. Layers whose weights are shared by
 * many positions have Gram matrices of very different sizes: each layer's step is scaled so that it
 * changes the layer's pre-activations by a given root mean square, whatever the metric's units.
 *
 * With C_l the average of patches(F_l)^T patches(F_l), summed over positions, h_l the curvature of
 * the term above (sup phi', or 1/2 for the loss) and H_l = h_l C_l:
 *
 *     D = (H_l + delta I)^-1 G,   G = [patches(F_l), 1]^T g_l / m,   delta = damping mean(diag H_l)
 *     v <- 0.99 v + 0.01 tr(D^T C_l D) / units       (mean square change of a pre-activation)
 *     M <- momentum M + (1 - momentum) D             (both corrected for their start at 0)
 *     P_l -= rate change (M / sqrt(v) + weightDecay W_l)
 */
export function normalisedStep(context: MethodContext<FenchelConvolutionConfig>): WeightStep {
  const { config, network, loss } = context;
  const head = network.activations.length;
  const headCurvature = Math.min(0.5, losses[loss].curvature);
  const layers = network.maps.map((map, l) => {
    const curvature = l === head ? headCurvature : network.activations[l].maxSlope;
    return new NormalisedLayer(map, curvature, config);
  });
  return {
    observe: (l, inputs) => layers[l].observe(inputs),
    advance: (l, state, rate) => layers[l].advance(state, rate),
    dispose: () => {
      for (const layer of layers) layer.dispose();
    },
  };
}

/** Factor of the average of squared changes, per batch. */
const changeAverage = 0.99;

class NormalisedLayer {
  readonly #gram: RunningGram;
  #inverse: tf.Tensor2D | undefined;
  /** delta */
  #damping = 0;
  #steps = 0;
  /** v and M before their correction. */
  #change: tf.Scalar | undefined;
  #momentum: tf.Tensor2D | undefined;

  constructor(
    private readonly map: LinearMap,
    private readonly curvature: number,
    private readonly config: FenchelConvolutionConfig,
  ) {
    const { gramAverage: average, gramRefresh: refresh } = config;
    this.#gram = new RunningGram({ average, refresh, ramp: true });
  }

  async observe(inputs: tf.Tensor2D): Promise<void> {
    if (!this.#gram.isDue()) return;
    const { positions } = this.map;
    const current = tf.tidy(() => {
      const rows = Math.min(inputs.shape[0], positions > 1 ? this.config.gramImages : Infinity);
      const seen = tf.slice(inputs, [0, 0], [rows, inputs.shape[1]]);
      return tf.mul(gramMatrix(this.map.patches(seen)), positions * this.curvature);
    });
    const values = await current.data();
    current.dispose();
    const size = this.map.weightShape[0] + 1;
    const metric = this.#gram.update(values);
    this.#damping = this.config.damping * meanDiagonal(metric, size);
    const inverse = dampedInverse(metric, size, () => this.#damping);
    this.#inverse?.dispose();
    this.#inverse = inverse;
  }

  advance({ layer, inputs, residual }: LayerState, rate: number): LayerParameters {
    const { momentum, change, weightDecay } = this.config;
    if (!this.#inverse) throw new Error('a step was taken before a batch was observed');
    this.#steps++;
    const gradient = tf.div(this.map.gradient(inputs, residual), inputs.shape[0]) as tf.Tensor2D;
    const direction: tf.Tensor2D = tf.matMul(this.#inverse, gradient);
    // tr(D^T H D) = <G, D> - delta ||D||^2
    const energy = tf.sub(
      tf.sum(tf.mul(gradient, direction)),
      tf.mul(tf.sum(tf.square(direction)), this.#damping),
    );
    const squared = tf.relu(tf.div(energy, this.curvature * this.map.outputs)) as tf.Scalar;
    const mean = average(this.#change, squared, changeAverage);
    const smoothed = average(this.#momentum, direction, momentum);
    this.#change = mean;
    this.#momentum = smoothed;
    const size = tf.sqrt(tf.div(mean, 1 - changeAverage ** this.#steps));
    const scale = tf.div(
      (rate * change) / (1 - momentum ** this.#steps),
      tf.add(size, 1e-12),
    ) as tf.Scalar;
    const step = splitBias(tf.mul(smoothed, scale));
    return {
      weights: tf.sub(tf.mul(layer.weights, 1 - rate * change * weightDecay), step.weights),
      bias: tf.sub(layer.bias, step.bias),
    };
  }

  dispose(): void {
    for (const tensor of [this.#inverse, this.#change, this.#momentum]) tensor?.dispose();
  }
}

/** factor previous + (1 - factor) current, kept beyond the enclosing tidy in place of `previous`. */
function average<T extends tf.Tensor>(previous: T | undefined, current: T, factor: number): T {
  const share = tf.mul(current, 1 - factor);
  const next = tf.keep(previous ? tf.add(tf.mul(previous, factor), share) : share) as T;
  previous?.dispose();
  return next;
}
