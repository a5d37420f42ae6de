import { describe, expect, it } from 'vitest';
import { fillDisks } from '../../scripts/robustness/full-disk.js';
import { killAndResume } from '../../scripts/robustness/kill-and-resume.js';
import { interruptSweep } from '../../scripts/robustness/sweep-interruptions.js';

/** Small editions of scripts that stop the built program: kill-and-resume, full-disk, sweep-interruptions. */
describe('training that is stopped', () => {
  it('loses nothing to kill -9 at random instants, with any method', async () => {
    const { failures, ...figures } = await killAndResume(11, 3);
    expect(failures).toEqual([]);
    expect(figures).toMatchObject({ resumed: 11, identical: 11, unreadable: 0, lostBatches: 0 });
    expect(figures.checkpoints).toBeGreaterThan(0);
  });

  it('leaves no corrupt file on a full disk, and goes on', async (test) => {
    const figures = await fillDisks(6, 5);
    if (figures === undefined) return test.skip('no small disk can be mounted here: needs root');
    expect(figures.failures).toEqual([]);
    expect(figures.full).toBeGreaterThan(0);
    expect(figures).toMatchObject({ explained: figures.full, identical: figures.full, corrupt: 0 });
  });
});

it('a sweep finishes each trial exactly once, however it is interrupted', async () => {
  const figures = await interruptSweep(12, 4, 2);
  expect(figures).toMatchObject({ completed: 12, notOnce: 0, unreadable: 0, incomplete: 0 });
  expect(Object.values(figures.interruptions).reduce((a, b) => a + b)).toBe(4);
});
