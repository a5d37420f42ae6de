import { describe, expect, it } from 'vitest';
import { TimeLeft } from '../../src/cli/render/time-left.js';

/** Two seeds of two methods, `fast` of 1 s and `slow` of 10 s a batch, and 100 batches each, after a set-up of 50 s. */
function experiment() {
  let now = 0;
  const left = new TimeLeft(() => 1000 * now);
  const runs = ['fast', 'slow', 'fast', 'slow'];
  const start = (index: number, done = 0, stopAt?: number) => {
    const queued = runs.slice(index + 1).map((label) => ({ label, batches: 100 }));
    const run = { label: runs[index], seed: 1 };
    left.start({ type: 'run-started', run, index, runs: 4, batches: 100, done, stopAt, queued });
    now += 50;
  };
  const train = (seconds: number, from: number, to: number) => {
    for (let batch = from; batch <= to; batch++) {
      now += seconds;
      left.batch(batch);
    }
  };
  return { left, start, train };
}

describe('the time left', () => {
  it('is that of the batches left, at the rate so far without the set-up', () => {
    const { left, start, train } = experiment();
    start(3);
    expect(left.seconds()).toBeUndefined();
    train(10, 1, 1);
    expect(left.seconds()).toBeUndefined();
    train(10, 2, 20);
    expect(left.seconds()).toEqual({ run: 800, all: 800 });
    expect(left.text()).toBe('13 min left');
  });

  it('counts the runs to come at the rate of their method, or the mean of those seen', () => {
    const { left, start, train } = experiment();
    start(0);
    train(1, 1, 40);
    expect(left.seconds()).toEqual({ run: 60, all: 60 + 3 * 100 });
    train(1, 41, 100);
    start(1);
    train(10, 1, 50);
    expect(left.seconds()).toEqual({ run: 500, all: 500 + 100 + 1000 });
    expect(left.text()).toBe('8.3 min left, all runs 27 min');
  });

  it('takes a method at its rate in an earlier run before the run has one of its own', () => {
    const { left, start, train } = experiment();
    start(0);
    train(1, 1, 100);
    start(2);
    expect(left.seconds()?.run).toBe(100);
    train(1, 1, 97);
    expect(left.text()).toBe('3 s left, all runs 1.7 min');
  });

  it('ends at a pause, starts at a checkpoint, and is not told where it is short', () => {
    const { left, start, train } = experiment();
    start(3, 50, 60);
    train(10, 51, 52);
    expect(left.seconds()).toEqual({ run: 80, all: 80 });
    train(10, 53, 60);
    expect(left.text()).toBe('');
  });
});
