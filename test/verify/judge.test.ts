import { describe, expect, it } from 'vitest';
import { judge, type SeedResult } from '../../src/verify/judge.js';

const seeds = (...accuracies: number[]): SeedResult[] =>
  accuracies.map((accuracy, i) => ({ seed: i + 1, accuracy }));
const verdict = (results: SeedResult[], expected?: Parameters<typeof judge>[2]) =>
  judge('fenchel', results, expected, 10_000);
const kinds = (...args: Parameters<typeof verdict>) =>
  verdict(...args).failures.map(({ kind }) => kind);

describe('judge', () => {
  it('passes a mean above its limit, and one below by less than the tolerance', () => {
    expect(verdict(seeds(0.985, 0.984, 0.986), { atLeast: 0.983 }).verdict).toBe('ok');
    const below = verdict(seeds(0.9825, 0.9821, 0.9824), { atLeast: 0.983 });
    expect(below.verdict).toBe('ok');
    expect(below.checks[0].difference).toBeCloseTo(-0.00067, 5);
  });

  it('fails a drop of half a point, with three seeds or one', () => {
    expect(kinds(seeds(0.978, 0.9784, 0.9776), { atLeast: 0.983 })).toEqual(['beyond limit']);
    expect(kinds(seeds(0.978), { atLeast: 0.983 })).toEqual(['beyond limit']);
  });

  it('fails a mean above atMost, and judges both limits', () => {
    const { checks, failures } = verdict(seeds(0.985, 0.985), { atLeast: 0.97, atMost: 0.98 });
    expect(checks.map(({ limit, passed }) => [limit, passed])).toEqual([
      ['atLeast', true],
      ['atMost', false],
    ]);
    expect(failures).toMatchObject([{ kind: 'beyond limit', check: { limit: 'atMost' } }]);
  });

  it('names a collapsed seed, even where the mean of many hides it', () => {
    const many = seeds(...Array(11).fill(0.9865), 0.96);
    const { checks, failures } = verdict(many, { atLeast: 0.983 });
    expect(checks[0].passed).toBe(true);
    expect(failures).toMatchObject([{ kind: 'collapsed', seeds: [{ seed: 12 }] }]);
  });

  it('measures a collapse from the other seeds where there is no lower limit', () => {
    expect(kinds(seeds(0.975, 0.976, 0.114), { atMost: 0.98 })).toEqual(['collapsed']);
    expect(kinds(seeds(0.975, 0.976, 0.974), { atMost: 0.98 })).toEqual([]);
  });

  it('fails in spite of a large standard deviation', () => {
    expect(kinds(seeds(0.985, 0.985, 0.968), { atLeast: 0.983 })).toEqual([
      'beyond limit',
      'collapsed',
    ]);
  });

  it('fails a method with a seed that has no result, however good the others are', () => {
    const lost: SeedResult = { seed: 2, missing: 'failed: the loss became NaN' };
    const { failures, accuracy } = verdict([...seeds(0.99), lost], { atLeast: 0.983 });
    expect(failures).toEqual([{ kind: 'no result', seeds: [lost] }]);
    expect(accuracy).toEqual({ mean: 0.99, n: 1 });
    expect(kinds([lost], { paper: 0.976 })).toEqual(['no result']);
  });

  it('lists a method without a limit and does not judge it', () => {
    const lost: SeedResult = { seed: 2, missing: 'not run' };
    expect(verdict([...seeds(0.1), lost])).toMatchObject({ verdict: 'not judged', failures: [] });
    expect(verdict(seeds(0.1), { paper: 0.976 }).verdict).toBe('not judged');
  });
});
