import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { activations } from '../../src/core/network/activations/registry.js';
import { denseMap } from '../../src/core/network/maps/dense.js';
import type { ActivationName } from '../../src/core/network/names.js';
import { Random } from '../../src/core/random.js';
import { candidates, liftedValues } from '../../src/core/solvers/lifted-prediction.js';
import { startTestBackend } from '../backends.js';
import { type ScalarActivation, scalarActivations } from '../reference/activations.js';
import { toMatrix } from '../reference/golden/family.js';
import { distance, type Matrix, maxAbs, multiply, type Vector } from '../reference/matrix.js';
import { type PredictionProblem, predictLifted as reference } from '../reference/predict-lifted.js';
import { matrix, normal, vector } from './tensors.js';

/** The tensor solver of eq. 12 against the golden instances and the float64 reference. */
interface Instance {
  readonly name: string;
  readonly edge: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly solution: { readonly values: Matrix; readonly pred: Vector; readonly margin: Vector };
  readonly objective: number;
}

const file = process.env.FLN_GOLDEN ?? new URL('../golden/golden.json', import.meta.url);
const golden = JSON.parse(readFileSync(file, 'utf8')) as { cases: Record<string, Instance[]> };

async function predict(
  activation: ActivationName,
  previous: Matrix,
  weights: Matrix,
  bias: Vector,
  lambda: number,
) {
  const problem = {
    activation: activations[activation],
    predicted: matrix(previous),
    map: denseMap(weights.length, bias.length),
    layer: { weights: matrix(weights), bias: vector(bias) },
    lambda,
  };
  const all = previous.flatMap((_, i) => bias.map((_, k) => [i, k]));
  const pairs = {
    rows: Int32Array.from(all, ([i]) => i),
    classes: Int32Array.from(all, ([, k]) => k),
  };
  const before = tf.memory().numTensors;
  const found = await liftedValues(problem, pairs, { tolerance: 2e-6, maxIterations: 3000 });
  const kept = await candidates(problem);
  expect(tf.memory().numTensors).toBe(before);
  const values = previous.map((_, i) => bias.map((_, k) => found.values[i * bias.length + k]));
  const isCandidate = previous.map(() => bias.map(() => false));
  for (const [i, row] of kept.rows.entries()) isCandidate[row][kept.classes[i]] = true;
  return { values, residual: found.residual, isCandidate };
}

const leastOf = (row: readonly number[]) => row.indexOf(Math.min(...row));
const margin = (row: readonly number[]) => {
  const [first, second] = row.toSorted((a, b) => a - b);
  return second - first;
};

/**
 * The reference, which minimises over the activations z_1 of a monotone phi_1: of another phi z = z_1 - kappa u, and
 * the linear part moves the biases of a row.
 */
function ofDecreasing(
  activation: ScalarActivation,
  { previous, weights, bias, lambda }: Omit<PredictionProblem, 'activation'>,
) {
  const { monotone, kappa = 0 } = activation;
  if (monotone === undefined) return reference({ previous, weights, bias, activation, lambda });
  const rows = previous.map((u) => {
    const [shift] = multiply([u.map((value) => -kappa * value)], weights);
    const moved = bias.map((b, k) => b + shift[k]);
    const row = { previous: [u], weights, bias: moved, activation: monotone, lambda };
    return reference(row).solution;
  });
  const values = rows.map((row) => row.values[0]);
  return { solution: { values, lifted: rows.map((row) => row.lifted[0]) } };
}

describe('lifted prediction, tensor solver', () => {
  beforeAll(startTestBackend);

  it.each(
    golden.cases.predict_eq12_ce.map((instance) => [`${instance.name} ${instance.edge}`, instance]),
  )('golden instance %s', async (_title, instance) => {
    const { input, solution, objective } = instance as Instance;
    const [previous, weights, [bias]] = ['U_prev', 'W', 'b'].map((name) => toMatrix(input[name]));
    const { values } = await predict('relu', previous, weights, bias, input.lambda_ as number);
    expect(distance(values, solution.values)).toBeLessThan(1e-4);
    const least = values.map((row) => Math.min(...row));
    expect(Math.abs(least.reduce((a, b) => a + b) - objective)).toBeLessThan(1e-4);
    for (const [i, row] of values.entries()) {
      if (solution.margin[i] >= 1e-9) expect(leastOf(row)).toBe(solution.pred[i]);
    }
  });

  // softplus and hard-tanh are solved as tanh and relu are, silu as gelu.
  it.each([
    ['relu', [0.05, 1, 20]],
    ['leaky-relu', [0.05, 1, 20]],
    ['sigmoid', [0.05, 1, 20]],
    ['tanh', [0.05, 1, 20]],
    ['gelu', [0.5, 20]],
  ])('agrees with the float64 reference: %s', async (name, lambdas) => {
    const random = new Random(1, `prediction ${name}`);
    for (const lambda of lambdas) {
      const previous = normal(random, 6, 5, 2);
      const weights = normal(random, 5, 4);
      const bias = normal(random, 1, 4)[0];
      const { values, residual, isCandidate } = await predict(
        name,
        previous,
        weights,
        bias,
        lambda,
      );
      const activation = scalarActivations[name];
      const { solution } = ofDecreasing(activation, { previous, weights, bias, lambda });
      expect(residual).toBeLessThan(1e-4);
      expect(distance(values, solution.values)).toBeLessThan(
        1e-4 * Math.max(1, maxAbs(solution.values)),
      );
      for (const [i, row] of solution.values.entries()) {
        expect(isCandidate[i][leastOf(row)]).toBe(true);
        if (margin(row) > 2e-4) expect(leastOf(values[i])).toBe(solution.lifted[i]);
      }
    }
  });

  it('tends to feed-forward prediction as lambda grows', async () => {
    const random = new Random(2, 'prediction');
    const previous = normal(random, 40, 6);
    const weights = normal(random, 6, 3);
    const bias = normal(random, 1, 3)[0];
    const agreement = async (lambda: number) => {
      const { values } = await predict('relu', previous, weights, bias, lambda);
      const activation = scalarActivations.relu;
      const { solution } = reference({ previous, weights, bias, activation, lambda });
      return values.filter((row, i) => leastOf(row) === solution.feedForward[i]).length;
    };
    expect(await agreement(1000)).toBe(40);
    expect(await agreement(0.05)).toBeLessThan(40);
  });

  it('leaves most classes out where the penalty is heavy, and none where it is light', async () => {
    const random = new Random(3, 'prediction');
    const previous = normal(random, 40, 6);
    const weights = normal(random, 6, 5);
    const count = async (lambda: number) =>
      (await predict('relu', previous, weights, [0, 0, 0, 0, 0], lambda)).isCandidate
        .flat()
        .filter(Boolean).length;
    expect(await count(1e4)).toBeLessThan(45);
    expect(await count(1e-3)).toBe(200);
  });
});
