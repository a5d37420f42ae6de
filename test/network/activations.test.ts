import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { methods } from '../../src/core/methods/registry.js';
import { divergence64 } from '../../src/core/network/activations/activation.js';
import { activations } from '../../src/core/network/activations/registry.js';
import { continuousNames, nonMonotoneNames } from '../../src/core/network/names.js';
import { penalty } from '../../src/core/network/penalty.js';
import { Random } from '../../src/core/random.js';
import { methodConformance } from '../../src/testing/conformance.js';
import { startTestBackend } from '../backends.js';
import { scalarActivations } from '../reference/activations.js';
import { matrix } from '../solvers/tensors.js';

beforeAll(startTestBackend);

/** Away from kinks, into both tails. */
const at = [-40, -9.3, -5.2, -2.7, -1.42, -0.7, -0.03, 1e-3, 0.2, 0.9, 1.1, 1.8, 3.3, 8.1, 25, 90];
const row = (values: readonly number[]) => matrix([values]);
const draws = (seed: number) => {
  const random = new Random(seed, 'activations');
  return Array.from({ length: 60 }, (_, i) => [0.3, 2, 12][i % 3] * random.normal());
};

/** Simpson's rule, with a node at each kink. */
function integral(f: (x: number) => number, from: number, to: number): number {
  const nodes = [-1, 0, 1].filter((kink) => from < kink && kink < to);
  const ends = [from, ...nodes, to];
  let total = 0;
  for (const [k, end] of ends.entries()) {
    if (k === 0) continue;
    const n = 1000;
    const h = (end - ends[k - 1]) / n;
    // Inside of its ends, where a slope may jump.
    const inside = (i: number) => Math.min(Math.max(i, 1e-9), n - 1e-9);
    for (let i = 0; i <= n; i++) {
      const weight = i === 0 || i === n ? 1 : i % 2 === 1 ? 4 : 2;
      total += (weight * h * f(ends[k - 1] + inside(i) * h)) / 3;
    }
  }
  return total;
}

describe.each(continuousNames)('%s', (name) => {
  const activation = activations[name];
  const reference = scalarActivations[name];
  /** phi itself, but for those that decrease somewhere. */
  const rising = reference.monotone ?? reference;
  const kappa = reference.kappa ?? 0;

  it('has phi, its slope, F* and the penalty of float64', async () => {
    const { phi, slope, conjugate } = activation;
    const u = row(at);
    const s = row(at.toReversed());
    const found = {
      phi: phi(u),
      slope: slope(u, phi(u)),
      conjugate: conjugate(u),
      penalty: penalty(activation, s, u),
    };
    for (const [i, x] of at.entries()) {
      const y = at[at.length - 1 - i];
      const expected = {
        phi: reference.phi(x),
        slope: reference.phiPrime(x),
        conjugate: rising.Fstar(x),
        penalty: rising.penaltyAt(y, x),
      };
      for (const [what, tensor] of Object.entries(found)) {
        const value = (await tensor.data())[i];
        const wanted = expected[what as keyof typeof expected];
        const size = what === 'penalty' ? 1 + x ** 2 + y ** 2 : 1 + Math.abs(wanted);
        expect(Math.abs(value - wanted) / size, `${what} at ${x}: ${value}`).toBeLessThan(2e-6);
      }
      const difference = (rising.phi(x + 1e-5) - rising.phi(x - 1e-5)) / 2e-5 - kappa;
      expect(difference).toBeCloseTo(expected.slope, 8);
    }
  });

  it('has F and F* that are the integrals of phi^-1 and phi, by quadrature', () => {
    const { F, conjugate } = activation.float64;
    for (const [from, to] of [
      [-6, 0.4],
      [-1.3, 1.6],
      [0.2, 5],
    ]) {
      const F1 = F(rising.phi(to)) - F(rising.phi(from));
      // v = phi_1(s): dF = s phi_1'(s) ds.
      expect(F1).toBeCloseTo(
        integral((s) => s * rising.phiPrime(s), from, to),
        9,
      );
      expect(conjugate(to) - conjugate(from)).toBeCloseTo(integral(rising.phi, from, to), 9);
    }
  });

  it('has B >= 0, 0 at v = phi(u), and dB/du = phi(u) - v', async () => {
    const { F, conjugate } = activation.float64;
    const [us, ss] = [draws(1), draws(2)];
    const [low, high] = reference.domain;
    // What moves with u is left out of v_1 = v + kappa u.
    const vs = ss.map((s, i) => rising.phi(s) - kappa * us[i]);
    for (const [i, u] of us.entries()) {
      const v = vs[i];
      const b = divergence64(activation, v, u);
      const tolerance = 1e-13 * (1 + u ** 2 + ss[i] ** 2);
      expect(b).toBeGreaterThanOrEqual(
        (v - reference.phi(u)) ** 2 / (2 * rising.maxSlope) - tolerance,
      );
      expect(Math.abs(b - reference.penalty(v, u))).toBeLessThan(1e-11 * (1 + u ** 2 + ss[i] ** 2));
      expect(divergence64(activation, reference.phi(u), u)).toBeLessThan(tolerance);
      const fixed = v + kappa * u;
      const B1 = (at: number) => F(fixed) + conjugate(at) - at * fixed;
      const h = 1e-4 * (1 + Math.abs(u));
      const slope = (B1(u + h) - B1(u - h)) / (2 * h);
      if ([0, 1, -1].every((kink) => Math.abs(u - kink) > h)) {
        expect(slope).toBeCloseTo(reference.phi(u) - v, 5);
      }
    }
    if (!activation.divergence) return;
    const tensor = await activation.divergence(row(vs), row(us)).data();
    for (const [i, value] of tensor.entries()) {
      const v = Math.min(high, Math.max(low, vs[i]));
      expect(value).toBeGreaterThanOrEqual(0);
      expect(Math.abs(value - reference.penalty(v, us[i]))).toBeLessThan(
        1e-6 * (1 + us[i] ** 2 + ss[i] ** 2),
      );
    }
    const none = await activation.divergence(activation.phi(row(us)), row(us)).data();
    expect(Math.max(...none)).toBeLessThan(1e-9);
  });
});

describe.each(nonMonotoneNames)('the monotone part of %s', (name) => {
  const { phi, phiPrime } = scalarActivations[name];
  const { skip = 0, maxSlope, float64 } = activations[name];

  it('has the kappa of the least slope, which phi has at a negative u', () => {
    expect(skip).toBeCloseTo({ gelu: 0.12890414518515483, silu: 0.09983932012886694 }[name], 15);
    expect(maxSlope).toBe(1 + skip);
    const grid = Array.from({ length: 20_001 }, (_, i) => -10 + i * 1e-3);
    const slopes = grid.map(phiPrime);
    const least = slopes.reduce((a, b) => Math.min(a, b));
    expect(least).toBeGreaterThanOrEqual(-skip - 1e-15);
    expect(least).toBeLessThan(-skip + 1e-6);
    expect(slopes.reduce((a, b) => Math.max(a, b))).toBeLessThanOrEqual(maxSlope + 1e-15);
  });

  it('has its F also where phi_1 is flat, and far from 0', () => {
    const flat = name === 'gelu' ? -Math.SQRT2 : -2.399357280515467;
    for (const u of [flat, flat + 1e-6, flat - 1e-3, -300, -8.6, 0, 8.6, 300]) {
      const v = phi(u) + skip * u;
      const B = float64.F(v) + float64.conjugate(u) - u * v;
      expect(Math.abs(B)).toBeLessThan(1e-15 * (1 + u ** 2));
    }
  });
});

describe('training', () => {
  // The other pairs are in test/methods/conformance.full.test.ts.
  it.each([
    ['gelu', 'fenchel'],
    ['gelu', 'adam'],
    ['silu', 'fenchel'],
    ['softplus', 'adam'],
    ['hard-tanh', 'fenchel'],
  ])('%s: %s learns digits, leaks nothing, resumes bit for bit', async (activation, method) => {
    const definition = methods.find(({ name }) => name === method)!;
    const name = new RegExp(`^learns with ${activation}, .*, one hidden layer`);
    const check = methodConformance(definition, 'others').find((each) => name.test(each.name));
    await check!.run();
  });
});

it('the tensors of an activation are in no scope but their own', () => {
  const before = tf.memory().numTensors;
  const u = row(at);
  for (const { phi, slope, conjugate, divergence } of Object.values(activations)) {
    const v = phi(u);
    tf.dispose([slope(u, v), conjugate(u), divergence?.(v, u) ?? [], v]);
  }
  u.dispose();
  expect(tf.memory().numTensors).toBe(before);
});
