import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { measureLayers } from '../../src/core/methods/layer-metrics.js';
import type { LayerMetrics } from '../../src/core/methods/method.js';
import { methods } from '../../src/core/methods/registry.js';
import { continuousNames, type LossName } from '../../src/core/network/names.js';
import { buildNetwork } from '../../src/core/network/network.js';
import { denseLayers } from '../../src/core/network/shape.js';
import { Random } from '../../src/core/random.js';
import { Training } from '../../src/core/training.js';
import { startTestBackend } from '../backends.js';
import { type ScalarActivation, scalarActivations } from '../reference/activations.js';
import { headActivationUpdate } from '../reference/head-activation-update.js';
import {
  affine,
  type Matrix,
  map,
  multiply,
  sum,
  sumAll,
  transpose,
  zip,
} from '../reference/matrix.js';
import type { Layer } from '../reference/ridge.js';
import { crossEntropy, softmax, squaredError } from '../reference/terms.js';
import { matrix, normal, targets, vector } from '../solvers/tensors.js';
import { norm } from './float64.js';
import { readLayers } from './lifted.js';

interface Blocks {
  /** X_1, X_2, ...; the output's last, if it has a variable. */
  readonly activations: readonly Matrix[];
  readonly layers: readonly Layer[];
}

const subtract = (a: Matrix, b: Matrix) => zip(a, b, (p, q) => p - q);
const relative = (a: Matrix, b: Matrix) => norm(subtract(a, b)) / norm(b);
const apply = (x: Matrix, { weights, bias }: Layer) => affine(x, weights, bias);

/** The columns in float64, as docs/layers.md defines them. */
function referenceColumns(
  x: Matrix,
  before: Blocks,
  after: Blocks,
  activation: ScalarActivation,
): LayerMetrics[] {
  return after.layers.map((layer, l) => {
    const weightChange = relative(layer.weights, before.layers[l].weights);
    const now = after.activations[l];
    if (now === undefined) return { weightChange };
    const isOutput = l === after.layers.length - 1;
    const phi = isOutput ? (u: number) => u : activation.phi;
    const inputs = l === 0 ? x : after.activations[l - 1];
    const u = apply(inputs, layer);
    const image = map(u, phi);
    const [low, high] = activation.domain;
    const b = isOutput
      ? (v: number, at: number) => (v - at) ** 2 / 2
      : (v: number, at: number) => activation.penalty(Math.min(high, Math.max(low, v)), at);
    const steep = map(u, (value) =>
      activation.phiPrime(value) > activation.maxSlope / 10 ? 1 : 0,
    );
    return {
      weightChange,
      penalty: sumAll(zip(now, u, b)) / x.length,
      constraintViolation: relative(now, image),
      activationChange: relative(now, before.activations[l]),
      targetChange: relative(now, map(apply(inputs, before.layers[l]), phi)),
      ...(!isOutput && { activeShare: sumAll(steep) / (u.length * u[0].length) }),
    };
  });
}

function expectColumns(
  actual: readonly LayerMetrics[],
  expected: readonly LayerMetrics[],
  tolerance: number,
): void {
  for (const [l, columns] of expected.entries()) {
    const defined = Object.entries(actual[l]).filter(([, value]) => value !== undefined);
    const names = defined.map(([name]) => name).filter((name) => name !== 'residual');
    expect(names.sort()).toEqual(Object.keys(columns).sort());
    for (const [name, value] of Object.entries(columns)) {
      const measured = actual[l][name as keyof LayerMetrics]!;
      const error = Math.abs(measured - value) / (Math.abs(value) + 1e-30);
      expect(error, `${name} of layer ${l + 1}: ${measured}, not ${value}`).toBeLessThan(tolerance);
    }
  }
}

const tensors = (layers: readonly Layer[]) =>
  layers.map(({ weights, bias }) => ({ weights: matrix(weights), bias: vector(bias) }));

const widths = [6, 5, 4, 3];
const randomLayers = (random: Random): Layer[] =>
  widths.slice(1).map((units, l) => ({
    weights: normal(random, widths[l], units, 0.7),
    bias: normal(random, 1, units)[0],
  }));

describe('measureLayers', () => {
  beforeAll(startTestBackend);

  const x = normal(new Random(3, 'rows'), 30, widths[0]);
  const network = (name: (typeof continuousNames)[number]) =>
    buildNetwork({ layers: denseLayers(widths), activations: [name, name] });
  const chunks = (a: Matrix) => [matrix(a.slice(0, 17)), matrix(a.slice(17))];

  // Down to differences whose square float32 does not see beside B's terms.
  it.each(continuousNames.flatMap((name) => [1, 1e-2, 1e-4].map((size) => ({ name, size }))))(
    'has the columns of float64: $name, moves of size $size',
    async ({ name, size }) => {
      const activation = scalarActivations[name];
      const random = new Random(5, `${name}/${size}`);
      const old = randomLayers(random);
      const layers = old.map(({ weights, bias }) => ({
        weights: map(weights, (value) => Math.fround(value + size * random.normal())),
        bias: bias.map(Math.fround),
      }));
      const single = (a: Matrix) => map(a, Math.fround);
      const activations: Matrix[] = [];
      const before: Matrix[] = [];
      for (const l of [0, 1, 2]) {
        const u = apply(l === 0 ? x : activations[l - 1], layers[l]);
        const phi = l === 2 ? (value: number) => value : activation.phi;
        activations.push(single(map(u, (value) => phi(value + size * random.normal()))));
        before.push(single(map(u, (value) => phi(value + size * random.normal()))));
      }
      const measured = await measureLayers(network(name), {
        x: chunks(x),
        before: { activations: before.map(chunks), parameters: tensors(old) },
        after: { activations: activations.map(chunks), parameters: tensors(layers) },
      });
      const single0 = single(x);
      const expected = referenceColumns(
        single0,
        { activations: before, layers: old },
        { activations, layers },
        activation,
      );
      expectColumns(measured, expected, size < 1e-3 ? 0.05 : 2e-3);
    },
  );

  it.each(continuousNames)(
    'has no violation and no penalty at a forward pass, and both beside it: %s',
    async (name) => {
      const { phi } = network(name).activations[0];
      const layers = tensors(randomLayers(new Random(1, name)));
      const rows = matrix(x);
      const forward: tf.Tensor2D[] = [];
      for (const l of [0, 1]) {
        const u = tf.add(tf.matMul(forward[l - 1] ?? rows, layers[l].weights), layers[l].bias);
        forward.push(phi(u as tf.Tensor2D));
      }
      const at = async (activations: readonly tf.Tensor2D[]) => {
        const blocks = { activations: activations.map((a) => [a]), parameters: layers };
        return measureLayers(network(name), { x: [rows], before: blocks, after: blocks });
      };
      for (const { penalty, ...layer } of (await at(forward)).slice(0, 2)) {
        expect(layer).toMatchObject({ constraintViolation: 0, targetChange: 0, weightChange: 0 });
        expect(penalty).toBeGreaterThanOrEqual(0);
        // X is rounded to float32, which costs most where tanh and sigmoid saturate: 4e-12 on tensorflow.
        expect(penalty).toBeLessThan(1e-10);
      }
      const moved = forward.map((a) => tf.mul(a, 0.9) as tf.Tensor2D);
      for (const { penalty, constraintViolation } of (await at(moved)).slice(0, 2)) {
        expect(penalty).toBeGreaterThan(1e-4);
        expect(constraintViolation).toBeGreaterThan(0.01);
      }
    },
  );

  it('takes the penalty of a large layer from its first rows, where it is computed on the host', async () => {
    const layers = tensors(randomLayers(new Random(1, 'large')));
    const half = (rows: Matrix) => [rows.slice(0, 15), rows.slice(15)];
    const given = normal(new Random(2, 'large'), 30, 5).map((row) => row.map(Math.tanh));
    const penaltyOf = async (inputs: Matrix[], activations: Matrix[], most?: number) => {
      const blocks = { activations: [activations.map(matrix)], parameters: layers };
      const step = { x: inputs.map(matrix), before: blocks, after: blocks };
      return (await measureLayers(network('tanh'), step, most))[0].penalty;
    };
    const sampled = await penaltyOf(half(x), half(given), 5 * 4 + 1);
    const first = (rows: Matrix) => half(rows).map((chunk) => chunk.slice(0, 4));
    expect(sampled).toBeCloseTo((await penaltyOf(first(x), first(given))) as number, 9);
    expect(sampled).not.toBeCloseTo((await penaltyOf(half(x), half(given))) as number, 3);
  });

  it('leaves empty what is relative to nothing', async () => {
    const zero = tensors(
      randomLayers(new Random(1, 'x')).map(({ weights, bias }) => ({
        weights: map(weights, () => 0),
        bias: bias.map(() => 0),
      })),
    );
    const ones = [tf.ones<tf.Rank.R2>([30, 5])];
    const [layer] = await measureLayers(network('relu'), {
      x: [matrix(x)],
      before: { activations: [ones], parameters: zero },
      after: { activations: [ones], parameters: zero },
    });
    expect(layer).toMatchObject({ weightChange: 0, penalty: 2.5, activeShare: 0 });
    expect(layer.constraintViolation).toBeUndefined();
    expect(layer.targetChange).toBeUndefined();
  });
});

/** Steps of the Fenchel solvers, whose X is computed again in float64. */
describe('layers of a step', () => {
  beforeAll(startTestBackend);

  const random = new Random(2, 'fenchel');
  const rows = 24;
  const x = normal(random, rows, 6);
  const y = targets(random, rows, 3);
  const relu = scalarActivations.relu;

  async function start(
    solver: string,
    fields: object,
    loss: LossName = 'mse',
    hidden = [5],
    dropout?: number,
  ) {
    const definition = methods.find((entry) => entry.solver === solver)!;
    const labels = Uint8Array.from(y, (row) => row.indexOf(1));
    return Training.start(await definition.load(), {
      config: definition.schema.parse({ name: 'fenchel', solver, ...fields }),
      network: buildNetwork({
        layers: denseLayers([6, ...hidden, 3]).map((layer) => ({ ...layer, dropout })),
        activations: hidden.map(() => 'relu' as const),
      }),
      loss,
      train: {
        split: { images: new Uint8Array(rows * 6), labels, count: rows },
        rows: (indices) => matrix(Array.from(indices, (i) => x[i])),
      },
      batchSize: rows,
      totalBatches: 10,
      random: new Random(1, 'init'),
      stream: (name) => new Random(1, name),
    });
  }

  async function step(training: Training) {
    const old = await readLayers(training);
    const batch = { x: matrix(x), y: matrix(y), indices: new Uint32Array(rows) };
    const metrics = await training.step(batch, () => {});
    return { old, layers: await readLayers(training), metrics };
  }

  const forward = (layers: readonly Layer[]) => {
    const u: Matrix[] = [];
    const f: Matrix[] = [];
    for (const [l, layer] of layers.entries()) {
      u.push(apply(l === 0 ? x : f[l - 1], layer));
      f.push(map(u[l], relu.phi));
    }
    return { u, f };
  };

  it.each([
    { loss: 'mse', nudge: 'one-sided' },
    { loss: 'cross-entropy', nudge: 'two-sided' },
  ] as const)('preconditioned, $nudge, $loss', async ({ loss, nudge }) => {
    const c = 0.3;
    const fields = { nudge, targetStep: c, weightAverage: 0, labelSmoothing: 0.1 };
    const training = await start('preconditioned', fields, loss, [5, 4]);
    await step(training);
    const { old, layers, metrics } = await step(training);
    training.dispose();

    const { u, f } = forward(old);
    const smooth = map(y, (value) => 0.9 * value + 0.1 / 3);
    const scale = loss === 'mse' ? 1 / 4 : 1;
    let g: Matrix =
      loss === 'mse'
        ? zip(u[2], smooth, (a, b) => (a - b) / 2)
        : subtract(u[2].map(softmax), smooth);
    let exact = g;
    const v: Matrix[] = [];
    const signals: Pick<LayerMetrics, 'signalCosine' | 'signalBias'>[] = [];
    const root = (a: Matrix) => norm(a) / Math.sqrt(a.length * a[0].length);
    const mean = (a: Matrix) => sumAll(a) / (a.length * a[0].length);
    for (const l of [2, 1]) {
      const r = map(multiply(g, transpose(old[l].weights)), (value) => (l === 2 ? c : 1) * value);
      v.unshift(zip(u[l - 1], r, (a, b) => relu.phi(a - b)));
      const raised = zip(u[l - 1], r, (a, b) => relu.phi(a + b));
      g =
        nudge === 'one-sided'
          ? subtract(f[l - 1], v[0])
          : map(subtract(raised, v[0]), (d) => d / 2);
      const back = multiply(exact, transpose(old[l].weights));
      exact = zip(u[l - 1], back, (at, value) => relu.phiPrime(at) * value);
      signals.unshift({
        signalCosine: sumAll(zip(g, exact, (p, q) => p * q)) / (norm(g) * norm(exact)),
        signalBias: mean(g) / root(g) - mean(exact) / root(exact),
      });
    }
    const before = { activations: f.slice(0, 2), layers: old };
    const columns = referenceColumns(x, before, { activations: v, layers }, relu);
    const expected = columns.map((layer, l) => ({ ...layer, ...signals[l] }));
    expectColumns(metrics.layers!, expected, 2e-3);
    expect(metrics.layers!.every(({ residual }) => residual === undefined)).toBe(true);

    const term = loss === 'mse' ? squaredError : crossEntropy;
    const output = apply(v[1], layers[2]);
    const fit = sum(output.map((row, i) => term(smooth[i], 1).value(row))) / rows;
    const objective = fit + sum(expected.map(({ penalty = 0 }) => penalty)) / (c * scale);
    expect(metrics.objective! / objective).toBeCloseTo(1, 4);
  });

  it('preconditioned: dropout is no change of the activations', async () => {
    const fields = { targetStep: 1e-4, weightAverage: 0 };
    const training = await start('preconditioned', fields, 'mse', [5, 4], 0.5);
    const { metrics } = await step(training);
    training.dispose();
    for (const { activationChange, targetChange } of metrics.layers!.slice(0, 2)) {
      expect(Math.max(activationChange!, targetChange!)).toBeLessThan(0.01);
      expect(Math.min(activationChange!, targetChange!)).toBeGreaterThan(0);
    }
  });

  it('exact', async () => {
    const fields = { lambda: 0.6, lossWeight: 1, gamma: 2, tolerance: 1e-5, maxIterations: 5000 };
    const training = await start('exact', fields);
    const { old, layers, metrics } = await step(training);
    training.dispose();
    const { u, f } = forward(old);
    const { solution } = headActivationUpdate({
      targets: y,
      ...old[1],
      previous: u[0],
      activation: relu,
      loss: 'mse',
      lambda: 0.6,
    });
    const before = { activations: [f[0]], layers: old };
    const expected = referenceColumns(x, before, { activations: [solution], layers }, relu);
    expectColumns(metrics.layers!, expected, 2e-3);
    const residuals = metrics.layers!.map(({ residual }) => residual!);
    expect(Math.max(...residuals)).toBe(metrics.extra!.max_residual);
    expect(residuals[1]).toBe(metrics.residual);
  });

  it.each(['plain', 'accelerated'])('full-batch, %s', async (variant) => {
    // Enough steps to solve for Z.
    const fields = { variant, lambda: 0.6, activationSteps: 300, rho: [1e-3, 1e-2] };
    const training = await start('full-batch', fields);
    await step(training);
    const { old, layers, metrics } = await step(training);
    training.dispose();
    // The accelerated variant extrapolates the weights first, and tests with those that Z belongs to.
    const at = variant === 'plain' ? old : layers;
    const { u, f } = forward(at);
    const { solution } = headActivationUpdate({
      targets: y,
      ...at[1],
      previous: u[0],
      activation: relu,
      loss: 'mse',
      lambda: 0.6,
    });
    const before = { activations: [f[0]], layers: old };
    const expected = referenceColumns(x, before, { activations: [solution], layers }, relu);
    expectColumns(metrics.layers!, expected, 2e-3);
    expect(metrics.layers![1].residual).toBe(metrics.residual);
    expect(metrics.layers![0].residual).toBe(metrics.extra!.z_residual);
  });
});
