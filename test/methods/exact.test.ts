import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { FenchelExactConfig } from '../../src/core/methods/fenchel/exact/config.js';
import {
  updateActivationBlock,
  updateWeightBlock,
} from '../../src/core/methods/fenchel/exact/exact.js';
import { type Blocks, objectiveValue } from '../../src/core/methods/fenchel/exact/objective.js';
import { layerValue } from '../../src/core/methods/per-layer.js';
import { initializeParameters } from '../../src/core/network/initialize.js';
import { type LossName, lossNames, monotoneNames } from '../../src/core/network/names.js';
import { buildNetwork, type Network } from '../../src/core/network/network.js';
import type { Parameters } from '../../src/core/network/parameters.js';
import { denseLayers, type LayerShape, unitsIn } from '../../src/core/network/shape.js';
import { Random } from '../../src/core/random.js';
import { startTestBackend } from '../backends.js';
import { scalarActivations } from '../reference/activations.js';
import { matrix, normal, targets } from '../solvers/tensors.js';

const networks: Record<string, LayerShape[]> = {
  'fully connected': denseLayers([14, 9, 7, 4]),
  // Images of 5 x 5 pixels; the convolution sees them padded, the layer above averages them.
  convolutions: [
    {
      input: [5, 5, 1],
      output: [4, 4, 2],
      pool: 1,
      window: { kernel: 4, stride: 1, padding: 1 },
    },
    { input: [4, 4, 2], output: [1, 1, 7], pool: 2 },
    { input: [1, 1, 7], output: [1, 1, 4], pool: 1 },
  ],
};
/** More rows than any width, and fewer than the input's. */
const batchSizes = [25, 11];

function setUp(layers: LayerShape[], activation: (typeof monotoneNames)[number], rows: number) {
  const random = new Random(2, `${activation}/${rows}`);
  const network = buildNetwork({
    layers,
    activations: [activation, activation],
  });
  const parameters = initializeParameters(network, { initializer: 'xavier', bias: 0.1 }, random);
  const inputs = [matrix(normal(random, rows, unitsIn(layers[0].input)))];
  const preimages: (tf.Tensor2D | undefined)[] = [undefined];
  for (const [l, { phi }] of network.activations.entries()) {
    preimages.push(network.maps[l].apply(inputs[l], parameters[l]));
    inputs.push(phi(preimages[l + 1]!));
  }
  const blocks: Blocks = { inputs, preimages, parameters };
  return { network, parameters, blocks, y: matrix(targets(random, rows, 4)) };
}

/** G of a batch whose weights before it are these. */
const liftedProblem = (
  config: FenchelExactConfig,
  network: Network,
  loss: LossName,
  y: tf.Tensor2D,
  anchor: Parameters,
) => {
  const gammas = anchor.map((_, l) => layerValue(config.gamma, l));
  return { config, network, loss, y, anchor, gammas };
};

describe('block-coordinate descent on one lifted objective', () => {
  beforeAll(startTestBackend);

  for (const [kind, layers] of Object.entries(networks)) {
    for (const [i, activation] of monotoneNames.entries()) {
      for (const [k, loss] of lossNames.entries()) {
        // Both with each activation and each loss.
        for (const rows of [batchSizes[(i + k) % 2]]) {
          const reduction = rows === batchSizes[0] ? 'sum' : 'mean';
          it(`never rises: ${kind}, ${activation}, ${loss}, ${rows} rows, ${reduction}`, async () => {
            const { network, parameters, y, ...start } = setUp(layers, activation, rows);
            let { blocks } = start;
            const config = FenchelExactConfig.parse({
              name: 'fenchel',
              solver: 'exact',
              lambda: [0.7, 1.5],
              rho: [0, 0.01, 0.02],
              gamma: reduction === 'sum' ? [1, 2, 0.5] : [0.1, 0.2, 0.05],
              lossReduction: reduction,
              tolerance: 1e-4,
              maxIterations: 2000,
            });
            const problem = liftedProblem(config, network, loss, y, parameters);
            const value = async () => (await objectiveValue(problem, blocks).data())[0];

            const trace = [await value()];
            for (let sweep = 0; sweep < 3; sweep++) {
              for (const l of [2, 1]) {
                const { report, ...next } = await updateActivationBlock(problem, blocks, l);
                blocks = next.blocks;
                expect(report.residual).toBeLessThan(2e-4);
                trace.push(await value());
              }
              for (const l of [0, 1, 2]) {
                const { report, ...next } = await updateWeightBlock(problem, blocks, l);
                blocks = next.blocks;
                expect(report.residual).toBeLessThanOrEqual(1e-4);
                trace.push(await value());
              }
            }
            for (let i = 1; i < trace.length; i++) {
              expect(trace[i], `block update ${i}`).toBeLessThanOrEqual(trace[i - 1] * (1 + 2e-6));
            }
            expect(trace[trace.length - 1]).toBeLessThan(0.98 * trace[0]);
          });
        }
      }
    }
  }

  it.each(Object.entries(networks))(
    'never rises with one gradient step a W-update: %s',
    async (_, layers) => {
      const { network, parameters, y, ...start } = setUp(layers, 'relu', 25);
      let { blocks } = start;
      const config = FenchelExactConfig.parse({
        name: 'fenchel',
        solver: 'exact',
        rho: [0, 0.01, 0.02],
        gamma: 0.5,
        weightUpdate: 'gradient-step',
      });
      const problem = liftedProblem(config, network, 'cross-entropy', y, parameters);
      const value = async () => (await objectiveValue(problem, blocks).data())[0];
      ({ blocks } = await updateActivationBlock(problem, blocks, 2));
      ({ blocks } = await updateActivationBlock(problem, blocks, 1));
      const trace = [await value()];
      for (let sweep = 0; sweep < 20; sweep++) {
        for (const l of [0, 1, 2]) {
          ({ blocks } = await updateWeightBlock(problem, blocks, l));
          trace.push(await value());
        }
      }
      for (let i = 1; i < trace.length; i++) {
        expect(trace[i], `block update ${i}`).toBeLessThanOrEqual(trace[i - 1] * (1 + 2e-6));
      }
      expect(trace[trace.length - 1]).toBeLessThan(0.999 * trace[0]);
    },
  );

  it('is the sum of its parts, as a float64 evaluation of eq. 13 has it', async () => {
    const { network, parameters, y, ...start } = setUp(networks['fully connected'], 'sigmoid', 11);
    let { blocks } = start;
    const config = FenchelExactConfig.parse({
      name: 'fenchel',
      solver: 'exact',
      lambda: 2,
      rho: 0.3,
      gamma: 0.4,
      penaltyScale: 2,
      proximalBias: false,
      lossReduction: 'mean',
    });
    const problem = liftedProblem(config, network, 'mse', y, parameters);
    // Move every block off its forward-pass value and every weight off its anchor.
    const moved = (x: tf.Tensor2D) => tf.add(x, 0.3) as tf.Tensor2D;
    const preimages = blocks.preimages.map((preimage) => preimage && moved(preimage));
    const hidden = network.activations.map(({ phi }, l) => phi(preimages[l + 1]!));
    blocks = {
      inputs: [blocks.inputs[0], ...hidden],
      preimages,
      parameters: parameters.map(({ weights, bias }) => ({
        weights: moved(weights),
        bias: tf.add(bias, 0.5),
      })),
    };

    const { penaltyAt } = scalarActivations.sigmoid;
    let expected = 0;
    for (let l = 0; l < 3; l++) {
      const u = (
        await network.maps[l].apply(blocks.inputs[l], blocks.parameters[l]).array()
      ).flat();
      if (l === 2) {
        const targetValues = (await y.array()).flat();
        for (const [i, ui] of u.entries()) expected += (ui - targetValues[i]) ** 2 / 11;
      } else {
        const s = (await blocks.preimages[l + 1]!.array()).flat();
        for (const [i, ui] of u.entries()) expected += (2 * 2 * penaltyAt(s[i], ui)) / 11;
      }
      const weights = (await blocks.parameters[l].weights.array()).flat();
      for (const w of weights) expected += 0.3 * w ** 2 + 0.4 * 0.3 ** 2;
    }
    const [value] = await objectiveValue(problem, blocks).data();
    expect(Math.abs(value - expected) / expected).toBeLessThan(1e-5);
  });
});
