import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { activations } from '../../src/core/network/activations/registry.js';
import { denseMap } from '../../src/core/network/maps/dense.js';
import type { LinearMap } from '../../src/core/network/maps/linear-map.js';
import { monotoneNames } from '../../src/core/network/names.js';
import { buildMap } from '../../src/core/network/network.js';
import { lossTerm, penaltyTerm } from '../../src/core/network/smooth-term.js';
import { Random } from '../../src/core/random.js';
import { updateActivations } from '../../src/core/solvers/activation-update.js';
import { normalEquations, solveNormalEquations } from '../../src/core/solvers/damped-inverse.js';
import { nonNegativeActivations } from '../../src/core/solvers/nonnegative-activations.js';
import { lastResidual, relativeLength, relativeTo } from '../../src/core/solvers/solver.js';
import { squaredMapNorm } from '../../src/core/solvers/spectral-norm.js';
import {
  stepWeights,
  updateWeights,
  type WeightProblem,
  type WeightStep,
} from '../../src/core/solvers/weight-update.js';
import { startTestBackend } from '../backends.js';
import { matrix, normal, targets, vector } from './tensors.js';

const options = { tolerance: 1e-3, maxIterations: 50 };
const bad = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

/** A matrix with one entry that is not finite. */
function spoilt(values: readonly (readonly number[])[], value: number): number[][] {
  const copy = values.map((row) => [...row]);
  copy[1][1] = value;
  return copy;
}

/** What a solver says of its work, or that it refused it. */
const residualOf = async (solving: Promise<{ readonly residual: number }>) =>
  solving.then(
    ({ residual }) => residual,
    (error) => {
      expect(error).toMatchObject({ name: 'NotPositiveDefiniteError' });
      return Number.NaN;
    },
  );

describe('numbers that are not finite never count as solved', () => {
  beforeAll(startTestBackend);
  const random = new Random(4, 'not finite');
  const [rows, inputs, outputs] = [9, 4, 3];
  const x = normal(random, rows, inputs);
  const w = normal(random, inputs, outputs);
  const s = normal(random, rows, outputs);
  const u = normal(random, rows, inputs);

  for (const value of bad) {
    for (const name of monotoneNames) {
      it(`in a W-update with ${name}: ${value} in inputs, targets, weights`, async () => {
        const activation = activations[name];
        const solve = (part: { x?: number[][]; v?: number[][]; w?: number[][] }) => {
          const preimage = matrix(s);
          const next = part.v ? matrix(part.v) : activation.phi(preimage);
          const weights = { weights: matrix(part.w ?? w), bias: vector([0.1, 0.2, 0.3]) };
          const problem: WeightProblem & WeightStep = {
            map: denseMap(inputs, outputs),
            inputs: matrix(part.x ?? x),
            term: penaltyTerm(activation, preimage, next),
            center: weights,
            start: weights,
            ridge: { weights: 0.5, bias: 0.5 },
          };
          return [updateWeights(problem, options), stepWeights(problem, 1)];
        };
        for (const part of [
          { x: spoilt(x, value) },
          { v: spoilt(s, value) },
          { w: spoilt(w, value) },
        ]) {
          for (const solving of solve(part)) expect(await residualOf(solving)).toBeNaN();
        }
        for (const solving of solve({})) expect(await residualOf(solving)).toBeLessThan(1);
      });

      it(`in an X-update with ${name}: ${value} in predictions, weights, targets`, async () => {
        const solve = (part: { u?: number[][]; w?: number[][]; y?: number[][] }) =>
          updateActivations(
            {
              activation: activations[name],
              predicted: matrix(part.u ?? u),
              map: denseMap(inputs, outputs),
              layer: { weights: matrix(part.w ?? w), bias: vector([0.1, 0.2, 0.3]) },
              above: lossTerm('mse', matrix(part.y ?? targets(new Random(1, 'y'), rows, outputs))),
              weight: 1,
            },
            options,
          );
        const y = targets(new Random(1, 'y'), rows, outputs);
        for (const part of [
          { u: spoilt(u, value) },
          { w: spoilt(w, value) },
          { y: spoilt(y, value) },
        ]) {
          const { residual, iterations } = await solve(part);
          expect(residual).toBeNaN();
          expect(iterations).toBeLessThanOrEqual(1);
        }
        expect((await solve({})).residual).toBeLessThanOrEqual(1e-3);
      });
    }

    it(`in non-negative least squares: ${value}`, async () => {
      const y = targets(new Random(1, 'y'), rows, outputs);
      const solve = async (part: { u?: number[][]; w?: number[][]; y?: number[][] }) => {
        const layer = { weights: matrix(part.w ?? w), bias: vector([0.1, 0.2, 0.3]) };
        const solveRows = await nonNegativeActivations(layer, 1, options);
        return solveRows(matrix(part.y ?? y), matrix(part.u ?? u));
      };
      for (const part of [
        { u: spoilt(u, value) },
        { w: spoilt(w, value) },
        { y: spoilt(y, value) },
      ]) {
        expect((await solve(part)).residual).toBeNaN();
      }
      expect((await solve({})).residual).toBeLessThanOrEqual(1e-3);
    });

    it(`in normal equations: ${value}`, async () => {
      const equations = normalEquations(Float64Array.of(2, 1, 1, 2), 2, () => 0);
      const right = (entry: number) =>
        matrix([
          [1, 2],
          [3, entry],
        ]);
      expect((await solveNormalEquations(equations, right(value))).residual).toBeNaN();
      expect((await solveNormalEquations(equations, right(4))).residual).toBeLessThan(1e-6);
      equations.matrix.dispose();
    });

    it(`in a ratio: ${value}`, () => {
      for (const ratio of [relativeTo, relativeLength]) {
        expect(ratio(value, 1)).toBeNaN();
        expect(ratio(1, value)).toBeNaN();
        expect(ratio(0, value)).toBeNaN();
      }
      expect(lastResidual([value, 1e-9])).toBeNaN();
    });
  }

  it('ratios of finite numbers are what they are', () => {
    expect(relativeTo(1, 4)).toBe(0.25);
    expect(relativeTo(0, 0)).toBe(0);
    expect(relativeLength(4, 16)).toBe(0.5);
    expect(lastResidual([0.5, 0.25])).toBe(0.25);
  });
});

describe('steps by an estimate of a norm that is too small', () => {
  beforeAll(startTestBackend);

  for (const name of ['relu', 'tanh'] as const) {
    it(`${name}: are found, and still lead to the minimiser`, async () => {
      const convolution = buildMap({
        input: [8, 8, 1],
        output: [6, 6, 2],
        pool: 1,
        window: { kernel: 3, stride: 1, padding: 0 },
      });
      const random = new Random(2, name);
      const weights = matrix(normal(random, 9, 2, 0.5));
      const { bound, estimate } = await squaredMapNorm(convolution, weights);
      const solve = (map: LinearMap) => {
        const y = matrix(normal(new Random(3, 'y'), 4, 72, 3));
        return updateActivations(
          {
            activation: activations[name],
            predicted: matrix(normal(new Random(3, 'u'), 4, 64)),
            map,
            layer: { weights, bias: vector([0.1, -0.1]) },
            above: lossTerm('mse', y),
            weight: 4,
          },
          { tolerance: 1e-5, maxIterations: 2000 },
        );
      };
      // An adjoint that shrinks in power iteration alone: it comes first, on one image.
      const underestimated: LinearMap = {
        ...convolution,
        adjoint: (d, w) =>
          tf.tidy(() => {
            const exact = convolution.adjoint(d, w);
            return d.shape[0] === 1 ? (tf.mul(exact, 0.02) as tf.Tensor2D) : exact;
          }),
      };
      const small = await squaredMapNorm(underestimated, weights);
      expect(small.estimate).toBeLessThan(0.05 * estimate);
      expect(small.bound).toBe(bound);
      const [wanted, found] = [await solve(convolution), await solve(underestimated)];
      expect(wanted.residual).toBeLessThanOrEqual(1e-5);
      expect(found.residual).toBeLessThanOrEqual(1e-5);
      const apart = await tf.max(tf.abs(tf.sub(found.activations, wanted.activations))).data();
      expect(apart[0]).toBeLessThan(1e-3);
    });
  }
});
