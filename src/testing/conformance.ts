import assert from 'node:assert/strict';
import * as tf from '@tensorflow/tfjs';
import type { Definition } from '../config/plugins/define.js';
import { type PluginEntries, readEntries } from '../config/plugins/entries.js';
import { activationTensorProblem, lossProblem } from '../config/plugins/numerics.js';
import type { MethodDefinition, StepMetrics } from '../core/methods/method.js';
import { activations, losses } from '../core/network/implementations.js';
import { accuracyValue, lossValue } from '../core/network/loss.js';
import { type LinearMap, layerGradient, squaredPatches } from '../core/network/maps/linear-map.js';
import { activationNames, lossNames } from '../core/network/names.js';
import { buildNetwork, predict } from '../core/network/network.js';
import { type ImageShape, type LayerShape, unitsIn } from '../core/network/shape.js';
import { stackBias } from '../core/network/stacked.js';
import { Random } from '../core/random.js';
import type { Training } from '../core/training.js';
import { RunError } from '../errors.js';
import {
  batchAt,
  convolutional,
  defaultConfig,
  dense,
  learningSteps,
  rows,
  runInTwoSessions,
  runSteps,
  type Setting,
  shapeOf,
  startTraining,
  weightsOf,
  wholeSplit,
} from './setting.js';

export { startBackend } from '../backend/registry.js';

/**
 * What every entry has to do, as named checks for any test runner; the built-in methods are tested by the
 * same ones:
 *
 *     for (const { name, run } of methodConformance(definition)) test(name, run);
 *
 * They compute on the backend that is active: call `startBackend('wasm')` first.
 */
export interface Check {
  readonly name: string;
  /** @throws AssertionError */
  readonly run: () => Promise<void>;
}

/** What `define...` returns, as an entry of a registry. */
const entriesOf = (definition: unknown): PluginEntries =>
  readEntries(definition, 'the definition under test');

const networks: Readonly<Record<string, readonly LayerShape[]>> = {
  'one hidden layer': dense(24),
  'two hidden layers': dense(24, 16),
  convolutions: convolutional,
};

/** Whether the config loader would let this method train in this setting. */
function trains({ check, ...definition }: MethodDefinition, setting: Setting) {
  const shape = shapeOf(setting);
  return (check?.(defaultConfig(definition, setting), shape) ?? []).length === 0;
}

/** A setting that this method trains in. */
export function someSetting(definition: MethodDefinition, steps: number): Setting {
  const settings = Object.values(networks).flatMap((layers) =>
    lossNames.map((loss): Setting => ({ layers, activation: 'relu', loss, batchSize: 60, steps })),
  );
  const found = settings.find((candidate) => trains(definition, candidate));
  assert(found, 'check refuses every network with relu and a built-in loss');
  return found;
}

/** What the first step says, or throws; the training is gone afterwards. */
async function firstStep(start: () => Promise<Training>, batchRows = rows): Promise<unknown> {
  let training: Training | undefined;
  const { y, indices, dispose } = batchAt(0, 60);
  const batchX = batchRows(indices);
  try {
    training = await start();
    return await training.step({ x: batchX, y, indices });
  } catch (error) {
    return error;
  } finally {
    training?.dispose();
    batchX.dispose();
    dispose();
  }
}

/**
 * The settings that a method trains: every activation in every network, and every loss with both, in turn where it
 * trains more than one.
 */
function settingsOf(definition: MethodDefinition): Setting[] {
  return Object.values(networks).flatMap((layers, n) =>
    activationNames.flatMap((activation, i) => {
      const solves = 'tolerance' in definition.schema.shape;
      // At first the squared error of hard-tanh rises, with sgd's default rate.
      const more = activation === 'hard-tanh' && !solves ? 5 : 0;
      const steps = learningSteps(layers, solves) + more;
      const trained = lossNames
        .map((loss): Setting => ({ layers, activation, loss, batchSize: 60, steps }))
        .filter((setting) => trains(definition, setting));
      return trained.length > 0 ? [trained[(n + i) % trained.length]] : [];
    }),
  );
}

/** The first setting of each network, and the last of all. */
function isRepresentative(setting: Setting, settings: readonly Setting[]): boolean {
  const first = settings.find(({ layers }) => layers === setting.layers);
  return setting === first || setting === settings.at(-1);
}

/**
 * Checks of a training method: it learns in every network that its `check` accepts, leaks no tensors, resumes bit
 * for bit, reports the loss of the weights before the step, and is not fooled by numbers that are not finite.
 * @param part a few networks, activations and losses, or all others
 */
export function methodConformance(
  method: Definition<'method'> | MethodDefinition,
  part: 'representatives' | 'others' = 'representatives',
): Check[] {
  const definition = 'kind' in method ? entriesOf(method).methods[0] : method;
  const settings = settingsOf(definition).filter(
    (setting, _, all) => isRepresentative(setting, all) === (part === 'representatives'),
  );
  const learning = settings.map((setting): Check => {
    const [network] = Object.entries(networks).find(([, layers]) => layers === setting.layers)!;
    const { activation, loss } = setting;
    return {
      name: `learns with ${activation}, ${loss}, ${network}; leaks nothing; resumes bit for bit`,
      run: () => learns(definition, setting),
    };
  });
  if (part === 'others') return learning;
  return [
    ...learning,
    {
      name: 'resumes bit for bit with all averages on, and as full-batch Fenchel in the variant plain',
      run: () => resumesWithAverages(definition),
    },
    {
      name: 'changes no number and leaks nothing when its layers are measured',
      run: () => measuresLayers(definition),
    },
    {
      name: 'reports the loss and accuracy of the raw weights before each step',
      run: () => reportsRawWeights(definition),
    },
    {
      name: 'cannot be fooled by images that are not finite, and leaks nothing over them',
      run: () => refusesNotFinite(definition),
    },
  ];
}

async function learns(definition: MethodDefinition, setting: Setting): Promise<void> {
  const method = await definition.load();
  // What makes exact and second-order methods fast enough for a test.
  const fast = Object.entries({ tolerance: 0.01, maxDimension: 100 });
  const fields = fast.filter(([field]) => field in definition.schema.shape);
  const config = defaultConfig(definition, setting, Object.fromEntries(fields));
  const baseline = tf.memory().numTensors;

  const training = await startTraining(method, config, setting);
  const { metrics, tensors } = await runSteps(training, setting);
  const weights = await weightsOf(training);
  training.dispose();

  assert(weights.every(Number.isFinite), 'weights are not finite');
  const values = metrics.map((step) => step.loss);
  const late = values.slice(-4).reduce((sum, value) => sum + value, 0) / 4;
  assert(late < values[0], `the loss does not fall: ${values[0]} at first, ${late} at the end`);
  for (const { accuracy, residual, extra } of metrics) {
    assert(accuracy >= 0 && accuracy <= 1, `the accuracy is ${accuracy}`);
    if (residual !== undefined) assert(residual >= 0, `the residual is ${residual}`);
    assert.deepEqual(Object.keys(extra ?? {}), [...training.columns]);
  }
  // Averages and metrics may appear in the first step; after that the count stands still.
  assert.equal(new Set(tensors.slice(1)).size, 1, `steps leak tensors: ${tensors.join(', ')}`);
  assert.equal(tf.memory().numTensors, baseline, 'tensors are left after the training');

  const start = () => startTraining(method, config, setting);
  assert.deepEqual(await runInTwoSessions(start, setting), { metrics, weights });
  assert.equal(tf.memory().numTensors, baseline, 'tensors are left after resuming');
}

async function resumesWithAverages(definition: MethodDefinition): Promise<void> {
  const setting = someSetting(definition, 8);
  const method = await definition.load();
  const averaging = { momentum: 0.5, weightAverage: 0.9, covarianceInterval: 3, variant: 'plain' };
  const own = Object.entries(averaging).filter(([field]) => field in definition.schema.shape);
  const config = defaultConfig(definition, setting, Object.fromEntries(own));
  const start = () => startTraining(method, config, setting);
  const training = await start();
  const { metrics } = await runSteps(training, setting);
  const weights = await weightsOf(training);
  training.dispose();
  assert.deepEqual(await runInTwoSessions(start, setting), { metrics, weights });
}

type MeasuredStep = Awaited<ReturnType<Training['step']>>;

/** Steps, with the layers measured where `stepped` is given: it is called after each, before they are. */
export async function stepsOf(
  definition: MethodDefinition,
  setting: Setting,
  stepped?: () => void,
): Promise<{ steps: MeasuredStep[]; tensors: number[]; weights: number[] }> {
  const config = defaultConfig(definition, setting);
  const training = await startTraining(await definition.load(), config, setting);
  const steps: MeasuredStep[] = [];
  const tensors: number[] = [];
  for (let t = 0; t < setting.steps; t++) {
    const batch = batchAt(t, setting.batchSize);
    steps.push(await training.step(batch, stepped));
    batch.dispose();
    tensors.push(tf.memory().numTensors);
  }
  const weights = await weightsOf(training);
  training.dispose();
  return { steps, tensors, weights };
}

async function measuresLayers(definition: MethodDefinition): Promise<void> {
  const setting = someSetting(definition, 3);
  await definition.load();
  const baseline = tf.memory().numTensors;
  const plain = await stepsOf(definition, setting);
  let times = 0;
  const measured = await stepsOf(definition, setting, () => times++);
  assert.equal(times, setting.steps);
  assert.deepEqual(measured.weights, plain.weights);
  assert.deepEqual(measured.tensors, plain.tensors);
  assert.equal(tf.memory().numTensors, baseline, 'tensors are left');
  for (const [t, { layers: _, objective: __, ...step }] of measured.steps.entries()) {
    const { objective: ___, layers: none, ...rest } = plain.steps[t];
    assert.deepEqual(step, rest);
    assert.equal(none, undefined, 'layers are measured when nobody asks');
  }
  const { layers } = measured.steps[2];
  if (layers === undefined) return;
  assert.equal(layers.length, setting.layers.length);
  const positive = (value: number | undefined) => value !== undefined && value > 0;
  for (const [l, layer] of layers.entries()) {
    assert(positive(layer.weightChange), `weightChange of layer ${l + 1} is ${layer.weightChange}`);
    if (l === setting.layers.length - 1) continue;
    for (const key of [
      'penalty',
      'constraintViolation',
      'activationChange',
      'targetChange',
    ] as const) {
      assert(positive(layer[key]), `${key} of layer ${l + 1} is ${layer[key]}`);
    }
    assert((layer.activeShare ?? 2) <= 1, `activeShare of layer ${l + 1} is ${layer.activeShare}`);
  }
}

async function reportsRawWeights(definition: MethodDefinition): Promise<void> {
  const setting = someSetting(definition, 6);
  const method = await definition.load();
  const variants = definition.schema.shape.variant ? ['accelerated', 'plain'] : [undefined];
  for (const variant of variants) {
    // What is tested with are the weights themselves; what extrapolates them is on.
    const own = { variant, momentum: 0.9, weightAverage: 0, labelSmoothing: 0.1 };
    const fields = Object.entries(own).filter(
      ([field, value]) => value !== undefined && field in definition.schema.shape,
    );
    const config = defaultConfig(definition, setting, Object.fromEntries(fields));
    const training = await startTraining(method, config, setting);
    const network = buildNetwork(shapeOf(setting));
    for (let t = 0; t < setting.steps; t++) {
      const batch = definition.fullBatch ? wholeSplit() : batchAt(t, setting.batchSize);
      const before = tf.tidy(() => {
        const outputs = predict(network, training.parameters(), batch.x);
        return tf.stack([
          lossValue(setting.loss, batch.y, outputs),
          accuracyValue(batch.y, outputs),
        ]);
      });
      const [loss, accuracy] = await before.data();
      before.dispose();
      const step = await training.step(batch);
      batch.dispose();
      const where = `of step ${t + 1}${variant ? `, ${variant}` : ''}`;
      close(step.loss / loss, 1, 5e-4, `loss ${where}, relative to that of the raw weights`);
      close(step.accuracy, accuracy, 5e-3, `accuracy ${where}`);
    }
    training.dispose();
  }
}

async function refusesNotFinite(definition: MethodDefinition): Promise<void> {
  const setting = someSetting(definition, 3);
  const method = await definition.load();
  const baseline = tf.memory().numTensors;
  const config = defaultConfig(definition, setting);
  const broken = (indices: ArrayLike<number>) =>
    tf.tidy(() => tf.mul(rows(indices), Number.NaN)) as tf.Tensor2D;
  const outcome = definition.fullBatch
    ? await firstStep(() => startTraining(method, config, setting, broken))
    : await firstStep(() => startTraining(method, config, setting), broken);
  if (outcome instanceof Error) assert(outcome instanceof RunError, outcome);
  else {
    const { loss, residual } = outcome as StepMetrics;
    assert(Number.isNaN(loss), `the loss of NaN images is ${loss}`);
    if (residual !== undefined) assert(Number.isNaN(residual), `their residual is ${residual}`);
  }
  assert.equal(tf.memory().numTensors, baseline, 'tensors are left');
}

function close(value: number, expected: number, tolerance: number, what: string): void {
  assert(Math.abs(value - expected) < tolerance, `${what} is ${value}, expected ${expected}`);
}

/** Checks of an activation: phi, its slope, F* and F fit each other, and `fenchel` and `adam` train with it. */
export function activationConformance(definition: Definition<'activation'>): Check[] {
  const [activation] = entriesOf(definition).activations;
  return [
    {
      name: 'phi, slope, conjugate, F and the proximal operator fit each other',
      run: async () => assert.equal(await activationTensorProblem(activation), undefined),
    },
    trainsWith('activation', activation.name, () => {
      activations[activation.name] = activation;
    }),
  ];
}

/** Checks of a loss: gradient, convexity and curvature, and `fenchel` and `adam` train with it. */
export function lossConformance(definition: Definition<'loss'>): Check[] {
  const [loss] = entriesOf(definition).losses;
  return [
    {
      name: 'the gradient is that of rows, and curvature bounds it',
      run: async () => assert.equal(await lossProblem(loss, 10), undefined),
    },
    trainsWith('loss', loss.name, () => {
      losses[loss.name] = loss;
    }),
  ];
}

function trainsWith(kind: 'activation' | 'loss', name: string, register: () => void): Check {
  const run = async () => {
    register();
    const { methods } = await import('../core/methods/registry.js');
    for (const method of ['fenchel', 'adam']) {
      const definition = methods.find((entry) => entry.name === method)!;
      const layers = networks['one hidden layer'];
      const setting = {
        layers,
        activation: 'relu',
        loss: 'cross-entropy',
        batchSize: 60,
        steps: 15,
      };
      await learns(definition, { ...setting, [kind]: name });
    }
  };
  return { name: 'fenchel and adam learn with it, leak nothing and resume bit for bit', run };
}

/**
 * Checks of a layer type: its map is linear, and adjoint, gradient and patches are those of `apply`.
 * @param config values of its fields
 * @param input shape of its input
 */
export function layerConformance(
  definition: Definition<'layer'>,
  config: Readonly<Record<string, unknown>>,
  input: ImageShape,
): Check[] {
  const [type] = entriesOf(definition).layers;
  const mapOf = () => {
    const values = type.schema.parse(config);
    const output = type.output(values, input);
    assert(typeof output !== 'string', `output refuses its input: ${output}`);
    return { map: type.map(values, input, output), output };
  };
  return [
    {
      name: 'the adjoint, the gradient and the patches are those of apply',
      run: async () => {
        const { map, output } = mapOf();
        assert.equal(map.outputs, unitsIn(output));
        assert.equal(await mapProblem(map), undefined);
      },
    },
  ];
}

/** The first identity of {@link LinearMap} that a map violates, on random numbers. */
export async function mapProblem(map: LinearMap): Promise<string | undefined> {
  const random = new Random(1, 'map-check');
  const m = 3;
  const [patch, channels] = map.weightShape;
  const draw = (rows: number, columns: number) =>
    tf.tensor2d(
      Float32Array.from({ length: rows * columns }, () => random.normal()),
      [rows, columns],
    );
  const dot = (a: tf.Tensor, b: tf.Tensor) => tf.sum(tf.mul(a, tf.reshape(b, a.shape)));
  const before = tf.memory().numTensors;
  const values = tf.tidy(() => {
    const [x, d] = [draw(m, map.inputs), draw(m, map.outputs)];
    const weights = draw(patch, channels);
    const bias = tf.tensor1d(Array.from({ length: channels }, () => random.normal()));
    const zero = tf.zeros([channels]) as tf.Tensor1D;
    const u = map.apply(x, { weights, bias });
    const linear = map.apply(x, { weights, bias: zero });
    const stacked = tf.concat([weights, tf.reshape(bias, [1, -1])]);
    const product = tf.add(tf.matMul(map.patches(x), weights), bias);
    return tf.stack([
      dot(linear, d),
      dot(x, map.adjoint(d, weights)),
      dot(u, d),
      dot(stacked, map.gradient(x, d)),
      dot(stacked, stackBias(layerGradient(map, x, d))),
      tf.max(tf.abs(tf.sub(u, tf.reshape(product, u.shape)))),
      squaredPatches(map, x),
      tf.sum(tf.square(map.patches(x))),
      tf.mul(map.overlap, tf.sum(tf.square(x))),
    ]);
  });
  const [au, ua, bu, ub, split, gap, squares, ofPatches, most] = await values.data();
  values.dispose();
  const differ = (a: number, b: number) => !(Math.abs(a - b) <= 1e-3 * (1 + Math.abs(a)));
  if (differ(au, ua)) return `adjoint: <A(X; W), D> is ${au}, and <X, adjoint(D; W)> is ${ua}`;
  if (differ(bu, ub))
    return `gradient: <A(X; W) + b, D> is ${bu}, and <[W; b], gradient(X, D)> is ${ub}`;
  if (differ(bu, split)) return `weightGradient is not gradient: ${split} in place of ${bu}`;
  if (!(gap < 1e-3)) return `patches(X) W + b differs from apply by ${gap}`;
  if (differ(ofPatches, squares))
    return `squaredPatches is ${squares}, and ||patches(X)||^2 is ${ofPatches}`;
  if (!(ofPatches - most < 1e-2)) return 'overlap is less than ||patches(X)||^2 / ||X||^2';
  if (tf.memory().numTensors !== before) return 'tensors are left';
  return undefined;
}

/** Checks of a data set: its bytes fit its description, and are the same each time. */
export function datasetConformance(definition: Definition<'dataset'>): Check[] {
  const [dataset] = entriesOf(definition).datasets;
  const { trainSize: train, testSize: test } = dataset;
  return [
    {
      name: 'loads the rows that it describes, the same ones each time',
      run: async () => {
        const first = await dataset.load({ train, test }, {});
        const again = await dataset.load({ train, test }, {});
        assert.deepEqual(again.sha256, first.sha256);
        assert.equal(new Set(first.train.labels).size, dataset.classes, 'a class has no images');
      },
    },
  ];
}
