import { describe, expect, it } from 'vitest';
import { collapseDistance, tolerance } from '../../src/verify/judge.js';

/** Binomial standard error at 98 % on 10,000 images: 0.0014. */
const limit = 0.98;
const images = 10_000;
const binomial = 0.0014;
const z = 1.6449;

describe('tolerance', () => {
  it.each([1, 2, 3, 10])('of %i equal seeds is that of the binomial error', (n) => {
    const { value, rule } = tolerance(Array(n).fill(0.979), limit, images);
    expect(rule).toBe('test set');
    expect(value / ((z * binomial) / Math.sqrt(n))).toBeCloseTo(1, 2);
  });

  it("is the t-test's where the seeds spread by more", () => {
    // s = 0.0012, t = 2.92 with two degrees of freedom
    const { value, rule } = tolerance([0.9788, 0.98, 0.9812], limit, images);
    expect(rule).toBe('seeds');
    expect(value).toBeCloseTo((2.92 * 0.0012) / Math.sqrt(3), 6);
  });

  it('is capped, however far the seeds are apart', () => {
    const apart = tolerance([0.9, 0.98, 1], limit, images);
    expect(apart).toEqual(tolerance([0, 1, 1], limit, images));
    expect(apart.rule).toBe('cap');
    expect(apart.value / ((2 * z * binomial) / Math.sqrt(3))).toBeCloseTo(1, 2);
  });

  it('does not depend on what was measured, other than its spread', () => {
    const at = (mean: number) => tolerance([mean - 0.0012, mean, mean + 0.0012], limit, images);
    expect(at(0.5).value).toBeCloseTo(at(0.98).value, 12);
  });

  it('is above 0 at a limit of 0 or 1, and larger on a small test set', () => {
    expect(tolerance([1], 1, images).value).toBeGreaterThan(0);
    expect(tolerance([0], 0, images).value).toBeGreaterThan(0);
    const ratio = tolerance([0.9], 0.9, 100).value / tolerance([0.9], 0.9, images).value;
    expect(ratio).toBeCloseTo(10, 0);
  });

  it('counts a seed as collapsed from six binomial standard errors', () => {
    expect(collapseDistance(limit, images) / binomial).toBeCloseTo(6, 1);
  });
});
