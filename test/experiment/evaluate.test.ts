import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { Evaluator, hiddenActivations, sumOf } from '../../src/core/evaluate.js';
import { initializeParameters } from '../../src/core/network/initialize.js';
import { buildNetwork, forwardLayers } from '../../src/core/network/network.js';
import { predictionRule } from '../../src/core/prediction.js';
import { Random } from '../../src/core/random.js';
import { loadDataset } from '../../src/data/load.js';
import { startTestBackend } from '../backends.js';
import { tinyExperiment } from './tiny.js';

describe('the sum of the weights', () => {
  beforeAll(startTestBackend);
  const layer = (weight: number, bias: number) => ({
    weights: tf.tensor2d([1, 2, weight, 4], [2, 2]),
    bias: tf.tensor1d([0.5, bias]),
  });

  it('adds weights and biases of all layers, and keeps nothing', async () => {
    const parameters = [layer(3, 0.25), layer(-7, 0)];
    const before = tf.memory().numTensors;
    expect(await sumOf(parameters)).toBe(11.25);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('is not finite as soon as one of them is not', async () => {
    expect(await sumOf([layer(3, 0), layer(Number.NaN, 0)])).toBeNaN();
    expect(await sumOf([layer(3, Number.POSITIVE_INFINITY)])).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('hidden activations', () => {
  beforeAll(startTestBackend);

  it('are those of the forward pass for the first images, and nothing else is kept', async () => {
    const layers =
      'network.layers=[{ conv: 2, kernel: 5, maxPool: 2, norm: rms, activation: relu }, { maxPool: 2 }, { averagePool: 2 }, { dense: 7, activation: tanh }, { dense: 10 }]';
    const experiment = tinyExperiment(layers);
    const { test, levels } = await loadDataset(experiment.dataset);
    const network = buildNetwork(experiment.network);
    const random = new Random(1, 'activations');
    const parameters = initializeParameters(network, { initializer: 'he', bias: 0.1 }, random);
    const before = tf.memory().numTensors;
    const { layers: shapes } = experiment.network;
    const found = await hiddenActivations(network, parameters, shapes, test, levels);
    expect(tf.memory().numTensors).toBe(before);
    expect(found.count).toBe(8);
    expect(found.layers.map(({ shape }) => shape)).toEqual(shapes.map(({ input }) => input));
    const x = tf.tensor2d(found.layers[0].values, [8, found.layers[0].values.length / 8]);
    for (const { shape, values } of found.layers) {
      expect(values).toHaveLength(8 * shape.reduce((a, b) => a * b));
    }
    expect(found.layers[0].values[0]).toBe(levels[0][test.images[0]]);
    const { inputs } = tf.tidy(() => ({ inputs: forwardLayers(network, parameters, x).inputs }));
    for (const [l, { values }] of found.layers.entries()) {
      expect([...values]).toEqual([...(await inputs[l].data())]);
    }
  });
});

describe('the prediction rule', () => {
  const rule = (...overrides: string[]) => predictionRule(tinyExperiment(...overrides));

  it('is feed-forward unless lifted is asked for', () => {
    expect(rule()).toEqual({});
    expect(rule('evaluate.predict=feed-forward')).toEqual({});
    expect(rule('evaluate.predict=lifted')).toEqual({ lambda: 1 });
    expect(rule('evaluate.predict=lifted', 'evaluate.lambda=0.5')).toEqual({ lambda: 0.5 });
  });

  it('says where lifted is the same as feed-forward, and where layers are fed forward', () => {
    const mse = rule('evaluate.predict=lifted', 'loss=mse');
    expect(mse.lambda).toBeUndefined();
    expect(mse.remark).toContain('with loss mse the forward pass minimises the lifted model');
    const linear = rule('evaluate.predict=lifted', 'network.layers=[{ dense: 10 }]');
    expect(linear.lambda).toBeUndefined();
    expect(linear.remark).toContain('the network has no hidden layer');
    const deep = rule(
      'evaluate.predict=lifted',
      'network.layers=[{ dense: 9, activation: relu }, { dense: 8, activation: tanh }, { dense: 10 }]',
    );
    expect(deep).toMatchObject({ lambda: 1 });
    expect(deep.remark).toContain('the layers below it are fed forward');
  });
});

describe('an evaluator', () => {
  beforeAll(startTestBackend);
  const convolutional =
    'network.layers=[{ conv: 2, kernel: 5, activation: relu }, { averagePool: 2 }, { dense: 10 }]';

  async function evaluators(lambda: number, ...overrides: string[]) {
    const experiment = tinyExperiment(...overrides);
    const dataset = await loadDataset(experiment.dataset);
    const network = buildNetwork(experiment.network);
    const random = new Random(1, 'evaluator');
    const parameters = initializeParameters(network, { initializer: 'he', bias: 0.1 }, random);
    const make = (rule: { lambda?: number }) =>
      new Evaluator(dataset.test, dataset, network, experiment.loss, rule);
    return { plain: make({}), lifted: make({ lambda }), parameters };
  }

  it.each([
    ['a fully connected network', 'name=tiny'],
    ['a network with a convolution', convolutional],
  ])('predicts by the lifted model with %s, and keeps nothing', async (_, override) => {
    const { plain, lifted, parameters } = await evaluators(1e4, override);
    const expected = await plain.evaluate(parameters);
    const before = tf.memory().numTensors;
    const { loss, accuracy } = await lifted.evaluate(parameters);
    expect(tf.memory().numTensors).toBe(before);
    // A heavy penalty holds the activations where the forward pass has them.
    expect(accuracy).toBe(expected.accuracy);
    expect(loss).toBeCloseTo(expected.loss, 4);
  });

  it('decides otherwise where the penalty is light', async () => {
    const { plain, lifted, parameters } = await evaluators(0.02);
    const [expected, { loss, accuracy }] = [
      await plain.evaluate(parameters),
      await lifted.evaluate(parameters),
    ];
    expect(loss).toBeCloseTo(expected.loss, 4);
    expect(accuracy).not.toBe(expected.accuracy);
  });

  it('with flips: also classifies by the mean of the logits of image and mirror image, and keeps nothing', async () => {
    const experiment = tinyExperiment(convolutional, 'dataset.testLimit=2000');
    const dataset = await loadDataset(experiment.dataset);
    const network = buildNetwork(experiment.network);
    const random = new Random(1, 'evaluator');
    const parameters = initializeParameters(network, { initializer: 'he', bias: 0.1 }, random);
    const { test, shape, levels } = dataset;
    const [height, width] = shape;
    const make = (flips?: typeof shape) =>
      new Evaluator(test, dataset, network, experiment.loss, {}, flips);
    const [plain, both] = [make(), make(shape)];
    const expected = await plain.evaluate(parameters);
    const before = tf.memory().numTensors;
    const { accuracyFlips, ...rest } = await both.evaluate(parameters);
    expect(tf.memory().numTensors).toBe(before);
    expect(rest).toEqual(expected);

    const logits = async (pixels: ArrayLike<number>) => {
      const values = Float32Array.from(pixels, (p) => levels[0][p]);
      const x = tf.tensor2d(values, [test.count, height * width]);
      const outputs = tf.tidy(() => forwardLayers(network, parameters, x).preActivations.at(-1)!);
      return outputs.data();
    };
    const mirrored = test.images.map((_, i) => {
      const column = i % width;
      return test.images[i - column + (width - 1 - column)];
    });
    const [own, other] = [await logits(test.images), await logits(mirrored)];
    let correct = 0;
    for (let i = 0; i < test.count; i++) {
      const mean = Array.from({ length: 10 }, (_, k) => (own[10 * i + k] + other[10 * i + k]) / 2);
      if (mean.indexOf(Math.max(...mean)) === test.labels[i]) correct++;
    }
    expect(accuracyFlips).toBe(correct / test.count);
    expect(accuracyFlips).not.toBe(rest.accuracy);
  });

  it('does not solve for weights that are not finite', async () => {
    const { lifted, parameters } = await evaluators(1);
    const [first, last] = parameters;
    const broken = [first, { ...last, bias: tf.fill([10], Number.NaN) as tf.Tensor1D }];
    expect((await lifted.evaluate(broken)).loss).toBeNaN();
  });

  it('refuses a penalty too light to solve for', async () => {
    const { lifted, parameters } = await evaluators(1e-9, 'dataset.testLimit=10');
    await expect(lifted.evaluate(parameters)).rejects.toThrow(
      /evaluate\.lambda, 1e-9, is too small/,
    );
  });
});
