import { describe, expect, it } from 'vitest';
import { type LossName, monotoneNames } from '../../src/core/network/names.js';
import { Random } from '../../src/core/random.js';
import { type ScalarActivation, scalarActivations } from './activations.js';
import { fenchelActivationUpdate } from './fenchel-activation-update.js';
import { headActivationUpdate } from './head-activation-update.js';
import { affine, distance, type Matrix, map, sumAll, zip } from './matrix.js';
import { weightUpdate } from './weight-update.js';

/** The reference updates of eqs. (14) to (17) for every activation, on random instances. */
const scales = [0.3, 1, 4, 15];

const normal = (random: Random, rows: number, columns: number, scale = 1): number[][] =>
  Array.from({ length: rows }, () =>
    Array.from({ length: columns }, () => scale * random.normal()),
  );

const penalty = ({ penalty: b }: ScalarActivation, v: Matrix, u: Matrix) =>
  sumAll(zip(v, u, (vi, ui) => b(vi, ui)));

function clampTo([low, high]: ScalarActivation['domain'], v: Matrix): number[][] {
  return map(v, (value) => Math.min(Math.max(value, low), high));
}

/** No point near or far does better than `solution`, whose cost must be the stated one. */
function expectMinimum(
  cost: (v: Matrix) => number,
  solution: Matrix,
  stated: number,
  random: Random,
  feasible: (v: Matrix) => number[][],
): void {
  const least = cost(solution);
  const slack = 1e-10 * (1 + Math.abs(least));
  expect(Math.abs(least - stated)).toBeLessThanOrEqual(slack);
  for (let probe = 0; probe < 80; probe++) {
    const size = 10 ** (-probe % 6);
    const other = feasible(map(solution, (value) => value + size * random.normal()));
    expect(cost(other)).toBeGreaterThanOrEqual(least - slack);
  }
}

describe.each(monotoneNames)('%s', (name) => {
  const activation = scalarActivations[name];
  const feasible = (v: Matrix) => clampTo(activation.domain, v);

  it.each(scales)('eq. (14), pre-activations of size %d', (scale) => {
    const random = new Random(1, `${name}/14/${scale}`);
    for (const nextName of name === 'relu' ? monotoneNames : new Set(['relu', name] as const)) {
      const nextActivation = scalarActivations[nextName];
      const problem = {
        next: map(normal(random, 4, 3, scale), nextActivation.phi),
        weights: normal(random, 5, 3),
        bias: normal(random, 1, 3)[0],
        previous: normal(random, 4, 5, scale),
        activation,
        nextActivation,
        lambdaNext: 0.7,
        lambdaPrevious: 1.3,
      };
      const { solution, objective, residual } = fenchelActivationUpdate(problem);
      expect(residual).toBeLessThanOrEqual(1e-9);
      const cost = (z: Matrix) =>
        0.7 * penalty(nextActivation, problem.next, affine(z, problem.weights, problem.bias)) +
        1.3 * penalty(activation, z, problem.previous);
      expectMinimum(cost, solution, objective, random, feasible);
    }
  });

  it.each(scales)('eqs. (15) and (16), pre-activations of size %d', (scale) => {
    const random = new Random(1, `${name}/15/${scale}`);
    for (const loss of ['mse', 'cross-entropy'] satisfies LossName[]) {
      const problem = {
        targets: Array.from({ length: 4 }, (_, i) => [0, 1, 2].map((k) => (i % 3 === k ? 1 : 0))),
        weights: normal(random, 5, 3),
        bias: normal(random, 1, 3)[0],
        previous: normal(random, 4, 5, scale),
        activation,
        loss,
        lambda: 0.4,
        lossWeight: 2,
      };
      const { solution, objective, residual } = headActivationUpdate(problem);
      expect(residual).toBeLessThanOrEqual(1e-9);
      const cost = (z: Matrix) => {
        const logits = affine(z, problem.weights, problem.bias);
        const misfit = logits.map((u, i) => {
          const logSum = Math.log(u.reduce((total, uk) => total + Math.exp(uk), 0));
          return u.map((uk, k) => {
            const y = problem.targets[i][k];
            return loss === 'mse' ? (y - uk) ** 2 : y * (logSum - uk);
          });
        });
        return 2 * sumAll(misfit) + 0.4 * penalty(activation, z, problem.previous);
      };
      expectMinimum(cost, solution, objective, random, feasible);
    }
  });

  it.each(scales)('eq. (17), activations from pre-activations of size %d', (scale) => {
    const random = new Random(1, `${name}/17/${scale}`);
    const problem = {
      x: normal(random, 9, 4),
      next: map(normal(random, 9, 3, scale), activation.phi),
      activation,
      lambda: 0.8,
      rhoWeights: 0.01,
      rhoBias: 0,
      gammaWeights: 0.2,
      gammaBias: 0.1,
      weights0: normal(random, 4, 3),
      bias0: normal(random, 1, 3)[0],
    };
    const { solution, objective, residual } = weightUpdate(problem);
    expect(residual).toBeLessThanOrEqual(1e-9);
    const stacked = [...solution.weights, solution.bias];
    const cost = (p: Matrix) => {
      const weights = p.slice(0, -1);
      const bias = p[p.length - 1];
      return (
        0.8 * penalty(activation, problem.next, affine(problem.x, weights, bias)) +
        0.01 * sumAll(map(weights, (w) => w ** 2)) +
        0.2 * sumAll(zip(weights, problem.weights0, (w, w0) => (w - w0) ** 2)) +
        0.1 * sumAll(zip([bias], [problem.bias0], (b, b0) => (b - b0) ** 2))
      );
    };
    expectMinimum(cost, stacked, objective, random, (p) => map(p, (value) => value));
  });

  it('leaves a consistent network alone: v = phi(u) and X W + b fits, in both updates', () => {
    const random = new Random(3, name);
    const previous = normal(random, 6, 4);
    const z = map(previous, activation.phi);
    const weights = normal(random, 4, 3);
    const bias = normal(random, 1, 3)[0];
    const next = map(affine(z, weights, bias), activation.phi);
    const activations = fenchelActivationUpdate({
      ...{ next, weights, bias, previous, activation },
      lambdaNext: 2,
      lambdaPrevious: 1,
    });
    expect(distance(activations.solution, z)).toBeLessThan(1e-9);
    expect(Math.abs(activations.objective)).toBeLessThan(1e-12);
    const layer = weightUpdate({
      ...{ x: z, next, activation, lambda: 1, weights0: weights, bias0: bias },
      ...{ rhoWeights: 0, rhoBias: 0, gammaWeights: 0.5, gammaBias: 0.5 },
    });
    expect(distance(layer.solution.weights, weights)).toBeLessThan(1e-9);
    expect(Math.abs(layer.objective)).toBeLessThan(1e-12);
  });
});
