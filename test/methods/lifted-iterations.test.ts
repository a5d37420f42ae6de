import { beforeAll, describe, expect, it } from 'vitest';
import type { Random } from '../../src/core/random.js';
import { startTestBackend } from '../backends.js';
import { scalarActivations } from '../reference/activations.js';
import { headActivationUpdate } from '../reference/head-activation-update.js';
import { lauPreActivationUpdate, lauWeightUpdate } from '../reference/lau.js';
import {
  affine,
  distance,
  leastSquares,
  type Matrix,
  map,
  maxAbs,
  withOnes,
  zeros,
} from '../reference/matrix.js';
import { nonNegativeRows, nonNegativeRowsValue } from '../reference/non-negative-rows.js';
import { quadraticActivationUpdate } from '../reference/quadratic-activation-update.js';
import { blend } from '../reference/relu-prox.js';
import type { Layer } from '../reference/ridge.js';
import { taylorHiddenUpdate, taylorOutputUpdate, taylorWeightUpdate } from '../reference/taylor.js';
import { weightUpdate } from '../reference/weight-update.js';
import {
  iterate,
  readLayers,
  relu,
  ridgeFit,
  squares,
  startLifted,
  subtract,
  x,
  y,
} from './lifted.js';

const apply = (a: Matrix, { weights, bias }: Layer) => affine(a, weights, bias);

function expectLayers(actual: readonly Layer[], expected: readonly Layer[]): void {
  for (const [l, { weights, bias }] of expected.entries()) {
    const bound = 1e-4 * Math.max(1, maxAbs(weights), maxAbs([bias]));
    expect(distance(actual[l].weights, weights), `W of layer ${l + 1}`).toBeLessThan(bound);
    expect(distance([actual[l].bias], [bias]), `b of layer ${l + 1}`).toBeLessThan(bound);
  }
}

function expectClose(actual: number | undefined, expected: number): void {
  expect(Math.abs(actual! - expected)).toBeLessThan(1e-4 * Math.abs(expected));
}

/** Whole iterations against the same algorithm in float64, made of the reference solvers. */
describe('iterations in float64', () => {
  beforeAll(startTestBackend);

  it('lau-bcd, two hidden layers', async () => {
    const [gamma, rho, alpha] = [0.7, 1.3, 0.05];
    const fields = { gamma, rho, alpha, weightScale: 0.5, bias: 0.1 };
    const { training } = await startLifted('lau-bcd', [5, 4], fields);
    const layers = await readLayers(training);
    const metrics = await iterate(training, 2);

    const u: Matrix[] = [];
    const v: Matrix[] = [];
    for (const [l, layer] of layers.entries()) {
      u.push(apply(l === 0 ? x : v[l - 1], layer));
      v.push(l < 2 ? relu(u[l]) : u[l]);
    }
    for (let k = 0; k < 2; k++) {
      for (let l = 2; l >= 0; l--) {
        const below = l === 0 ? x : v[l - 1];
        const predicted = apply(below, layers[l]);
        if (l === 2) {
          const total = 1 + gamma + alpha;
          v[l] = map(v[l], (old, i, j) => (y[i][j] + gamma * u[l][i][j] + alpha * old) / total);
          u[l] = blend(gamma, v[l], rho, predicted);
        } else {
          const above = layers[l + 1];
          const problem = { next: u[l + 1], z: u[l], beta: rho, gamma };
          v[l] = quadraticActivationUpdate({ ...above, ...problem }).solution;
          const update = { v: v[l], predicted, old: u[l], gamma, rho, alpha };
          u[l] = lauPreActivationUpdate(update).solution.u;
        }
        layers[l] = lauWeightUpdate({
          v: below,
          u: u[l],
          oldWeights: layers[l].weights,
          oldBias: layers[l].bias,
          alpha,
          rho,
        }).solution;
      }
    }
    expectLayers(await readLayers(training), layers);
    const objective = [0, 1, 2].reduce(
      (total, l) => {
        const activation = squares(subtract(v[l], l < 2 ? relu(u[l]) : u[l]));
        const layer = squares(subtract(u[l], apply(l === 0 ? x : v[l - 1], layers[l])));
        return total + (gamma * activation + rho * layer) / 2;
      },
      squares(subtract(v[2], y)) / 2,
    );
    expectClose(metrics[1].objective, objective);
    training.dispose();
  });

  const published = { dual: 'accumulate', branchWeight: 'gamma', initialMultiplier: 0 };
  const publicCode = { dual: 'replace', branchWeight: 'gamma2', initialMultiplier: 1 };
  for (const [name, quirks] of Object.entries({ published, publicCode })) {
    for (const biases of [true, false]) {
      it(`taylor-admm, ${name}, two hidden layers, biases ${biases}`, async () => {
        const [beta, gamma, ridge] = [3, 4, biases ? 5 : 1e-6];
        const fields = { beta, gamma, ridge, biases, dualWarmup: 1, ...quirks };
        const { training, random } = await startLifted('taylor-admm', [5, 4], fields);
        await iterate(training, 3);

        const fitted = (a: Matrix, z: Matrix): Layer =>
          biases
            ? ridgeFit(a, z, ridge, 1)
            : {
                weights: taylorWeightUpdate(a, z).solution.weights,
                bias: z[0].map(() => 0),
              };
        const widths = [6, 5, 4, 3];
        const layers = [0, 1, 2].map((l) => ({
          weights: zeros(widths[l], widths[l + 1]),
          bias: zeros(1, widths[l + 1])[0],
        }));
        const z: Matrix[] = [5, 4, 3].map((units) => uniform(random, units));
        const a: Matrix[] = [];
        let multiplier: Matrix = map(y, () => quirks.initialMultiplier);
        for (let k = 0; k < 3; k++) {
          for (const l of [0, 1]) {
            const below = l === 0 ? x : a[l - 1];
            layers[l] = fitted(below, z[l]);
            const problem = { next: z[l + 1], z: z[l], beta, gamma };
            a[l] = quadraticActivationUpdate({ ...layers[l + 1], ...problem }).solution;
            const predicted = apply(below, layers[l]);
            z[l] =
              quirks.branchWeight === 'gamma'
                ? taylorHiddenUpdate(a[l], predicted, { beta, gamma }).solution.u
                : squaredBranch(a[l], predicted, beta, gamma);
          }
          layers[2] = fitted(a[1], z[2]);
          const predicted = apply(a[1], layers[2]);
          const output = taylorOutputUpdate(y, multiplier, predicted, beta).solution;
          z[2] = output.z;
          if (k === 0) continue;
          multiplier =
            quirks.dual === 'replace' ? output.replacedMultiplier : output.accumulatedMultiplier;
        }
        expectLayers(await readLayers(training), layers);
        training.dispose();
      });
    }
  }

  it('askari-bcd', async () => {
    const [lambda, rho] = [0.6, 0.3];
    const fields = { lambda, rho, tolerance: 1e-7 };
    const { training } = await startLifted('askari-bcd', [5], fields);
    const layers = await readLayers(training);
    const metrics = await iterate(training, 2);
    let z: Matrix = [];
    for (let k = 0; k < 2; k++) {
      z = headActivationUpdate({
        targets: y,
        ...layers[1],
        previous: apply(x, layers[0]),
        activation: scalarActivations.relu,
        loss: 'mse',
        lambda: 2 * lambda,
      }).solution;
      layers[1] = ridgeFit(z, y, rho);
      layers[0] = ridgeFit(x, z, rho / lambda);
    }
    expectLayers(await readLayers(training), layers);
    const misfit = squares(subtract(y, apply(z, layers[1])));
    const penalty = lambda * squares(subtract(z, apply(x, layers[0])));
    const norms = rho * (squares(layers[0].weights) + squares(layers[1].weights));
    expectClose(metrics[1].objective, misfit + penalty + norms);
    training.dispose();
  });

  it('zhang-brand, two hidden layers', async () => {
    const [gamma, rho, alpha, relaxation] = [[0.7, 1.6], 0.3, 0.2, 0.6];
    const fields = { gamma, rho, alpha, relaxation, tolerance: 1e-6, maxIterations: 2000 };
    const { training } = await startLifted('zhang-brand', [5, 4], fields);
    let layers = await readLayers(training);
    const metrics = await iterate(training, 2);
    let v = [relu(apply(x, layers[0]))];
    v = [v[0], relu(apply(v[0], layers[1]))];
    const towards = (old: Matrix, goal: Matrix) =>
      map(old, (value, i, j) => value + relaxation * (goal[i][j] - value));
    const problem = () => {
      const first = apply(x, layers[0]);
      return { above: layers.slice(1), first, targets: y, old: v, gamma, alpha };
    };
    for (let k = 0; k < 2; k++) {
      const minimisers = nonNegativeRows(problem());
      v = v.map((old, l) => towards(old, minimisers[l]));
      layers = layers.map((old, l) => {
        const weight = l < 2 ? gamma[l] : 1;
        const fit = tikhonovFit({
          inputs: l === 0 ? x : v[l - 1],
          targets: l < 2 ? v[l] : y,
          old,
          rho: rho / weight,
          alpha: alpha / weight,
        });
        return {
          weights: towards(old.weights, fit.weights),
          bias: towards([old.bias], [fit.bias])[0],
        };
      });
    }
    expectLayers(await readLayers(training), layers);
    const norms = layers.reduce((sum, { weights }) => sum + squares(weights), 0);
    expectClose(metrics[1].objective, nonNegativeRowsValue(problem(), v) + (rho / 2) * norms);
    expect(metrics[1].extra?.z_residual).toBeLessThan(1e-6);
    expect(metrics[1].residual).toBeLessThan(1e-5);
    training.dispose();
  });

  it('zhang-brand with neither proximal terms nor relaxation is askari-bcd', async () => {
    const [lambda, rho] = [0.6, 0.3];
    const shared = { rho, initializer: 'he', bias: 0.1 };
    const starts = [
      await startLifted('askari-bcd', [5], { ...shared, lambda, tolerance: 1e-7 }),
      await startLifted('zhang-brand', [5], {
        ...shared,
        gamma: lambda,
        alpha: 0,
        relaxation: 1,
        tolerance: 1e-6,
        maxIterations: 2000,
      }),
    ];
    for (const { training } of starts) await iterate(training, 3);
    const [askari, zhangBrand] = await Promise.all(
      starts.map((start) => readLayers(start.training)),
    );
    expectLayers(zhangBrand, askari);
    for (const { training } of starts) training.dispose();
  });

  it('mac', async () => {
    const [mu, rho, damping, steps] = [0.8, 0.5, 20, 2];
    const fields = { mu, rho, damping, steps };
    const { training } = await startLifted('mac', [5], fields);
    const layers = await readLayers(training);
    const metrics = await iterate(training, 2);
    let z: Matrix = [];
    let p = apply(x, layers[0]);
    const penalty = () => squares(subtract(z, relu(p)));
    for (let k = 0; k < 2; k++) {
      const problem = { next: y, z: p, beta: 2, gamma: mu };
      z = quadraticActivationUpdate({ ...layers[1], ...problem }).solution;
      layers[1] = ridgeFit(z, y, rho);
      for (let s = 0; s < steps; s++) {
        const before = penalty();
        const slope = map(p, (value, i, j) => (value > 0 ? value - z[i][j] : 0));
        const step = ridgeFit(x, slope, damping, 1);
        layers[0] = {
          weights: subtract(layers[0].weights, step.weights),
          bias: subtract([layers[0].bias], [step.bias])[0],
        };
        p = apply(x, layers[0]);
        expect(penalty()).toBeLessThan(before);
      }
    }
    expect(metrics[1].extra?.step_length).toBe(1);
    expectLayers(await readLayers(training), layers);
    const misfit = squares(subtract(y, apply(z, layers[1])));
    const ridge = rho * squares(layers[1].weights);
    expectClose(metrics[1].objective, misfit + (mu / 2) * penalty() + ridge);
    training.dispose();
  });

  it('lpom, every sub-problem solved', async () => {
    const [mu, rho, headRho] = [[0.8, 0.5], 1.5, 2.5];
    const fields = { mu, rho, headRho, activationSteps: 300, weightSteps: 300 };
    const { training } = await startLifted('lpom', [5], fields);
    const [first, second] = await readLayers(training);
    const [{ extra, residual }] = await iterate(training, 1);
    const u = apply(x, first);
    const outputs = apply(relu(u), second);
    const goal = blend(2, y, mu[1], outputs);
    const activations = headActivationUpdate({
      targets: goal,
      ...second,
      previous: u,
      activation: scalarActivations.relu,
      loss: 'mse',
      lossWeight: mu[1] / 2,
      lambda: mu[0],
    }).solution;
    const head = ridgeFit(activations, goal, (2 * headRho) / mu[1]);
    const { solution: hidden } = weightUpdate({
      x,
      next: activations,
      activation: scalarActivations.relu,
      lambda: mu[0],
      rhoWeights: rho,
      rhoBias: 0,
      gammaWeights: 0,
      gammaBias: 0,
      weights0: first.weights,
      bias0: first.bias,
    });
    expect(extra?.x_residual).toBeLessThan(1e-6);
    expect(extra?.step_change).toBeLessThan(1e-6);
    expect(residual).toBeLessThan(1e-6);
    expectLayers(await readLayers(training), [hidden, head]);
    training.dispose();
  });
});

/** argmin ||T - A W - b||^2 + rho ||W||^2 + alpha (||W - W_old||^2 + ||b - b_old||^2) */
function tikhonovFit(problem: {
  readonly inputs: Matrix;
  readonly targets: Matrix;
  readonly old: Layer;
  readonly rho: number;
  readonly alpha: number;
}): Layer {
  const { inputs, targets, old, rho, alpha } = problem;
  const stacked = [...old.weights, old.bias];
  const diagonal = (value: (row: number) => number) =>
    stacked.map((_, i) => stacked.map((__, j) => (i === j ? Math.sqrt(value(i)) : 0)));
  const { x: solution } = leastSquares(
    [
      ...withOnes(inputs),
      ...diagonal((row) => (row < stacked.length - 1 ? rho : 0)),
      ...diagonal(() => alpha),
    ],
    [...targets, ...map(stacked, () => 0), ...map(stacked, (value) => Math.sqrt(alpha) * value)],
  );
  return { weights: solution.slice(0, -1), bias: solution[stacked.length - 1] };
}

const uniform = (random: Random, units: number) =>
  x.map(() => Array.from({ length: units }, () => random.uniform()));

/** Taylor's z-update with gamma^2 in the comparison of its two sides, as the public code has it. */
function squaredBranch(a: Matrix, m: Matrix, beta: number, gamma: number): Matrix {
  return map(a, (ai, i, j) => {
    const mi = m[i][j];
    const cost = (z: number) => gamma ** 2 * (ai - Math.max(z, 0)) ** 2 + beta * (z - mi) ** 2;
    const positive = Math.max(0, (gamma * ai + beta * mi) / (gamma + beta));
    const negative = Math.min(0, mi);
    return cost(positive) <= cost(negative) ? positive : negative;
  });
}
