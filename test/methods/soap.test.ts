import { beforeAll, describe, expect, it } from 'vitest';
import type { Place } from '../../src/core/methods/back-propagation.js';
import { scalars } from '../../src/core/methods/scalars.js';
import { SoapConfig } from '../../src/core/methods/soap/config.js';
import { type SoapAverages, soapRule } from '../../src/core/methods/soap/soap.js';
import { denseMap } from '../../src/core/network/maps/dense.js';
import { Random } from '../../src/core/random.js';
import { startTestBackend } from '../backends.js';
import {
  distance,
  dot,
  type Matrix,
  map,
  maxAbs,
  multiply,
  svd,
  transpose,
  zip,
} from '../reference/matrix.js';
import { matrix, normal } from '../solvers/tensors.js';

beforeAll(startTestBackend);

const random = new Random(11, 'soap');
const [rows, columns] = [7, 6];
const place: Place = {
  isWeights: true,
  layer: 0,
  isLastLayer: false,
  isNormalised: false,
  map: denseMap(rows, columns),
};

const configOf = (fields: object = {}) => SoapConfig.parse({ name: 'soap', ...fields });

/** Gradients of one mean and growing noise: their averages have eigenvalues of different sizes. */
function gradients(count: number): Matrix[] {
  const mean = normal(random, rows, columns);
  return Array.from({ length: count }, () =>
    zip(mean, normal(random, rows, columns), (a, b) => 0.3 * a + b / (1 + Math.abs(a))),
  );
}

/** What the rule subtracts in each step, and the averages after the last. */
async function stepsOf(config: SoapConfig, inputs: readonly Matrix[], at = place) {
  const rule = soapRule(config);
  let averages: SoapAverages = rule.init(matrix(inputs[0]), at);
  const steps: Matrix[] = [];
  for (const [i, g] of inputs.entries()) {
    const coefficients = scalars(rule.coefficients(i + 1, config.learningRate));
    const next = rule.step(matrix(g), averages, coefficients, at);
    steps.push((await next.step.array()) as Matrix);
    const refreshed = await rule.refresh?.(i + 1, [next.averages]);
    averages = (refreshed as readonly SoapAverages[])[0];
  }
  return { steps, averages };
}

type Basis = { gram: Matrix; q: Matrix };

/** SOAP as in the authors' code, in float64: m in the coordinates of W, v in the basis. */
function reference(config: SoapConfig, inputs: readonly Matrix[]): Matrix[] {
  const { beta1, beta2, shampooBeta, epsilon, learningRate, preconditionFrequency } = config;
  const zero = map(inputs[0], () => 0);
  let m = zero;
  let v = zero;
  const left: Basis = { gram: map(multiply(zero, transpose(zero)), () => 0), q: [] };
  const right: Basis = { gram: map(multiply(transpose(zero), zero), () => 0), q: [] };
  const track = (side: Basis, product: Matrix) => {
    side.gram = zip(side.gram, product, (a, b) => shampooBeta * a + (1 - shampooBeta) * b);
  };
  const trackBoth = (g: Matrix) => {
    track(left, multiply(g, transpose(g)));
    track(right, multiply(transpose(g), g));
  };
  return inputs.map((g, step) => {
    if (step === 0) {
      trackBoth(g);
      for (const side of [left, right]) side.q = eigenvectors(side.gram);
      return zero;
    }
    const into = (x: Matrix) => multiply(transpose(left.q), multiply(x, right.q));
    const projected = into(g);
    m = zip(m, g, (a, b) => beta1 * a + (1 - beta1) * b);
    v = zip(v, projected, (a, b) => beta2 * a + (1 - beta2) * b * b);
    const size = (learningRate * Math.sqrt(1 - beta2 ** step)) / (1 - beta1 ** step);
    const inBasis = zip(into(m), v, (a, b) => (size * a) / (Math.sqrt(b) + epsilon));
    const change = multiply(multiply(left.q, inBasis), transpose(right.q));
    trackBoth(g);
    if (step % preconditionFrequency === 0) {
      const [i, j] = [left, right].map((side) => {
        const image = multiply(side.gram, side.q);
        const estimates = transpose(side.q).map((q, k) => dot(q, transpose(image)[k]));
        const order = estimates.map((_, k) => k).sort((a, b) => estimates[b] - estimates[a]);
        side.q = gramSchmidt(map(image, (_, r, k) => image[r][order[k]]));
        return order;
      });
      v = map(v, (_, r, c) => v[i[r]][j[c]]);
    }
    return change;
  });
}

/** Of a semidefinite matrix, as columns, eigenvalues descending. */
function eigenvectors(a: Matrix): Matrix {
  const { v, s } = svd(a);
  return transpose(
    s
      .map((_, k) => k)
      .sort((i, j) => s[j] - s[i])
      .map((k) => v[k]),
  );
}

function gramSchmidt(a: Matrix): Matrix {
  const done: number[][] = [];
  for (const column of transpose(a)) {
    let rest = [...column];
    for (let pass = 0; pass < 2; pass++) {
      for (const q of done) {
        const overlap = dot(rest, q);
        rest = rest.map((value, i) => value - overlap * q[i]);
      }
    }
    const length = Math.sqrt(dot(rest, rest));
    done.push(rest.map((value) => value / length));
  }
  return transpose(done);
}

describe('SOAP', () => {
  it('takes the steps of a float64 reference over refinements of the bases', async () => {
    const config = configOf({ preconditionFrequency: 4, learningRate: 0.1, beta1: 0.9 });
    const inputs = gradients(25);
    const wanted = reference(config, inputs);
    const { steps } = await stepsOf(config, inputs);
    expect(maxAbs(wanted[24])).toBeGreaterThan(0.01);
    for (const [t, step] of steps.entries()) {
      expect(distance(step, wanted[t]), `step ${t + 1}`).toBeLessThan(5e-4);
    }
  });

  it('only fills its averages in the first step, and takes their eigenvectors', async () => {
    const [g] = gradients(1);
    const { steps, averages } = await stepsOf(configOf(), [g]);
    expect(maxAbs(steps[0])).toBe(0);
    for (const moment of averages.moments) expect(maxAbs((await moment.array()) as Matrix)).toBe(0);
    for (const [side, gram] of [
      [averages.left, multiply(g, transpose(g))],
      [averages.right, multiply(transpose(g), g)],
    ] as const) {
      if (!('gram' in side)) throw new Error('no basis');
      const basis = (await side.basis.array()) as Matrix;
      const expected = map(gram, (value) => 0.05 * value);
      expect(distance((await side.gram.array()) as Matrix, expected)).toBeLessThan(1e-5);
      const rotated = multiply(transpose(basis), multiply(gram, basis));
      expect(maxAbs(map(rotated, (value, i, j) => (i === j ? 0 : value)))).toBeLessThan(1e-4);
    }
  });

  it('is Adam in a fixed eigenbasis, of both sides, of one that is not too long, and of none', async () => {
    const inputs = gradients(12);
    const config = configOf({ preconditionFrequency: 1000, learningRate: 0.1, beta2: 0.99 });
    const { steps, averages } = await stepsOf(config, inputs);
    const { left, right } = averages;
    if (!('basis' in left && 'basis' in right)) throw new Error('no basis');
    const [ql, qr] = [(await left.basis.array()) as Matrix, (await right.basis.array()) as Matrix];
    const into = inputs.map((g) => multiply(transpose(ql), g));
    const both = adam(
      config,
      into.map((g) => multiply(g, qr)),
    ).map((step) => multiply(ql, multiply(step, transpose(qr))));
    const onRight = adam(
      config,
      inputs.map((g) => multiply(g, qr)),
    ).map((step) => multiply(step, transpose(qr)));
    const plain = adam(config, inputs);

    const short = await stepsOf({ ...config, maxDimension: columns }, inputs);
    const none = await stepsOf({ ...config, maxDimension: 1 }, inputs);
    const bias = await stepsOf(config, inputs, { ...place, isWeights: false });
    for (let t = 0; t < 12; t++) {
      expect(distance(steps[t], both[t])).toBeLessThan(1e-4);
      expect(distance(short.steps[t], onRight[t])).toBeLessThan(1e-4);
      expect(distance(none.steps[t], plain[t])).toBeLessThan(1e-5);
      expect(distance(bias.steps[t], plain[t])).toBeLessThan(1e-5);
    }
    expect(distance(both[11], plain[11])).toBeGreaterThan(0.01);
  });

  it('sorts the second moment with the basis, and leaves the step what it was', async () => {
    // Diagonal gradients: eigenvectors are unit vectors, and a refinement only sorts them.
    const diagonal = (...values: number[]) =>
      map(normal(random, 3, 3), (_, i, j) => (i === j ? values[i] : 0));
    const inputs = [diagonal(3, 2, 1), ...Array.from({ length: 12 }, () => diagonal(0.1, 0.5, 4))];
    const at = { ...place, map: denseMap(3, 3) };
    const config = configOf({ preconditionFrequency: 10, shampooBeta: 0.5 });
    const { averages } = await stepsOf(config, inputs, at);
    const [m, v] = await Promise.all(
      averages.moments.map(async (x) => (await x.array()) as Matrix),
    );
    for (const [k, size] of [4, 0.5, 0.1].entries()) {
      expect(Math.abs(m[k][k])).toBeCloseTo(size * (1 - 0.95 ** 12), 5);
      expect(v[k][k]).toBeCloseTo(size ** 2 * (1 - 0.95 ** 12), 4);
    }
    const { steps } = await stepsOf(config, inputs, at);
    const wanted = reference(config, inputs);
    expect(distance(steps[12], wanted[12])).toBeLessThan(1e-5);
  });
});

/** Adam's steps from the second on, as SOAP counts them. */
function adam({ beta1, beta2, epsilon, learningRate }: SoapConfig, inputs: readonly Matrix[]) {
  let m = map(inputs[0], () => 0);
  let v = m;
  return inputs.map((g, step) => {
    if (step === 0) return m;
    m = zip(m, g, (a, b) => beta1 * a + (1 - beta1) * b);
    v = zip(v, g, (a, b) => beta2 * a + (1 - beta2) * b * b);
    const size = (learningRate * Math.sqrt(1 - beta2 ** step)) / (1 - beta1 ** step);
    return zip(m, v, (a, b) => (size * a) / (Math.sqrt(b) + epsilon));
  });
}
