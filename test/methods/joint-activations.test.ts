import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { FenchelExactConfig } from '../../src/core/methods/fenchel/exact/config.js';
import { updateActivationBlock } from '../../src/core/methods/fenchel/exact/exact.js';
import {
  unsolved,
  updateActivationsJointly,
} from '../../src/core/methods/fenchel/exact/joint-activations.js';
import type { Blocks, LiftedProblem } from '../../src/core/methods/fenchel/exact/objective.js';
import { objectiveValue } from '../../src/core/methods/fenchel/exact/objective.js';
import { methods } from '../../src/core/methods/registry.js';
import { initializeParameters } from '../../src/core/network/initialize.js';
import { type LossName, lossNames, monotoneNames } from '../../src/core/network/names.js';
import { buildNetwork, forwardLayers } from '../../src/core/network/network.js';
import { denseLayers, type LayerShape, unitsIn } from '../../src/core/network/shape.js';
import { Random } from '../../src/core/random.js';
import { startTestBackend } from '../backends.js';
import { scalarActivations } from '../reference/activations.js';
import {
  blockSweep,
  forwardPass,
  type JointProblem,
  jointObjective,
  jointPasses,
  projectedGradients,
} from '../reference/joint-activations.js';
import { distance, fromFlat } from '../reference/matrix.js';
import { crossEntropy, squaredError } from '../reference/terms.js';
import { matrix, normal, targets } from '../solvers/tensors.js';
import { defaultConfig, dense, type Setting, side, startTraining } from './training.js';

const networks: Record<string, LayerShape[]> = {
  'one hidden layer': denseLayers([6, 5, 3]),
  'three hidden layers': denseLayers([6, 5, 4, 4, 3]),
  convolutions: [
    {
      input: [4, 4, 1],
      output: [4, 4, 2],
      pool: 1,
      window: { kernel: 3, stride: 1, padding: 1 },
    },
    { input: [4, 4, 2], output: [1, 1, 5], pool: 2 },
    { input: [1, 1, 5], output: [1, 1, 3], pool: 1 },
  ],
};
const lambdas = [0.7, 0.8, 1];
const rows = 5;
const lossWeight = 0.3;

async function setUp(
  layers: LayerShape[],
  activation: (typeof monotoneNames)[number] = 'relu',
  loss: LossName = 'cross-entropy',
  fields: object = {},
) {
  const random = new Random(3, `joint/${layers.length}/${activation}`);
  const hidden = layers.slice(1).map(() => activation);
  const network = buildNetwork({ layers, activations: hidden });
  const parameters = initializeParameters(network, { initializer: 'xavier', bias: 0.1 }, random);
  const x = normal(random, rows, unitsIn(layers[0].input));
  const y = targets(random, rows, 3);
  const config = FenchelExactConfig.parse({
    name: 'fenchel',
    solver: 'exact',
    lambda: lambdas.slice(0, hidden.length),
    lossWeight,
    xSolve: 'joint',
    jointPasses: 300,
    tolerance: 1e-6,
    ...fields,
  });
  const { inputs, preActivations } = forwardLayers(network, parameters, matrix(x));
  const preimages = [undefined, ...preActivations.slice(0, -1)];
  const blocks: Blocks = { inputs, preimages, parameters };
  const gammas = layers.map(() => 1);
  const anchor = parameters;
  const problem: LiftedProblem = { config, network, loss, y: matrix(y), anchor, gammas };

  // Each layer as a matrix: what it makes of the unit vectors.
  const maps = await Promise.all(
    network.maps.map(async (map, l) => {
      const none = tf.zeros([1, map.inputs]) as tf.Tensor2D;
      const [bias] = await map.apply(none, parameters[l]).array();
      const images = await map.apply(tf.eye(map.inputs), parameters[l]).array();
      return { weights: images.map((row) => row.map((value, j) => value - bias[j])), bias };
    }),
  );
  const term = loss === 'mse' ? squaredError : crossEntropy;
  const reference: JointProblem = {
    x,
    layers: maps,
    activation: scalarActivations[activation],
    lambda: config.lambda as number[],
    losses: y.map((row) => term(row, lossWeight)),
  };
  return { problem, blocks, reference };
}

/** G with the factor of the loss in X-updates. */
async function objective(problem: LiftedProblem, blocks: Blocks): Promise<number> {
  const config = { ...problem.config, gamma: 0 };
  const g = objectiveValue({ ...problem, config }, blocks);
  const weightless = objectiveValue(
    { ...problem, config: { ...config, penaltyScale: 1e-30 } },
    blocks,
  );
  const [[all], [loss]] = await Promise.all([g.data(), weightless.data()]);
  return all + (problem.config.lossWeight - 1) * loss;
}

describe('the joint X-update in float64', () => {
  beforeAll(startTestBackend);

  it.each(Object.entries(networks))(
    'its fixed point is the minimiser over all X: %s',
    async (_, layers) => {
      for (const loss of lossNames.slice(0, 2)) {
        const { reference } = await setUp(layers, 'relu', loss);
        const joint = jointPasses(reference, 0.5, 600);
        const independent = projectedGradients(reference, 0.05, 4000);
        for (const [l, x] of joint.entries()) {
          expect(distance(x, independent[l])).toBeLessThan(1e-8);
        }
        const start = forwardPass(reference);
        const value = jointObjective(reference, joint);
        expect(value).toBeLessThan(0.999 * jointObjective(reference, start));
        const swept = jointObjective(reference, blockSweep(reference, start));
        expect(value).toBeLessThanOrEqual(swept * (1 + 1e-12));
        // With one hidden layer a sweep is the whole problem.
        if (joint.length === 1) expect(swept / value).toBeCloseTo(1, 10);
        else expect(value).toBeLessThan(swept * (1 - 1e-5));
      }
    },
  );
});

describe('the joint X-update of tensors', () => {
  beforeAll(startTestBackend);

  it.each(Object.entries(networks))('is the float64 one, pass by pass: %s', async (_, layers) => {
    for (const passes of [1, 4]) {
      const fields = { jointPasses: passes, jointStep: 0.4 };
      const { problem, blocks, reference } = await setUp(layers, 'relu', 'cross-entropy', fields);
      const before = tf.memory().numTensors;
      const { iterations, blocks: updated } = await updateActivationsJointly(problem, blocks);
      expect(tf.memory().numTensors - before).toBe(2 * reference.lambda.length);
      expect(iterations).toBe(passes);
      const expected = jointPasses(reference, 0.4, passes);
      for (const [l, x] of expected.entries()) {
        const found = updated.inputs[l + 1];
        expect(distance(fromFlat(await found.data(), rows, found.shape[1]), x)).toBeLessThan(2e-5);
      }
    }
  });

  for (const [i, activation] of monotoneNames.entries()) {
    it(`solves all X, and ends below block sweeps: ${activation}`, async () => {
      const kind = Object.keys(networks)[1 + (i % 2)];
      const { problem, blocks } = await setUp(networks[kind], activation, lossNames[i % 2]);
      const { residuals, residual, ...joint } = await updateActivationsJointly(problem, blocks);
      expect(residual).toBe(Math.max(...residuals));
      // Float32: the residual is relative to what the update moves.
      expect(residual).toBeLessThan(2e-3);
      let swept = blocks;
      for (let l = blocks.inputs.length - 1; l > 0; l--) {
        ({ blocks: swept } = await updateActivationBlock(problem, swept, l));
      }
      const values = await Promise.all(
        [blocks, swept, joint.blocks].map((at) => objective(problem, at)),
      );
      expect(values[2]).toBeLessThanOrEqual(values[1] * (1 + 2e-6));
      expect(values[2]).toBeLessThan(0.9999 * values[0]);
    });
  }

  it('never returns a higher objective, where passes diverge', async () => {
    const fields = { lossWeight: 400, lambda: 0.1, jointStep: 1, jointPasses: 15 };
    const { problem, blocks } = await setUp(
      networks['three hidden layers'],
      'relu',
      'cross-entropy',
      fields,
    );
    const start = await objective(problem, blocks);
    const { residual, ...joint } = await updateActivationsJointly(problem, blocks);
    expect(residual).toBeGreaterThan(unsolved);
    const first = await objective(problem, joint.blocks);
    expect(first).toBeLessThanOrEqual(start * (1 + 2e-6));
    // A second solve starts where the first ended.
    const again = await updateActivationsJointly(problem, joint.blocks);
    expect(await objective(problem, again.blocks)).toBeLessThanOrEqual(first * (1 + 2e-6));
  });

  it('reports numbers that are not finite', async () => {
    const { problem, blocks } = await setUp(networks.convolutions);
    const broken = tf.mul(blocks.inputs[0], Number.NaN) as tf.Tensor2D;
    const inputs = blocks.inputs.with(0, broken);
    const { residual } = await updateActivationsJointly(problem, { ...blocks, inputs });
    expect(residual).toBeNaN();
  });
});

describe('fenchel with xSolve: joint', () => {
  beforeAll(startTestBackend);

  const definition = methods.find(({ solver }) => solver === 'exact')!;

  it('logs the residual of each layer, and counts those that are unsolved', async () => {
    const setting: Setting = {
      layers: dense(8, 6),
      activation: 'relu',
      loss: 'cross-entropy',
      batchSize: 50,
      steps: 2,
    };
    const method = await definition.load();
    for (const [fields, expected] of [
      [{ jointPasses: 1, jointStep: 0.1 }, 2],
      [{ jointPasses: 100, lossWeight: 0.2 }, 0],
      [{ xSolve: 'blocks' }, undefined],
    ] as const) {
      const config = defaultConfig(definition, setting, {
        xSolve: 'joint',
        alternations: 2,
        tolerance: 0.01,
        ...fields,
      });
      const training = await startTraining(method, config, setting);
      const x = tf.tensor2d(
        normal(new Random(1, 'x'), 50, training.parameters()[0].weights.shape[0]),
      );
      const y = matrix(targets(new Random(1, 'y'), 50, 10));
      const step = await training.step({ x, y, indices: new Uint32Array(50) }, () => {});
      const { extra, layers } = step as never as {
        extra: Record<string, number>;
        layers: { jointResidual?: number }[];
      };
      expect(extra.x_unsolved).toBe(expected);
      expect(layers.map(({ jointResidual }) => jointResidual !== undefined)).toEqual(
        [0, 1, 2].map((l) => expected !== undefined && l < 2),
      );
      expect(method.columns?.(config).includes('x_unsolved')).toBe(expected !== undefined);
      training.dispose();
    }
  });

  it('refuses an order with weights between activations', () => {
    const config = definition.schema.parse({
      name: 'fenchel',
      solver: 'exact',
      xSolve: 'joint',
      order: 'interleaved',
    });
    const shape = { layers: dense(8), widths: [side ** 2, 8, 10], activations: ['relu'] as const };
    const findings = definition.check!(config, { ...shape, loss: 'mse' });
    expect(findings).toMatchObject([{ path: ['xSolve'] }]);
    expect(findings[0].message).toContain('set order: activations-first, or xSolve: blocks');
  });
});
