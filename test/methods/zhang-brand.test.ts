import { beforeAll, describe, expect, it } from 'vitest';
import {
  type ActivationsProblem,
  fitActivations,
} from '../../src/core/methods/zhang-brand/activations.js';
import { Random } from '../../src/core/random.js';
import { startTestBackend } from '../backends.js';
import { distance, type Matrix, map, maxAbs } from '../reference/matrix.js';
import {
  type NonNegativeRowsProblem,
  nonNegativeRows,
  nonNegativeRowsValue,
} from '../reference/non-negative-rows.js';
import type { Layer } from '../reference/ridge.js';
import { matrix, normal, targets, vector } from '../solvers/tensors.js';
import { iterate, startLifted } from './lifted.js';

interface Instance {
  readonly name: string;
  /** Rows, hidden widths and classes. */
  readonly rows: number;
  readonly hidden: readonly number[];
  readonly classes: number;
  readonly gamma: readonly number[];
  readonly alpha?: number;
  /** Scales column j of every W, and U_1. */
  readonly columns?: (j: number) => number;
  readonly zeroRows?: boolean;
}

const instances: readonly Instance[] = [
  { name: 'more rows than units', rows: 30, hidden: [6], classes: 3, gamma: [0.7] },
  { name: 'fewer rows than units', rows: 4, hidden: [12], classes: 3, gamma: [0.7] },
  { name: 'one unit, one row, one output', rows: 1, hidden: [1], classes: 1, gamma: [2] },
  { name: 'one unit in the middle', rows: 9, hidden: [5, 1, 4], classes: 3, gamma: [1, 3, 0.5] },
  { name: 'rows of zeros', rows: 9, hidden: [5, 4], classes: 3, gamma: [1, 1], zeroRows: true },
  { name: 'three hidden layers', rows: 9, hidden: [6, 5, 4], classes: 2, gamma: [1, 1, 1] },
  { name: 'no proximal term', rows: 9, hidden: [6, 5], classes: 2, gamma: [1, 1], alpha: 0 },
  {
    name: 'ill-conditioned',
    rows: 9,
    hidden: [6, 5],
    classes: 3,
    gamma: [1, 1],
    columns: (j) => 10 ** -j,
  },
  ...[1e-4, 1e-2, 1e2, 1e4].flatMap((gamma) => [
    { name: `gamma ${gamma}`, rows: 9, hidden: [5], classes: 3, gamma: [gamma], alpha: 0 },
    { name: `gamma ${gamma}, two layers`, rows: 9, hidden: [5, 4], classes: 3, gamma: [gamma, 1] },
  ]),
];

function draw(instance: Instance): NonNegativeRowsProblem {
  const { name, rows, hidden, classes, gamma, alpha = 0.25, columns = () => 1 } = instance;
  const random = new Random(4, name);
  const scaled = (a: Matrix) => map(a, (value, _, j) => value * columns(j));
  const widths = [...hidden, classes];
  const above: Layer[] = hidden.map((width, l) => ({
    weights: scaled(normal(random, width, widths[l + 1])),
    bias: normal(random, 1, widths[l + 1])[0],
  }));
  const kept = (a: Matrix) => (instance.zeroRows ? map(a, (value, i) => (i < 3 ? 0 : value)) : a);
  return {
    above,
    first: kept(scaled(normal(random, rows, hidden[0]))),
    targets: kept(targets(random, rows, classes)),
    old: hidden.map((width) => kept(map(normal(random, rows, width), (v) => Math.max(0, v)))),
    gamma,
    alpha,
  };
}

function tensors({ above, first, targets, old, gamma, alpha }: NonNegativeRowsProblem) {
  const layers = above.map(({ weights, bias }) => ({
    weights: matrix(weights),
    bias: vector(bias),
  }));
  const problem: ActivationsProblem = {
    // The first layer stands in `first`.
    layers: [layers[0], ...layers],
    weights: [...gamma, 1],
    alpha,
    first: [matrix(first)],
    targets: [matrix(targets)],
    old: old.map((rows) => [matrix(rows)]),
  };
  return problem;
}

const read = (v: Awaited<ReturnType<typeof fitActivations>>['v']): Promise<Matrix[]> =>
  Promise.all(v.map(([rows]) => rows.array()));

describe('the V-update of zhang-brand', () => {
  beforeAll(startTestBackend);

  it.each(instances)('$name: the minimiser in float64', async (instance) => {
    const problem = draw(instance);
    const expected = nonNegativeRows(problem);
    // Rounding errors of h' in float32, over gamma.
    const tolerance = Math.max(2e-6, 5e-7 / Math.min(...problem.gamma));
    const options = { tolerance, maxIterations: 20_000 };
    const { v, residual } = await fitActivations(tensors(problem), options);
    expect(residual).toBeLessThanOrEqual(tolerance);
    for (const [l, rows] of (await read(v)).entries()) {
      const bound = Math.max(1e-3, 5 * tolerance) * Math.max(1, maxAbs(expected[l]));
      expect(distance(rows, expected[l]), `V_${l + 1}`).toBeLessThan(bound);
      expect(Math.min(...rows.flat())).toBeGreaterThanOrEqual(0);
    }
    const least = nonNegativeRowsValue(problem, expected);
    const value = nonNegativeRowsValue(problem, await read(v));
    expect(value).toBeLessThan(least * (1 + 1e-5) + 1e-9);
    // The reference is a minimiser: it is no better a little further into the domain.
    for (const shift of [1e-3, 1e-2]) {
      const moved = expected.map((rows) => map(rows, (entry) => entry + shift));
      expect(nonNegativeRowsValue(problem, moved)).toBeGreaterThan(least);
    }
  });

  it.each(instances)('$name: no worse than the old V wherever it stops', async (instance) => {
    const problem = draw(instance);
    const before = nonNegativeRowsValue(problem, problem.old);
    for (const maxIterations of [1, 2, 6, 11, 30]) {
      const options = { tolerance: 1e-9, maxIterations };
      const { v, iterations } = await fitActivations(tensors(problem), options);
      expect(iterations).toBeLessThanOrEqual(maxIterations);
      const value = nonNegativeRowsValue(problem, await read(v));
      expect(value, `${maxIterations} steps`).toBeLessThanOrEqual(before * (1 + 1e-5));
    }
  });

  it('has a residual of NaN where a number is not finite', async () => {
    const problem = draw(instances[0]);
    const first = map(problem.first, (value, i) => (i === 2 ? Number.NaN : value));
    const options = { tolerance: 1e-3, maxIterations: 20 };
    const { residual } = await fitActivations(tensors({ ...problem, first }), options);
    expect(residual).toBeNaN();
  });
});

/** Images that make a sub-problem hard, and network and fields for them. */
const hard: [string, (random: Random) => Matrix, number[], Record<string, unknown>][] = [
  ['ill-conditioned', (r) => map(normal(r, 60, 8), (v, _, j) => v * 10 ** -j), [7], { rho: 1e-3 }],
  ['fewer images than pixels', (r) => normal(r, 6, 20), [9, 5], { rho: 1e-2 }],
  [
    'images and pixels of zeros',
    (r) => map(normal(r, 40, 8), (v, i, j) => (i % 3 && j > 2 ? v : 0)),
    [6],
    {},
  ],
  ['one unit', (r) => normal(r, 40, 5), [1], {}],
  ['gamma 1e-4', (r) => normal(r, 40, 5), [6, 4], { gamma: 1e-4, maxIterations: 500 }],
  ['gamma 1e4', (r) => normal(r, 40, 5), [6, 4], { gamma: 1e4 }],
  ['nothing proximal', (r) => normal(r, 40, 5), [6, 4], { alpha: 0, relaxation: 1, rho: 1e-2 }],
];

describe('the objective of zhang-brand never rises', () => {
  beforeAll(startTestBackend);

  it.each(hard)('%s', async (name, draw, hidden, fields) => {
    const random = new Random(5, name);
    const x = draw(random);
    const labels = Uint8Array.from(x, () => random.integer(3));
    const { training } = await startLifted('zhang-brand', hidden, fields, { x, labels });
    const metrics = await iterate(training, 30);
    training.dispose();
    const objectives = metrics.map(({ objective }) => objective!);
    for (const [k, value] of objectives.slice(1).entries()) {
      expect(value, `iteration ${k + 2}`).toBeLessThanOrEqual(objectives[k] * (1 + 1e-5));
    }
    expect(objectives[29]).toBeLessThan(objectives[0]);
    expect(metrics[29].residual).toBeLessThan(1e-4);
  });
});
