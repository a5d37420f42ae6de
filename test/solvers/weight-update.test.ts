import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { activations } from '../../src/core/network/activations/registry.js';
import { denseMap } from '../../src/core/network/maps/dense.js';
import { type LossName, monotoneNames } from '../../src/core/network/names.js';
import { lossTerm, penaltyTerm } from '../../src/core/network/smooth-term.js';
import { Random } from '../../src/core/random.js';
import type { SolverOptions } from '../../src/core/solvers/solver.js';
import {
  stepWeights,
  updateWeights,
  type WeightProblem,
} from '../../src/core/solvers/weight-update.js';
import { startTestBackend } from '../backends.js';
import { scalarActivations } from '../reference/activations.js';
import { headWeightUpdate } from '../reference/head-weight-update.js';
import {
  affine,
  distance,
  map,
  maxAbs,
  multiply,
  sumAll,
  transpose,
  zip,
} from '../reference/matrix.js';
import { type Layer, ridgeValue, stackRidge } from '../reference/ridge.js';
import { weightUpdate } from '../reference/weight-update.js';
import { matrix, normal, targets, vector } from './tensors.js';

const options = { tolerance: 1e-6, maxIterations: 5000 };

/** Fewer rows than inputs take the m x m system, more the (p + 1) x (p + 1) one. */
const sizes = [
  { rows: 5, inputs: 12 },
  { rows: 20, inputs: 6 },
];

function instance(seed: string, rows: number, inputs: number, outputs: number) {
  const random = new Random(11, seed);
  return {
    random,
    x: normal(random, rows, inputs),
    weights0: normal(random, inputs, outputs, 0.4),
    bias0: normal(random, 1, outputs)[0],
  };
}

async function solve(problem: Omit<WeightProblem, 'start'>, start = problem.center) {
  const result = await updateWeights({ ...problem, start }, options);
  return {
    ...result,
    weights: await result.parameters.weights.array(),
    bias: [await result.parameters.bias.array()],
  };
}

describe('W-updates', () => {
  beforeAll(startTestBackend);

  for (const { rows, inputs } of sizes) {
    for (const name of monotoneNames) {
      for (const start of ['center', 'elsewhere'] as const) {
        it(`${name}, ${rows} rows of ${inputs} inputs, from ${start} (eq. 19)`, async () => {
          const { random, x, weights0, bias0 } = instance(name, rows, inputs, 4);
          const s = normal(random, rows, 4);
          const next = map(s, scalarActivations[name].phi);
          const reference = weightUpdate({
            x,
            next,
            activation: scalarActivations[name],
            lambda: 1,
            rhoWeights: 0,
            rhoBias: 0,
            gammaWeights: 0.3,
            gammaBias: 0.3,
            weights0,
            bias0,
          });
          const center = { weights: matrix(weights0), bias: vector(bias0) };
          const far = { weights: matrix(normal(random, inputs, 4)), bias: vector([1, 0, -1, 0]) };
          const result = await solve(
            {
              inputs: matrix(x),
              term: penaltyTerm(activations[name], matrix(s), matrix(next)),
              center,
              ridge: { weights: 0.6, bias: 0.6 },
            },
            start === 'center' ? center : far,
          );
          expect(result.residual).toBeLessThanOrEqual(1e-6);
          expect(distance(result.weights, reference.solution.weights)).toBeLessThan(1e-4);
          expect(distance(result.bias, [reference.solution.bias])).toBeLessThan(1e-4);
        });
      }
    }

    for (const loss of ['mse', 'cross-entropy'] satisfies LossName[]) {
      it(`${loss} head, ${rows} rows of ${inputs} inputs (eq. 20)`, async () => {
        const { random, x, weights0, bias0 } = instance(loss, rows, inputs, 3);
        const y = targets(random, rows, 3);
        const reference = headWeightUpdate({
          x,
          targets: y,
          loss,
          rhoWeights: 0,
          rhoBias: 0,
          gammaWeights: 0.5,
          gammaBias: 0.5,
          weights0,
          bias0,
        });
        const result = await solve({
          inputs: matrix(x),
          term: lossTerm(loss, matrix(y)),
          center: { weights: matrix(weights0), bias: vector(bias0) },
          ridge: { weights: 1, bias: 1 },
        });
        expect(distance(result.weights, reference.solution.weights)).toBeLessThan(1e-4);
        expect(distance(result.bias, [reference.solution.bias])).toBeLessThan(1e-4);
        // A quadratic is its own bound: one step lands on the minimum, the second finds no slope.
        if (loss === 'mse') expect(result.iterations).toBeLessThanOrEqual(3);
      });
    }
  }

  it('leaves the bias free when only the weights are held', async () => {
    const { random, x, weights0, bias0 } = instance('free bias', 5, 12, 4);
    const s = normal(random, 5, 4);
    const next = map(s, scalarActivations.relu.phi);
    const reference = weightUpdate({
      x,
      next,
      activation: scalarActivations.relu,
      lambda: 1,
      rhoWeights: 0,
      rhoBias: 0,
      gammaWeights: 0.3,
      gammaBias: 0,
      weights0,
      bias0,
    });
    const result = await solve({
      inputs: matrix(x),
      term: penaltyTerm(activations.relu, matrix(s), matrix(next)),
      center: { weights: matrix(weights0), bias: vector(bias0) },
      ridge: { weights: 0.6, bias: 0 },
    });
    expect(distance(result.weights, reference.solution.weights)).toBeLessThan(1e-4);
    expect(distance(result.bias, [reference.solution.bias])).toBeLessThan(1e-4);
  });

  it('solves dead and duplicated inputs without any ridge, up to what is not unique', async () => {
    const { random, x, weights0, bias0 } = instance('singular', 20, 6, 3);
    for (const row of x) {
      row[2] = 0;
      row[4] = row[1];
    }
    const y = normal(random, 20, 3);
    const reference = headWeightUpdate({
      x,
      targets: y,
      loss: 'mse',
      rhoWeights: 0,
      rhoBias: 0,
      gammaWeights: 0,
      gammaBias: 0,
      weights0,
      bias0,
    });
    const result = await updateWeights(
      {
        inputs: matrix(x),
        term: lossTerm('mse', matrix(y)),
        center: { weights: matrix(weights0), bias: vector(bias0) },
        start: { weights: matrix(weights0), bias: vector(bias0) },
        ridge: { weights: 0, bias: 0 },
      },
      options,
    );
    const { weights, bias } = result.parameters;
    const value = tf.sum(
      tf.squaredDifference(tf.add(tf.matMul(matrix(x), weights), bias), matrix(y)),
    );
    const [reached] = await value.data();
    expect(reached).toBeLessThan(reference.objective * (1 + 1e-4));
    // An input that is always zero keeps its weights.
    expect(distance([(await weights.array())[2]], [weights0[2]])).toBeLessThan(1e-6);
  });

  // Sizes above that of a block of the inverse (128), too: what float64 reaches takes too long there.
  const instances = [
    { name: 'more inputs than rows', rows: 20, inputs: 31, outputs: 3 },
    { name: 'more rows than inputs', rows: 40, inputs: 15, outputs: 3 },
    { name: 'one unit', rows: 30, inputs: 12, outputs: 1 },
    { name: 'many inputs', rows: 140, inputs: 170, outputs: 30 },
    { name: 'many rows', rows: 220, inputs: 140, outputs: 30 },
  ];
  for (const { name, rows, inputs, outputs } of instances) {
    for (const lambda of [1e-4, 1, 1e4]) {
      it(`${name}, ill-conditioned, lambda ${lambda}: never raises the objective`, async () => {
        const { random, x, weights0, bias0 } = instance(name, rows, inputs, outputs);
        for (const [i, row] of x.entries()) {
          // Columns of all sizes from 1 to 1e-3, two that are nearly equal, and rows of zeros.
          for (let k = 0; k < inputs; k++) row[k] *= i % 7 === 0 ? 0 : 10 ** (-(3 * k) / inputs);
          row[1] = row[0] + 1e-3 * row[1];
        }
        const { relu } = scalarActivations;
        const s = normal(random, rows, outputs, 2);
        const next = map(s, relu.phi);
        const problem = {
          x,
          next,
          activation: relu,
          lambda,
          rhoWeights: 0,
          rhoBias: 0,
          gammaWeights: 0.5,
          gammaBias: 0.5,
          weights0,
          bias0,
        };
        const ridge = stackRidge(problem);
        const objective = (layer: Layer) => {
          const u = affine(x, layer.weights, layer.bias);
          const penalties = zip(next, u, (v, value) => lambda * relu.penalty(v, value));
          return sumAll(penalties) + ridgeValue(ridge, [...layer.weights, layer.bias]);
        };
        const start = objective({ weights: weights0, bias: bias0 });
        const center = { weights: matrix(weights0), bias: vector(bias0) };
        const weightProblem = {
          inputs: matrix(x),
          term: penaltyTerm(activations.relu, matrix(s), matrix(next)),
          center,
          start: center,
          ridge: { weights: 1 / lambda, bias: 1 / lambda },
        };
        const reach = async (options: SolverOptions) => {
          const { parameters, preActivations, ...report } = await updateWeights(
            weightProblem,
            options,
          );
          const [weights, bias] = [await parameters.weights.array(), await parameters.bias.array()];
          const u = affine(x, weights, bias);
          const error = distance(await preActivations.array(), u) / maxAbs(u);
          expect(error, 'pre-activations').toBeLessThan(1e-3);
          return { value: objective({ weights, bias }), ...report };
        };
        const least =
          rows < 100
            ? weightUpdate(problem).objective
            : (await reach({ tolerance: 1e-5, maxIterations: 5000 })).value;
        const stops = [1, 2, 3, 4, 6, 8, 12, 20].map((maxIterations) => ({
          tolerance: 1e-2,
          maxIterations,
        }));
        for (const stop of [...stops, { tolerance: 1e-2, maxIterations: 500 }]) {
          const { value, residual, iterations } = await reach(stop);
          expect(value, `${stop.maxIterations} iterations`).toBeLessThanOrEqual(start * (1 + 1e-6));
          if (iterations === stop.maxIterations) continue;
          expect(residual).toBeLessThanOrEqual(1e-2);
          expect(value - least).toBeLessThan(0.02 * (start - least) + 1e-5 * least);
        }
      });
    }
  }

  it('reports the residual it stopped at, and leaks nothing', async () => {
    const { random, x, weights0, bias0 } = instance('stop', 20, 6, 4);
    const s = normal(random, 20, 4);
    const center = { weights: matrix(weights0), bias: vector(bias0) };
    const problem = {
      inputs: matrix(x),
      term: penaltyTerm(activations.relu, matrix(s), activations.relu.phi(matrix(s))),
      center,
      start: center,
      ridge: { weights: 0.1, bias: 0.1 },
    };
    const before = tf.memory().numTensors;
    const result = await updateWeights(problem, { tolerance: 1e-9, maxIterations: 2 });
    expect(result.iterations).toBe(2);
    expect(result.residual).toBeGreaterThan(1e-9);
    // Weights, bias and pre-activations.
    expect(tf.memory().numTensors - before).toBe(3);
  });

  it('one gradient step is what its formula says, and leaks nothing', async () => {
    const { random, x, weights0, bias0 } = instance('step', 9, 5, 3);
    const y = targets(random, 9, 3);
    const problem = {
      map: denseMap(5, 3),
      inputs: matrix(x),
      term: lossTerm('mse', matrix(y)),
      center: { weights: matrix(weights0), bias: vector(bias0) },
      start: { weights: matrix(map(weights0, (w) => w + 0.2)), bias: vector(bias0) },
      ridge: { weights: 0.4, bias: 0.1 },
    };
    const before = tf.memory().numTensors;
    const { parameters, preActivations, ...report } = await stepWeights(problem, 0.5);
    // Weights, bias and pre-activations.
    expect(tf.memory().numTensors).toBe(before + 3);
    expect(report.iterations).toBe(1);
    expect(report.residual).toBeLessThan(1);

    const extended = x.map((row) => [...row, 1]);
    const start = [...weights0.map((row) => row.map((w) => w + 0.2)), bias0];
    const misfit = map(multiply(extended, start), (u, i, j) => 2 * (u - y[i][j]));
    const ridges = (value: number, i: number) => (i < 5 ? 0.4 : 0.1) * value;
    const gradient = map(
      multiply(transpose(extended), misfit),
      (value, i) => value + ridges(i < 5 ? 0.2 : 0, i),
    );
    const squares = map(gradient, (g) => g * g);
    const image = multiply(extended, gradient);
    const curved = 2 * sumAll(map(image, (v) => v * v)) + sumAll(map(squares, ridges));
    const step = (0.5 * sumAll(squares)) / curved;
    const wanted = zip(start, gradient, (p, g) => p - step * g);
    const actual = [...(await parameters.weights.array()), await parameters.bias.array()];
    expect(distance(actual, wanted)).toBeLessThan(1e-5);
    expect(distance(await preActivations.array(), multiply(extended, wanted))).toBeLessThan(1e-4);
    // Of squared errors the bound is exact: a length of 1 is the minimiser along the gradient.
    const value = (length: number) => {
      const p = zip(start, gradient, (a, g) => a - length * 2 * step * g);
      const pulls = map(
        zip(p, [...weights0, bias0], (a, b) => (a - b) ** 2),
        ridges,
      );
      return sumAll(zip(multiply(extended, p), y, (u, t) => (u - t) ** 2)) + sumAll(pulls) / 2;
    };
    expect(value(1)).toBeLessThan(Math.min(value(0.99), value(1.01)));
    expect(value(2)).toBeCloseTo(value(0), 6);
  });
});
