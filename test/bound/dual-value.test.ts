import { describe, expect, it } from 'vitest';
import { affine64, penalty64, squares64 } from '../../src/bound/float64.js';
import { dualValue, solveReluRegression } from '../../src/bound/one-layer.js';
import { Random } from '../../src/core/random.js';

/** min_P B(Y, X P) + rho ||P||^2 for the ReLU: weak duality, and strong duality at the minimiser. */
const outputs = 3;

function instance(seed: number, rows: number, columns: number, rho: number) {
  const random = new Random(seed, 'dual');
  const inputs = Float64Array.from({ length: rows * columns }, () => random.normal());
  const targets = Float64Array.from({ length: rows * outputs }, () => Math.max(0, random.normal()));
  return { random, columns, problem: { inputs, targets, rows, rho } };
}
type Problem = ReturnType<typeof instance>['problem'];

const fitted = ({ inputs }: Problem, weights: Float64Array) =>
  affine64(inputs, weights, new Float64Array(outputs));
const objective = (problem: Problem, weights: Float64Array) =>
  penalty64('relu', problem.targets, fitted(problem, weights)) + problem.rho * squares64(weights);
const active = (problem: Problem, weights: Float64Array) =>
  fitted(problem, weights).map((value) => Math.max(0, value));

describe.each([
  ['more rows than inputs', 40, 6, 0.1],
  ['fewer rows than inputs', 10, 25, 0.01],
  ['a heavy ridge', 30, 8, 100],
])('the dual value with %s', (_, rows, columns, rho) => {
  const { random, problem } = instance(1, rows, columns, rho);
  const { weights } = solveReluRegression(problem);
  const minimum = objective(problem, weights);
  const slack = 1e-10 * (1 + minimum);

  it('is below every objective, whatever a >= 0 and the weights', () => {
    for (let trial = 0; trial < 200; trial++) {
      const size = 10 ** (1 - (trial % 5));
      const a = problem.targets.map((y) => Math.max(0, y + size * random.normal()));
      const others = weights.map((w) => w + size * random.normal());
      const bound = dualValue(problem, a);
      expect(bound).toBeLessThanOrEqual(objective(problem, others));
      expect(bound).toBeLessThanOrEqual(minimum + slack);
      expect(dualValue(problem, active(problem, others))).toBeLessThanOrEqual(minimum + slack);
      expect(objective(problem, others)).toBeGreaterThanOrEqual(minimum - slack);
    }
  });

  it('meets the objective at the minimiser', () => {
    const gap = minimum - dualValue(problem, active(problem, weights));
    expect(Math.abs(gap)).toBeLessThan(slack);
  });

  it('has a gap that shrinks towards the minimiser', () => {
    const gaps = [1, 0.1, 0.01, 0.001].map((size) => {
      const near = weights.map((w, i) => w + size * Math.sin(i + 1));
      return objective(problem, near) - dualValue(problem, active(problem, near));
    });
    for (const [i, gap] of gaps.slice(1).entries()) expect(gap).toBeLessThan(0.2 * gaps[i]);
  });
});

describe('the dual value', () => {
  it('is refused where it bounds nothing', () => {
    const { problem } = instance(2, 4, 2, 0.1);
    const a = problem.targets;
    expect(() => dualValue({ ...problem, rho: 0 }, a)).toThrow('rho > 0');
    expect(() =>
      dualValue(
        problem,
        a.map((value) => value - 1),
      ),
    ).toThrow('a >= 0');
    const negative = { ...problem, targets: a.map((value) => value - 1) };
    expect(() => dualValue(negative, a)).toThrow('Y >= 0');
  });
});

describe('the regression solver', () => {
  it('ends at a stationary point from any start', () => {
    const { random, problem, columns } = instance(3, 30, 7, 0.05);
    const { weights } = solveReluRegression(problem);
    const far = weights.map(() => 10 * random.normal());
    const again = solveReluRegression(problem, far).weights;
    for (const [i, w] of weights.entries()) expect(again[i]).toBeCloseTo(w, 9);
    // Gradient X^T (relu(X P) - Y) + 2 rho P.
    const rest = active(problem, weights).map((value, i) => value - problem.targets[i]);
    for (const [i, w] of weights.entries()) {
      const [j, k] = [Math.floor(i / outputs), i % outputs];
      let gradient = 2 * problem.rho * w;
      for (let row = 0; row < problem.rows; row++) {
        gradient += problem.inputs[row * columns + j] * rest[row * outputs + k];
      }
      expect(Math.abs(gradient)).toBeLessThan(1e-9);
    }
  });
});
