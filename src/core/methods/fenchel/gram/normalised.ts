import * as tf from '@tensorflow/tfjs';
import { losses } from '../../../network/loss.js';
import type { LinearMap } from '../../../network/maps/linear-map.js';
import { splitBias } from '../../../network/stacked.js';
import { blend } from '../../../solvers/blend.js';
import type { State as TrainerState } from '../../../tree.js';
import type { MethodContext } from '../../method.js';
import type { FenchelConvolutionConfig } from './config.js';
import { gramMatrix } from './gram-matrix.js';
import type { LayerState, LayerStep } from './layer-step.js';
import type { Metric } from './metric.js';
import { type AppliedInverse, runningInverse } from './running-inverse.js';

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
export function normalisedSteps(
  context: MethodContext<FenchelConvolutionConfig>,
): readonly LayerStep[] {
  const { config, network, loss } = context;
  const head = network.activations.length;
  const headCurvature = Math.min(0.5, losses[loss].curvature);
  return network.maps.map((map, l) => {
    const curvature = l === head ? headCurvature : network.activations[l].maxSlope;
    return new NormalisedStep(map, curvature, config);
  });
}

/** Factor of the average of squared changes, per batch. */
const changeAverage = 0.99;

/** v and M before their correction. */
type Averages = { readonly change: tf.Scalar; readonly direction: tf.Tensor2D };

class NormalisedStep implements LayerStep {
  readonly #inverse: Metric<AppliedInverse>;

  constructor(
    private readonly map: LinearMap,
    private readonly curvature: number,
    private readonly config: FenchelConvolutionConfig,
  ) {
    const { gramAverage: average, gramRefresh: refresh, gramImages, damping } = config;
    const { positions, weightShape } = map;
    const size = weightShape[0] + 1;
    const gram = (inputs: tf.Tensor2D): tf.Tensor2D => {
      const rows = Math.min(inputs.shape[0], positions > 1 ? gramImages : Infinity);
      const seen = tf.slice(inputs, [0, 0], [rows, inputs.shape[1]]);
      return tf.mul(gramMatrix(map.patches(seen)), positions * curvature);
    };
    const averaged = { average, refresh, ramp: true };
    this.#inverse = runningInverse({ ...averaged, damping, relative: true, size, gram });
  }

  observe(inputs: tf.Tensor2D): Promise<void> {
    return this.#inverse.observe(inputs);
  }

  get metric(): AppliedInverse {
    return this.#inverse.applied;
  }

  get state(): TrainerState {
    return this.#inverse.state;
  }

  set state(saved: TrainerState) {
    this.#inverse.state = saved;
  }

  initialAverages(): Averages {
    const [patch, channels] = this.map.weightShape;
    return { change: tf.scalar(0), direction: tf.zeros([patch + 1, channels]) };
  }

  /** The length of a step, what v is short of, and what is left of the weights. */
  coefficients(t: number, rate: number): readonly number[] {
    const { momentum, change, weightDecay } = this.config;
    const length = (rate * change) / (1 - momentum ** t);
    return [length, 1 - changeAverage ** t, 1 - rate * change * weightDecay];
  }

  advance({ layer, inputs, slope, coefficients, ...before }: LayerState) {
    const { momentum } = this.config;
    const [length, correction, kept] = coefficients;
    const metric = before.metric as AppliedInverse;
    const previous = before.averages as Averages;
    const gradient = tf.div(this.map.gradient(inputs, slope), inputs.shape[0]) as tf.Tensor2D;
    const direction = this.#inverse.apply(metric, gradient);
    // tr(D^T H D) = <G, D> - delta ||D||^2
    const energy = tf.sub(
      tf.sum(tf.mul(gradient, direction)),
      tf.mul(tf.sum(tf.square(direction)), metric.delta),
    );
    const squared = tf.relu(tf.div(energy, this.curvature * this.map.outputs)) as tf.Scalar;
    const averages = {
      change: blend(previous.change, squared, [changeAverage, 1 - changeAverage]),
      direction: blend(previous.direction, direction, [momentum, 1 - momentum]),
    };
    const size = tf.sqrt(tf.div(averages.change, correction));
    const scale = tf.div(length, tf.add(size, 1e-12)) as tf.Scalar;
    const step = splitBias(tf.mul(averages.direction, scale));
    const weights: tf.Tensor2D = tf.sub(tf.mul(layer.weights, kept), step.weights);
    return { layer: { weights, bias: tf.sub(layer.bias, step.bias) as tf.Tensor1D }, averages };
  }

  dispose(): void {
    this.#inverse.dispose();
  }
}
