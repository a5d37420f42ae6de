import { describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.js';
import { leakyRelu, type ScalarActivation, scalarActivations } from './activations.js';

const all: readonly [string, ScalarActivation][] = [
  ...Object.entries(scalarActivations).map(([name, activation]): [string, ScalarActivation] =>
    activation.monotone ? [`${name}, monotone part`, activation.monotone] : [name, activation],
  ),
  ['leaky-relu, slope 0.3', leakyRelu(0.3)],
];

/** Pre-activations of either sign and every size, none so large that 1 - phi(u) underflows. */
const samples = (seed: number, count = 400): number[] => {
  const random = new Random(seed, 'pre-activations');
  return Array.from({ length: count }, (_, i) => [0.1, 1, 5][i % 3] * random.normal());
};

const derivative = (f: (x: number) => number, x: number, h = 1e-5) =>
  (f(x + h) - f(x - h)) / (2 * h);

describe.each(all)('%s', (_, activation) => {
  const { F, Fstar, phi, phiInverse, phiPrime, penalty, penaltyAt, maxSlope, domain } = activation;

  it('has a penalty that is non-negative, and zero exactly at v = phi(u)', () => {
    const others = samples(2);
    for (const [i, u] of samples(1).entries()) {
      const v = phi(others[i]);
      const gap = Math.abs(v - phi(u));
      // F is 1/maxSlope-strongly convex, so B >= (v - phi(u))^2 / (2 maxSlope).
      const lower = gap ** 2 / (2 * maxSlope);
      expect(penalty(v, u)).toBeGreaterThanOrEqual(lower * (1 - 1e-9) - 1e-14);
      expect(Math.abs(penalty(phi(u), u))).toBeLessThanOrEqual(1e-13 * (1 + u ** 2));
    }
  });

  it('has a penalty equal to F(v) + F*(u) - u v, and to the form that starts from a pre-image', () => {
    const others = samples(4);
    for (const [i, u] of samples(3).entries()) {
      const s = others[i];
      const v = phi(s);
      const tolerance = 1e-12 * (1 + u ** 2 + s ** 2);
      expect(Math.abs(penalty(v, u) - (F(v) + Fstar(u) - u * v))).toBeLessThan(tolerance);
      expect(Math.abs(penalty(v, u) - penaltyAt(s, u))).toBeLessThan(tolerance);
    }
  });

  it("has F*' = phi, F' = phi^-1, phi' and phi^-1 that belong together", () => {
    for (const u of samples(5)) {
      if (Math.abs(u) < 1e-3) continue;
      expect(derivative(Fstar, u)).toBeCloseTo(phi(u), 7);
      expect(derivative(phi, u)).toBeCloseTo(phiPrime(u), 7);
      expect(phiPrime(u)).toBeLessThanOrEqual(maxSlope);
      if (Math.abs(u) > 5 || phiPrime(u) < 1e-4) continue;
      expect(phiInverse(phi(u))).toBeCloseTo(u, 9);
      const h = 1e-5 * phiPrime(u);
      expect(derivative(F, phi(u), h) / (1 + Math.abs(u))).toBeCloseTo(u / (1 + Math.abs(u)), 5);
    }
  });

  it('has the partial derivatives phi(u) - v and phi^-1(v) - u', () => {
    const others = samples(7);
    for (const [i, u] of samples(6).entries()) {
      const s = others[i];
      const v = phi(s);
      if (Math.abs(u) < 1e-3 || Math.abs(s) > 4 || phiPrime(s) < 1e-3 || Math.abs(s) < 1e-3)
        continue;
      expect(derivative((x) => penalty(v, x), u)).toBeCloseTo(phi(u) - v, 7);
      const h = 1e-5 * phiPrime(s);
      expect(derivative((x) => penalty(x, u), v, h)).toBeCloseTo(phiInverse(v) - u, 4);
    }
  });

  it('is finite at the ends of its domain and far into saturation', () => {
    for (const v of domain) {
      if (Number.isFinite(v)) expect(Number.isFinite(penalty(v, 0.5))).toBe(true);
    }
    for (const u of [-1e4, -800, -40, 40, 800, 1e4]) {
      for (const s of [-800, 0, 800]) expect(penaltyAt(s, u)).toBeGreaterThanOrEqual(0);
      expect(phi(u)).toBeGreaterThanOrEqual(domain[0]);
      expect(phi(u)).toBeLessThanOrEqual(domain[1]);
      expect(Number.isFinite(phiPrime(u))).toBe(true);
    }
  });
});

describe('known values', () => {
  it.each([
    ['relu', 2, -1, 4],
    ['relu', 0, -7, 0],
    ['leaky-relu', -0.01, 1, 0.515],
    ['sigmoid', 0.5, 0, 0],
    ['sigmoid', 1, 0, Math.LN2],
    ['tanh', 0, 0, 0],
    ['tanh', 1, 0, Math.LN2],
    ['hard-tanh', -1, 3, 6],
    ['softplus', 0, 0, Math.PI ** 2 / 12],
    ['softplus', Math.LN2, 0, 0],
    ['gelu', 0, 0, 0],
  ] as const)('%s: B(%d, %d) = %d', (name, v, u, expected) => {
    expect(scalarActivations[name].penalty(v, u)).toBeCloseTo(expected, 14);
  });
});
