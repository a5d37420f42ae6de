import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { learningSignals, type SignalRule } from '../../src/core/methods/signals.js';
import { lossValue } from '../../src/core/network/loss.js';
import { continuousNames } from '../../src/core/network/names.js';
import { buildNetwork, forwardLayers, predict } from '../../src/core/network/network.js';
import type { LayerParameters } from '../../src/core/network/parameters.js';
import { denseLayers } from '../../src/core/network/shape.js';
import { Random } from '../../src/core/random.js';
import { convolutional } from '../../src/testing/setting.js';
import { startTestBackend } from '../backends.js';
import { scalarActivations } from '../reference/activations.js';
import { type Matrix, multiply, transpose } from '../reference/matrix.js';
import { matrix, normal } from '../solvers/tensors.js';

beforeAll(startTestBackend);

const random = new Random(7, 'signals');

/** A network with random weights, a batch, and its loss gradient. */
function setting(layers: typeof convolutional, activation: string, rows = 8) {
  const network = buildNetwork({ layers, activations: layers.slice(1).map(() => activation) });
  const parameters: LayerParameters[] = network.maps.map(({ weightShape: [p, q] }) => ({
    weights: matrix(normal(random, p, q, 1 / Math.sqrt(p))),
    bias: tf.tensor1d(normal(random, 1, q)[0]),
  }));
  const x = matrix(normal(random, rows, network.maps[0].inputs));
  const forward = forwardLayers(network, parameters, x);
  const classes = network.maps[network.maps.length - 1].outputs;
  const g = normal(random, rows, classes, 0.3);
  const signals = (signal: SignalRule, scale = 1) =>
    learningSignals(
      network,
      parameters,
      forward,
      matrix(g.map((r) => r.map((v) => v * scale))),
      signal,
    ).gradients;
  return { network, parameters, x, forward, g, signals };
}

const relative = (a: tf.Tensor, b: tf.Tensor) => tf.div(tf.norm(tf.sub(a, b)), tf.norm(b)).data();

describe('learning signals', () => {
  const stacks = { dense: denseLayers([6, 7, 5, 3]), convolutions: convolutional };
  for (const [name, layers] of Object.entries(stacks)) {
    for (const activation of continuousNames) {
      it(`back-propagation is the tensor library's gradient: ${activation}, ${name}`, async () => {
        const { network, parameters, x, forward } = setting(layers, activation);
        const classes = network.maps[network.maps.length - 1].outputs;
        const y = matrix(normal(random, 8, classes));
        const outputs = forward.preActivations[parameters.length - 1];
        const outputGradient = tf.mul(2 / 8, tf.sub(outputs, y)) as tf.Tensor2D;
        const { gradients } = learningSignals(network, parameters, forward, outputGradient, {
          rule: 'back-propagation',
        });
        const tensors = parameters.map(({ weights }) => weights);
        const { grads } = tf.valueAndGrads((...weights: tf.Tensor[]) => {
          const layers = parameters.map(({ bias }, l) => ({
            weights: weights[l] as tf.Tensor2D,
            bias,
          }));
          return lossValue('mse', y, predict(network, layers, x));
        })(tensors);
        for (const [l, expected] of grads.entries()) {
          const own = network.maps[l].gradient(forward.inputs[l], gradients[l]);
          const [error] = await relative(tf.slice(own, [0, 0], expected.shape), expected);
          expect(error, `layer ${l + 1}`).toBeLessThan(2e-5);
        }
      });
    }
  }

  for (const activation of continuousNames) {
    it(`are finite differences of the activations in float64: ${activation}`, async () => {
      const { parameters, forward, g, signals } = setting(denseLayers([4, 9, 3]), activation);
      const u = (await forward.preActivations[0].array()) as Matrix;
      const w = (await parameters[1].weights.array()) as Matrix;
      const { phi } = scalarActivations[activation];
      const c = 2.5;
      const r = multiply(g, transpose(w)).map((row) => row.map((v) => c * v));
      const one = await signals({ rule: 'one-sided', targetStep: c })[0].array();
      const two = await signals({ rule: 'two-sided', targetStep: c })[0].array();
      for (const [i, row] of r.entries()) {
        for (const [j, s] of row.entries()) {
          const at = u[i][j];
          expect(one[i][j]).toBeCloseTo(phi(at) - phi(at - s), 5);
          expect(two[i][j]).toBeCloseTo((phi(at + s) - phi(at - s)) / 2, 5);
          if (activation !== 'relu') continue;
          // Closed forms of the ReLU: a slope between 0 and 1.
          const clip = (x: number) => Math.min(1, Math.max(0, x));
          const size = Math.abs(s);
          expect(two[i][j]).toBeCloseTo(s * clip(0.5 + at / (2 * size)), 5);
          const slope = s > 0 ? clip(at / size) : clip(1 + at / size);
          expect(one[i][j]).toBeCloseTo(s * slope, 5);
        }
      }
    });
  }

  it('tend to c times back-propagation; two-sided, they are odd and without bias', async () => {
    const { signals } = setting(denseLayers([5, 40, 30, 3]), 'tanh', 200);
    const [exact] = signals({ rule: 'back-propagation' });
    const errors = [];
    for (const rule of ['one-sided', 'two-sided'] as const) {
      for (const c of [0.02, 0.2]) {
        const [error] = await relative(tf.div(signals({ rule, targetStep: c })[0], c), exact);
        errors.push(error);
      }
    }
    // First order in c one-sided, second order two-sided.
    expect(errors[1] / errors[0]).toBeGreaterThan(5);
    expect(errors[3]).toBeLessThan(errors[1] / 10);

    const up = signals({ rule: 'two-sided', targetStep: 4 });
    const down = signals({ rule: 'two-sided', targetStep: 4 }, -1);
    for (const [l, g] of up.entries()) {
      const [sum] = await relative(tf.neg(down[l]), g);
      expect(sum).toBeLessThan(1e-5);
    }
  });

  it('of a ReLU one-sided drift with the size of the step, two-sided they do not', async () => {
    const { signals } = setting(denseLayers([30, 200, 3]), 'relu', 400);
    const bias = async (rule: 'one-sided' | 'two-sided') => {
      const [g] = signals({ rule, targetStep: 60 });
      const [mean, rms] = await tf.stack([tf.mean(g), tf.sqrt(tf.mean(tf.square(g)))]).data();
      return mean / rms;
    };
    expect(await bias('one-sided')).toBeLessThan(-0.2);
    expect(Math.abs(await bias('two-sided'))).toBeLessThan(0.05);
  });
});
