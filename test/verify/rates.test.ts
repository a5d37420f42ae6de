import { describe, expect, it } from 'vitest';
import { gateRate, methods, paired, simulatedRate } from '../../scripts/verify-rates/paired.js';
import { failureRate, rules, type Scenario } from '../../scripts/verify-rates/simulate.js';
import type { Variant } from '../../scripts/verify-rates/train.js';

const mnist = { limit: 0.983, testImages: 10_000 };
const cifar = { limit: 0.67, testImages: 10_000 };
const few = 2000;
/** Three standard errors of a rate of 5 % in as many trials. */
const noise = 3 * Math.sqrt((0.05 * 0.95) / few);

const cases = (offset: number, spreads: readonly number[]): Scenario[] =>
  [mnist, cifar].flatMap((task) =>
    spreads.flatMap((spread) => [1, 2, 3, 5].map((seeds) => ({ ...task, seeds, spread, offset }))),
  );

describe('error rates of fln verify, on injected results', () => {
  it.each(cases(0, [0.3, 1]))('at most 5 % false alarms on the limit: %o', (scenario) => {
    expect(failureRate(scenario, few)).toBeLessThan(0.05 + noise);
  });

  it.each(cases(0, [1.5, 2]).filter(({ seeds }) => seeds > 1))(
    'about 7 % where seeds spread by twice the binomial error: %o',
    (scenario) => {
      expect(failureRate(scenario, few)).toBeLessThan(0.075 + noise);
    },
  );

  it('practically none a tenth of a point above the limit', () => {
    for (const spread of [0.3, 1]) {
      const scenario = { ...mnist, seeds: 3, spread, offset: 0.001 };
      expect(failureRate(scenario, few)).toBeLessThan(0.003);
    }
  });

  it.each([
    [1, 0.97],
    [2, 0.97],
    [3, 0.995],
    [5, 0.995],
  ])('with %i seeds a drop of half a point on MNIST is found in %d of cases', (seeds, least) => {
    for (const spread of [0.3, 1]) {
      const scenario = { ...mnist, seeds, spread, offset: -0.005 };
      expect(failureRate(scenario, few)).toBeGreaterThan(least);
    }
  });

  it('finds what a mere t-test waves through: one collapsed seed', () => {
    for (const lastSeedLoses of [0.02, 0.885]) {
      const scenario = { ...mnist, seeds: 3, spread: 1, offset: 0.002, lastSeedLoses };
      expect(failureRate(scenario, few, rules['t-test alone'])).toBe(0);
      expect(failureRate(scenario, few)).toBe(1);
    }
  });

  it('does not flake where the mean alone would: half of the time on the limit', () => {
    const scenario = { ...mnist, seeds: 3, spread: 1, offset: 0 };
    expect(failureRate(scenario, few, rules['mean alone'])).toBeGreaterThan(0.4);
    expect(failureRate(scenario, few)).toBeLessThan(0.05);
  });
});

describe('error rates of fln verify --paired', () => {
  const rateOf = (method: string, count: number, variant: Variant, drop?: number) =>
    gateRate(paired, { setting: 'ci', method, count }, { variant, drop }, few);

  it.each(methods)(
    'on real runs of %s, ten seeds find half a point and pass other rounding',
    (method) => {
      expect(rateOf(method, 10, 'rounding')).toBe(0);
      expect(rateOf(method, 10, 'an epoch less', 0.005)).toBeGreaterThan(0.99);
      expect(rateOf(method, 10, 'a tenth of the images lost', 0.005)).toBeGreaterThan(0.85);
      expect(rateOf(method, 10, 'a tenth of the images lost', 0)).toBeLessThan(0.12);
      expect(rateOf(method, 10, 'a tenth of the images lost', 0.01)).toBeGreaterThan(0.99);
    },
  );

  it('are those of a normal distribution where differences are normal', () => {
    // Phi((0.5 - 0.25) sqrt(5) / 0.6) = Phi(0.9317) = 0.8243.
    expect(simulatedRate(0.5, 0.6, 5, 5000)).toBeCloseTo(0.8243, 1);
    expect(simulatedRate(0, 0.6, 5, 5000)).toBeCloseTo(1 - 0.8243, 1);
  });
});
