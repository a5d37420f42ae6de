import { describe, expect, it } from 'vitest';
import {
  type CertificateProblem,
  centre,
  certifiedValue,
  certify,
} from '../../src/bound/certificate.js';
import { Random } from '../../src/core/random.js';

/** Inputs in the plane, where N(R) is known exactly: by enumeration of all activation patterns. */
const q = 2;

function instance(seed: number, rows: number, beta: number) {
  const random = new Random(seed, 'certificate');
  const draw = (size: number) => Float64Array.from({ length: size }, () => random.normal());
  return { random, problem: { inputs: draw(2 * rows), targets: draw(q * rows), rows, beta } };
}

/**
 * max ||R^T relu(X u)|| over unit u in the plane: the lines x_i u = 0 cut the circle into arcs of one activation
 * pattern. On each the squared norm is u^T G u, largest at an eigenvector of G inside the arc, or at an end.
 */
function exactNorm({ inputs, rows }: CertificateProblem, r: Float64Array): number {
  const at = (angle: number) => {
    const v = [0, 0];
    for (let i = 0; i < rows; i++) {
      const z = inputs[2 * i] * Math.cos(angle) + inputs[2 * i + 1] * Math.sin(angle);
      if (z > 0) for (let k = 0; k < q; k++) v[k] += r[i * q + k] * z;
    }
    return Math.hypot(...v);
  };
  const ends = Array.from({ length: 2 * rows }, (_, e) => {
    const i = e >> 1;
    const angle = Math.atan2(inputs[2 * i], -inputs[2 * i + 1]) + (e & 1) * Math.PI;
    return (angle + 4 * Math.PI) % (2 * Math.PI);
  }).sort((a, b) => a - b);
  let largest = 0;
  for (const [e, from] of ends.entries()) {
    const to = ends[e + 1] ?? ends[0] + 2 * Math.PI;
    const middle = (from + to) / 2;
    // G = V V^T for V [2, q] = X_A^T R_A, A the active rows.
    const v = new Float64Array(2 * q);
    for (let i = 0; i < rows; i++) {
      const x = inputs.subarray(2 * i, 2 * i + 2);
      if (x[0] * Math.cos(middle) + x[1] * Math.sin(middle) <= 0) continue;
      for (let f = 0; f < 2; f++) for (let k = 0; k < q; k++) v[f * q + k] += x[f] * r[i * q + k];
    }
    const g = (a: number, b: number) => v[a * q] * v[b * q] + v[a * q + 1] * v[b * q + 1];
    const principal = Math.atan2(2 * g(0, 1), g(0, 0) - g(1, 1)) / 2;
    const inside = Array.from({ length: 8 }, (_, k) => principal + (k - 2) * Math.PI).filter(
      (angle) => from < angle && angle < to,
    );
    for (const angle of [from, to, ...inside]) largest = Math.max(largest, at(angle));
  }
  return largest;
}

/**
 * The objective of a wide network, an upper bound of p* that is close to it: one unit for each of 720 directions u of the
 * plane, min_A ||C (H A - Y)||^2 / 2 + beta sum_j ||a_j||, H = relu(X U) and C the centring, which c allows. It is convex;
 * accelerated proximal gradient steps.
 */
function wideNetwork({ inputs, targets, rows, beta }: CertificateProblem): number {
  const units = 720;
  const h = new Float64Array(rows * units);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < units; j++) {
      const angle = (2 * Math.PI * j) / units;
      const z = inputs[2 * i] * Math.cos(angle) + inputs[2 * i + 1] * Math.sin(angle);
      h[i * units + j] = Math.max(0, z);
    }
  }
  centre(h, rows, units);
  const y = Float64Array.from(targets);
  centre(y, rows, q);
  const rate = 1 / h.reduce((sum, value) => sum + value * value, 0);
  const rest = (a: Float64Array) => {
    const result = y.map((value) => -value);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < units; j++) {
        for (let k = 0; k < q; k++) result[i * q + k] += h[i * units + j] * a[j * q + k];
      }
    }
    return result;
  };
  const norms = (a: Float64Array) =>
    Array.from({ length: units }, (_, j) => Math.hypot(a[j * q], a[j * q + 1]));
  let a = new Float64Array(units * q);
  let ahead = a;
  for (let step = 1; step <= 2000; step++) {
    const error = rest(ahead);
    const moved = ahead.slice();
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < units; j++) {
        for (let k = 0; k < q; k++) moved[j * q + k] -= rate * h[i * units + j] * error[i * q + k];
      }
    }
    const sizes = norms(moved);
    const next = moved.map((value, e) => {
      const size = sizes[Math.floor(e / q)];
      return size > rate * beta ? value * (1 - (rate * beta) / size) : 0;
    });
    const before = a;
    ahead = next.map((value, e) => value + ((step - 1) / (step + 2)) * (value - before[e]));
    a = next;
  }
  const penalty = norms(a).reduce((sum, value) => sum + value, 0);
  return rest(a).reduce((sum, value) => sum + (value * value) / 2, beta * penalty);
}

describe.each([
  ['4 images', 1, 4, 0.5, 0.999],
  ['7 images', 2, 7, 1, 0.995],
  ['a small ridge, where the relaxation is looser', 3, 6, 0.05, 0.8],
])('the certificate of %s', (_, seed, rows, beta, share) => {
  const { random, problem } = instance(seed, rows, beta);

  it('is proved by an R of exact norm at most beta, and is near to the minimum', async () => {
    const objectives: { gap: number; objective: number; value: number }[] = [];
    const { value, multipliers } = await certify(problem, (gap, objective, best) => {
      objectives.push({ gap, objective, value: best });
    });
    const norm = exactNorm(problem, multipliers.r);
    expect(norm).toBeLessThanOrEqual(beta);
    expect(norm).toBeGreaterThan(0.8 * beta);
    expect(certifiedValue(problem, multipliers)).toBe(value);
    const found = wideNetwork(problem);
    expect(value).toBeLessThanOrEqual(found);
    expect(value).toBeGreaterThan(share * found);
    for (const [i, { gap, objective, value }] of objectives.entries()) {
      if (i > 0) expect(value).toBeGreaterThanOrEqual(objectives[i - 1].value);
      if (objectives[i - 1]?.gap === gap) {
        expect(objective).toBeGreaterThanOrEqual(objectives[i - 1].objective);
      }
    }
  });

  it('exists for no R of larger norm, and bounds the objective for any R', async () => {
    const { multipliers } = await certify(problem);
    const found = wideNetwork(problem);
    let proved = 0;
    for (let trial = 0; trial < 300; trial++) {
      const size = 10 ** (-trial % 5);
      const grow = (values: Float64Array) =>
        values.map((value) => value * Math.exp(size * random.normal()));
      const r = multipliers.r.map((value) => value + 0.2 * size * random.normal());
      centre(r, rows, q);
      const exact = onGrid(r, rows);
      const d = grow(multipliers.d);
      const t = grow(multipliers.t!);
      const value = certifiedValue(problem, { r: exact, d, s: multipliers.s, t });
      if (value === undefined) continue;
      proved++;
      expect(exactNorm(problem, exact)).toBeLessThanOrEqual(beta);
      expect(value).toBeLessThanOrEqual(found);
    }
    expect(proved).toBeGreaterThan(5);
    const norm = exactNorm(problem, multipliers.r);
    const larger = onGrid(
      multipliers.r.map((value) => (value * 1.0001 * beta) / norm),
      rows,
    );
    expect(certifiedValue(problem, { ...multipliers, r: larger })).toBeUndefined();
  });
});

/** Multiples of 2^-30 whose columns sum to 0. */
function onGrid(r: Float64Array, rows: number): Float64Array {
  const result = r.map((value) => Math.round(value * 2 ** 30) / 2 ** 30);
  for (let k = 0; k < q; k++) {
    let sum = 0;
    for (let i = 0; i < rows - 1; i++) sum += result[i * q + k];
    result[(rows - 1) * q + k] = -sum;
  }
  return result;
}

describe('a certificate', () => {
  const { problem } = instance(4, 3, 1);
  const zero = { r: new Float64Array(6), d: new Float64Array(3).fill(1e-3) };

  it('is trivial for R = 0, and 0 where the inputs are', async () => {
    expect(certifiedValue(problem, zero)).toBeCloseTo(0, 12);
    // Without inputs only c is left: the bound is that of the mean target.
    const targets = Float64Array.from([1, 0, 0, 1, 0, 0]);
    const { value } = await certify({ inputs: new Float64Array(6), targets, rows: 3, beta: 1 });
    expect(value).toBeLessThanOrEqual(2 / 3);
    expect(value).toBeGreaterThan(0.99 * (2 / 3));
  });

  it('is refused outside of the domain of its multipliers', async () => {
    const diagonal = Float64Array.from({ length: 9 }, (_, e) => (e % 4 === 0 ? 1 : 0));
    const refused: [object, string][] = [
      [{ r: new Float64Array(6).fill(1) }, 'sum to 0'],
      [{ d: new Float64Array(3) }, 'd must be positive'],
      [{ s: diagonal, t: new Float64Array(9) }, 'zero diagonals'],
      [{ s: new Float64Array(9), t: new Float64Array(9).fill(-1) }, 'non-negative'],
    ];
    for (const [change, message] of refused) {
      expect(() => certifiedValue(problem, { ...zero, ...change })).toThrow(message);
    }
    await expect(certify({ ...problem, beta: 0 })).rejects.toThrow('beta > 0');
  });
});
