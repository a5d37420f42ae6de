import { describe, expect, it } from 'vitest';
import {
  type CheckpointInterval,
  CheckpointSchedule,
  everySeconds,
} from '../../../src/experiment/checkpoint/schedule.js';

describe('CheckpointSchedule', () => {
  const clock = { ms: 0 };
  const start = (interval: CheckpointInterval) => {
    clock.ms = 0;
    return new CheckpointSchedule(interval, () => clock.ms);
  };

  it('waits for the interval', () => {
    const schedule = start(everySeconds(1));
    clock.ms = 999;
    expect(schedule.isDue()).toBe(false);
    clock.ms = 1000;
    expect(schedule.isDue()).toBe(true);
    schedule.made(400);
    clock.ms = 1999;
    expect(schedule.isDue()).toBe(false);
  });

  it('takes no more than its share of the time', () => {
    const schedule = start({ seconds: 1, largestShare: 0.02 });
    let spent = 0;
    for (clock.ms = 0; clock.ms < 600_000; clock.ms++) {
      if (!schedule.isDue()) continue;
      clock.ms += 300;
      spent += 300;
      schedule.made(300);
    }
    expect(spent).toBeGreaterThan(0.015 * clock.ms);
    expect(spent).toBeLessThan(0.0201 * clock.ms);
  });

  it('is never due without an interval', () => {
    const schedule = start(everySeconds(0));
    clock.ms = 1e9;
    expect(schedule.isDue()).toBe(false);
  });
});
