import { describe, expect, it } from 'vitest';
import { fillDisks } from '../../scripts/robustness/full-disk.js';
import { killAndResume } from '../../scripts/robustness/kill-and-resume.js';

/** Small editions of scripts/kill-and-resume.ts and scripts/full-disk.ts; they run the built program. */
describe('training that is stopped', () => {
  it('loses nothing to kill -9 at random instants, with any method', {
    timeout: 300_000,
  }, async () => {
    const { failures, ...figures } = await killAndResume(11, 3);
    expect(failures).toEqual([]);
    expect(figures).toMatchObject({ resumed: 11, identical: 11, unreadable: 0, lostBatches: 0 });
    expect(figures.checkpoints).toBeGreaterThan(0);
  });

  it('leaves no corrupt file on a full disk, and goes on', { timeout: 300_000 }, async (test) => {
    const figures = await fillDisks(6, 5);
    if (figures === undefined) return test.skip('no small disk can be mounted here: needs root');
    expect(figures.failures).toEqual([]);
    expect(figures.full).toBeGreaterThan(0);
    expect(figures).toMatchObject({ explained: figures.full, identical: figures.full, corrupt: 0 });
  });
});
