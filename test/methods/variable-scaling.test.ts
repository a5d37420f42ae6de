import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { methods } from '../../src/core/methods/registry.js';
import type { InitialWeights } from '../../src/core/network/network.js';
import { Random } from '../../src/core/random.js';
import { startTestBackend } from '../backends.js';
import { leakyRelu, scalarActivations } from '../reference/activations.js';
import { fenchelActivationUpdate } from '../reference/fenchel-activation-update.js';
import { headActivationUpdate } from '../reference/head-activation-update.js';
import { headWeightUpdate } from '../reference/head-weight-update.js';
import { affine, distance, type Matrix, map } from '../reference/matrix.js';
import type { Layer } from '../reference/ridge.js';
import { weightUpdate } from '../reference/weight-update.js';
import { matrix, normal, targets } from '../solvers/tensors.js';
import { defaultConfig, dense, type Setting, startTraining } from './training.js';

/**
 * Appendix A of the paper: by scaling of variables, one lambda is enough.
 *
 * For a positively homogeneous phi (ReLU, leaky ReLU), phi(s u) = s phi(u) for s > 0, and F(v) and F*(u) are homogeneous of degree
 * 2, so that B(s v, s u) = s^2 B(v, u). With
 *
 *     X'_{l+1} = s_l X_{l+1},   W'_l = (s_l / s_{l-1}) W_l,   b'_l = s_l b_l,   s_{-1} = 1 of the input, s_L = 1 of the output,
 *
 * U'_l = X'_l W'_l + b'_l = s_l (X_l W_l + b_l) = s_l U_l, and the outputs and their loss are the same. The terms of the objective become
 *
 *     lambda_l B(X_{l+1}, U_l)  =  lambda_l s_l^-2 B(X'_{l+1}, U'_l)  =  lambda B(X'_{l+1}, U'_l)   for   s_l = sqrt(lambda_l / lambda),
 *     rho_l ||W_l||^2           =  rho_l (s_{l-1} / s_l)^2 ||W'_l||^2,   and so gamma_l ||W_l - W_l^0||^2
 *
 * while a term on the biases gets the factor s_l^-2 (the program's `proximalBias: false` leaves it out). So the problem with
 * lambda_0, ..., lambda_{L-1}, rho and gamma is that with the one lambda, rho'_l = rho_l (s_{l-1} / s_l)^2 and gamma'_l likewise, in other
 * variables; block minimisers are mapped to block minimisers, and block-coordinate descent, alternation for alternation, has the same
 * iterates up to the scaling. Saturating activations are not homogeneous: there it does not hold.
 */
const lambdas = [4, 0.25];
const single = 1;
/** s_0, s_1, s_2 */
const scales = [...lambdas.map((lambda) => Math.sqrt(lambda / single)), 1];
/** s_l / s_{l-1} */
const ratios = scales.map((s, l) => s / (l === 0 ? 1 : scales[l - 1]));
const rho = [0.1, 0.2, 0.3];
const gamma = [1, 0.5, 2];
const scaled = (values: readonly number[]) => values.map((value, l) => value / ratios[l] ** 2);
const times = (a: Matrix, factor: number) => map(a, (value) => factor * value);

describe('variable scaling (Appendix A)', () => {
  beforeAll(startTestBackend);

  it.each([scalarActivations.relu, leakyRelu(0.1)])(
    'in float64, block-coordinate descent has the same iterates: $name',
    (activation) => {
      const random = new Random(1, 'variable-scaling');
      const x = normal(random, 6, 4);
      const y = targets(random, 6, 2);
      const sizes = [4, 3, 3, 2];
      const layers: Layer[] = sizes.slice(1).map((n, l) => ({
        weights: normal(random, sizes[l], n, 0.7),
        bias: normal(random, 1, n)[0],
      }));
      const original = descend({ activation, x, y, layers, lambdas, rho, gamma, gammaBias: gamma });
      const other = descend({
        activation,
        x,
        y,
        layers: layers.map(({ weights, bias }, l) => ({
          weights: times(weights, ratios[l]),
          bias: bias.map((b) => b * scales[l]),
        })),
        lambdas: [single, single],
        rho: scaled(rho),
        gamma: scaled(gamma),
        gammaBias: gamma.map((value, l) => value / scales[l] ** 2),
      });
      for (const [k, iterate] of original.entries()) {
        for (const l of [0, 1]) {
          const expected = times(iterate.activations[l], scales[l]);
          expect(distance(other[k].activations[l], expected)).toBeLessThan(1e-8);
        }
        for (const l of [0, 1, 2]) {
          const { weights, bias } = iterate.layers[l];
          expect(distance(other[k].layers[l].weights, times(weights, ratios[l]))).toBeLessThan(
            1e-8,
          );
          expect(distance([other[k].layers[l].bias], times([bias], scales[l]))).toBeLessThan(1e-8);
        }
      }
      // It moves, and does so by the same blocks.
      const moved = distance(original[0].layers[0].weights, layers[0].weights);
      expect(moved).toBeGreaterThan(0.01);
    },
  );

  for (const xSolve of ['blocks', 'joint'] as const) {
    it(`solver exact trains the same network, xSolve ${xSolve}`, async () => {
      const definition = methods.find(({ solver }) => solver === 'exact')!;
      const method = await definition.load();
      const setting: Setting = {
        layers: dense(9, 7),
        activation: 'relu',
        loss: 'cross-entropy',
        batchSize: 20,
        steps: 2,
      };
      const fields = {
        xSolve,
        jointPasses: 60,
        alternations: 2,
        proximalBias: false,
        tolerance: 2e-5,
        maxIterations: 2000,
        lossWeight: 0.5,
        bias: 0.1,
        rho,
      };
      const original = { ...fields, lambda: lambdas, gamma };
      const other = { ...fields, lambda: single, rho: scaled(rho), gamma: scaled(gamma) };
      const start = await startTraining(
        method,
        defaultConfig(definition, setting, original),
        setting,
      );
      const initial: InitialWeights = await Promise.all(
        start.parameters().map(async ({ weights, bias }, l) => ({
          weights: (await weights.data<'float32'>()).map((w) => w * ratios[l]),
          bias: (await bias.data<'float32'>()).map((b) => b * scales[l]),
        })),
      );
      const scaledConfig = defaultConfig(definition, setting, other);
      const second = await startTraining(method, scaledConfig, setting, undefined, initial);
      const random = new Random(2, 'batches');
      for (let t = 0; t < 2; t++) {
        const x = matrix(normal(random, 20, initial[0].weights.length / 9, 0.3));
        const y = matrix(targets(random, 20, 10));
        const batch = { x, y, indices: new Uint32Array(20) };
        const before = await start.parameters()[0].weights.array();
        const steps = [await start.step(batch), await second.step(batch)];
        tf.dispose([x, y]);
        expect(steps[1].objective! / steps[0].objective!).toBeCloseTo(1, 3);
        expect(distance(before, await start.parameters()[0].weights.array())).toBeGreaterThan(1e-3);
        for (const [l, { weights, bias }] of start.parameters().entries()) {
          const found = second.parameters()[l];
          const expected = times(await weights.array(), ratios[l]);
          expect(distance(await found.weights.array(), expected)).toBeLessThan(2e-3);
          const bias1 = times([await bias.array()], scales[l]);
          expect(distance([await found.bias.array()], bias1)).toBeLessThan(2e-3);
        }
      }
      start.dispose();
      second.dispose();
    });
  }
});

interface Descent {
  readonly activation: Parameters<typeof weightUpdate>[0]['activation'];
  readonly x: Matrix;
  readonly y: Matrix;
  readonly layers: readonly Layer[];
  readonly lambdas: readonly number[];
  readonly rho: readonly number[];
  readonly gamma: readonly number[];
  readonly gammaBias: readonly number[];
}

/** Three alternations of Algorithm 2 on one batch; X_1, X_2 and the weights after each. */
function descend({ activation, x, y, layers: before, lambdas, rho, gamma, gammaBias }: Descent) {
  let layers = [...before];
  const f1 = map(affine(x, layers[0].weights, layers[0].bias), activation.phi);
  const f2 = map(affine(f1, layers[1].weights, layers[1].bias), activation.phi);
  let activations: Matrix[] = [f1, f2];
  return [0, 1, 2].map(() => {
    const head = headActivationUpdate({
      targets: y,
      ...layers[2],
      previous: affine(activations[0], layers[1].weights, layers[1].bias),
      activation,
      loss: 'cross-entropy',
      lambda: lambdas[1],
    }).solution;
    const hidden = fenchelActivationUpdate({
      next: head,
      ...layers[1],
      previous: affine(x, layers[0].weights, layers[0].bias),
      activation,
      lambdaNext: lambdas[1],
      lambdaPrevious: lambdas[0],
    }).solution;
    activations = [hidden, head];
    layers = layers.map((_, l) => {
      const ridge = {
        rhoWeights: rho[l],
        rhoBias: 0,
        gammaWeights: gamma[l],
        gammaBias: gammaBias[l],
        weights0: before[l].weights,
        bias0: before[l].bias,
      };
      const inputs = l === 0 ? x : activations[l - 1];
      return l === 2
        ? headWeightUpdate({ ...ridge, x: inputs, targets: y, loss: 'cross-entropy' }).solution
        : weightUpdate({
            ...ridge,
            x: inputs,
            next: activations[l],
            activation,
            lambda: lambdas[l],
          }).solution;
    });
    return { activations, layers };
  });
}
