import * as tf from '@tensorflow/tfjs';
import { blend } from '../../solvers/blend.js';
import { euclideanNorm } from '../../solvers/solver.js';
import { adamRule } from '../adam/adam.js';
import { backPropagation, type Place, type UpdateRule } from '../back-propagation.js';
import type { MuonConfig } from './config.js';

/**
 * Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"): each step of a hidden weight
 * matrix W [in, out], in = kernel^2 channels for a convolution, is the nearest orthogonal matrix to its momentum,
 *
 *     M <- momentum M + (1 - momentum) G,   N = momentum M + (1 - momentum) G,
 *     W <- W - learningRate schedule(t) (sqrt(max(1, out/in)) orthogonalised(N) + weightDecay W),
 *
 * so that all directions of the input change the layer alike. Biases and the output layer, which is not a hidden matrix,
 * take steps of AdamW with a learning rate of their own (../adam).
 *
 * With `weightNorm: fixed` hidden weights before a norm, whose size it removes, are first scaled: W <- W sqrt(out) / ||W||_F,
 * as in airbench94 (Jordan 2024). Without it they grow, and steps of one length change less and less.
 *
 * The authors' code multiplies convolutions by max(1, kernel height / kernel width)^(1/2) instead, since it takes the
 * sizes of the filter before it is a matrix. Their note leaves the first convolution to Adam too: `firstLayer`.
 */
export const muon = backPropagation<MuonConfig>(muonRule);

export function muonRule(config: MuonConfig): UpdateRule {
  const { learningRate, momentum, nesterov, newtonSchulzSteps, adamLearningRate } = config;
  const adam = adamRule({
    beta1: config.adamBeta1,
    beta2: config.adamBeta2,
    epsilon: config.adamEpsilon,
  });
  const isHidden = ({ isWeights, isLastLayer, layer }: Place) =>
    isWeights && !isLastLayer && (layer > 0 || config.firstLayer === 'muon');
  const adamRate = (rate: number) => rate * (adamLearningRate / learningRate);

  return {
    init: (tensor, place) => (isHidden(place) ? [tf.zerosLike(tensor)] : adam.init(tensor, place)),
    coefficients: (t, rate) => [rate, ...adam.coefficients(t, adamRate(rate))],
    rateOf: (place, rate) => (isHidden(place) ? rate : adamRate(rate)),
    rescaled: (tensor, place) => {
      if (config.weightNorm !== 'fixed' || !isHidden(place) || !place.isNormalised) return tensor;
      const size = tf.add(euclideanNorm(tensor), 1e-7);
      return tf.mul(tensor, tf.div(Math.sqrt(place.map.weightShape[1]), size));
    },
    step: (gradient, averages, [rate, ...adamCoefficients], place) => {
      if (!isHidden(place)) return adam.step(gradient, averages, adamCoefficients, place);
      const weights = [momentum, 1 - momentum];
      const average = blend(averages[0], gradient, weights);
      const direction = nesterov ? blend(average, gradient, weights) : average;
      const orthogonal = orthogonalised(direction as tf.Tensor2D, newtonSchulzSteps);
      const [inputs, outputs] = place.map.weightShape;
      const scale = Math.sqrt(Math.max(1, outputs / inputs));
      return { step: tf.mul(orthogonal, tf.mul(rate, scale)), averages: [average] };
    },
  };
}

/**
 * U S' V^T for X = U S V^T, S' near the identity: Newton-Schulz iteration of the quintic polynomial
 *
 *     X <- a X + b (X X^T) X + c (X X^T)^2 X,   from X / ||X||_F,
 *
 * whose coefficients Jordan et al. chose for the largest slope at 0. Five iterations take singular values from 0.0016 of
 * the norm upwards to between 0.68 and 1.21; they do not converge to 1.
 */
export function orthogonalised(matrix: tf.Tensor2D, iterations: number): tf.Tensor2D {
  const [a, b, c] = [3.4445, -4.775, 2.0315];
  const [rows, columns] = matrix.shape;
  // The Gram matrix of the shorter side; X (X^T X) is (X X^T) X.
  const isTall = rows > columns;
  let x: tf.Tensor2D = tf.div(matrix, tf.add(euclideanNorm(matrix), 1e-7));
  for (let i = 0; i < iterations; i++) {
    const gram = tf.matMul(x, x, isTall, !isTall);
    const rest = tf.add(tf.mul(gram, b), tf.mul(tf.matMul(gram, gram), c)) as tf.Tensor2D;
    x = tf.add(tf.mul(x, a), isTall ? tf.matMul(x, rest) : tf.matMul(rest, x));
  }
  return x;
}
