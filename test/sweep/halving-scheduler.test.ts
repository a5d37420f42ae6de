import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.js';
import {
  epochsOf,
  mostTrials,
  nextJob,
  rungEpochs,
  surveyRungs,
  type TrialRecord,
} from '../../src/sweep/halving/scheduler.js';

interface Search {
  readonly records: TrialRecord[];
  /** Every job, in the order in which it was started. */
  readonly jobs: { trial: number; rung: number }[];
}

/**
 * A whole search with `workers` workers.
 * @param value of a trial at a rung; NaN: it fails
 * @param duration of a job: those that run end in the order of their end times
 * @param check called after every change
 */
function search(
  trials: number,
  rungs: number,
  eta: number,
  value: (trial: number, rung: number) => number,
  {
    workers = 1,
    duration = () => 1,
    check = () => {},
    from,
  }: {
    workers?: number;
    duration?: (trial: number, rung: number) => number;
    check?: (records: readonly TrialRecord[]) => void;
    from?: readonly TrialRecord[];
  } = {},
): Search {
  const records: { rung: number; values: number[] }[] = Array.from({ length: trials }, (_, i) => ({
    rung: from?.[i].rung ?? -1,
    values: [...(from?.[i].values ?? [])],
  }));
  const jobs: Search['jobs'] = [];
  const running: { trial: number; rung: number; end: number }[] = [];
  let now = 0;
  const start = (trial: number, rung: number) => {
    running.push({ trial, rung, end: now + duration(trial, rung) });
    jobs.push({ trial, rung });
  };
  // What had been started and not ended is continued first.
  for (const [trial, { rung, values }] of records.entries()) {
    if (values.length <= rung) start(trial, rung);
  }
  for (;;) {
    while (running.length < workers) {
      const job = nextJob(records, rungs, eta);
      if (job === undefined) break;
      records[job.trial].rung = job.rung;
      start(job.trial, job.rung);
      check(records);
    }
    running.sort((a, b) => a.end - b.end);
    const ended = running.shift();
    if (ended === undefined) return { records, jobs };
    now = ended.end;
    records[ended.trial].values.push(value(ended.trial, ended.rung));
    check(records);
  }
}

const reached = ({ records }: Search, rungs: number) =>
  Array.from({ length: rungs }, (_, k) => records.filter(({ rung }) => rung >= k).length);

describe('rungs', () => {
  it.each([
    [1, 27, 3, [1, 3, 9, 27]],
    [1, 10, 3, [1, 3, 10]],
    [1, 26, 3, [1, 3, 9, 26]],
    [2, 16, 2, [2, 4, 8, 16]],
    [5, 6, 3, [6]],
    [4, 10, 2, [4, 10]],
    [1, 2, 3, [1, 2]],
  ])('from %i to %i epochs with eta %i are %j', (least, epochs, eta, rungs) => {
    expect(rungEpochs(least, epochs, eta)).toEqual(rungs);
  });

  it('are reached by at most 1/eta of those of the rung before, and at least by one', () => {
    expect(mostTrials(81, 4, 3)).toEqual([81, 27, 9, 3]);
    expect(mostTrials(5, 3, 3)).toEqual([5, 1, 1]);
    expect(epochsOf([81, 27, 9, 3], [1, 3, 9, 27])).toBe(81 + 27 * 2 + 9 * 6 + 3 * 18);
  });
});

describe('a search', () => {
  it('promotes as soon as a third of a rung is known, the highest rung first', () => {
    const { jobs } = search(9, 3, 3, (trial, rung) => [4, 1, 2, 9, 3, 5, 8, 7, 6][trial] + rung);
    expect(jobs.map(({ trial, rung }) => `${trial}@${rung}`).join(' ')).toBe(
      '0@0 1@0 2@0 0@1 3@0 4@0 5@0 3@1 6@0 7@0 8@0 6@1 3@2',
    );
  });

  it('takes the first of equal trials, and never one that failed or has no value', () => {
    const equal = search(9, 2, 3, () => 1);
    expect(equal.records.flatMap(({ rung }, i) => (rung === 1 ? [i] : []))).toEqual([0, 1, 2]);
    const broken = search(9, 3, 3, (trial) => (trial === 4 ? 0.1 : Number.NaN));
    expect(broken.records.map(({ rung }) => rung)).toEqual([0, 0, 0, 0, 2, 0, 0, 0, 0]);
    expect(
      reached(
        search(9, 3, 3, () => Number.NaN),
        3,
      ),
    ).toEqual([9, 0, 0]);
    // A failure counts as a result: it costs others no place.
    const some = search(9, 2, 3, (trial) => (trial < 3 ? Number.NaN : trial));
    expect(reached(some, 2)).toEqual([9, 3]);
  });

  it('promotes the best of a rung even when it arrives last and there is no whole third for it', () => {
    for (const trials of [8, 10, 11, 80]) {
      const { records } = search(trials, 3, 3, (trial) => trial);
      expect(records.at(-1)?.rung, `${trials} trials`).toBe(2);
    }
  });

  it('trains at least one trial in full, however few there are', () => {
    expect(
      reached(
        search(2, 4, 3, (trial) => trial),
        4,
      ),
    ).toEqual([2, 1, 1, 1]);
    expect(
      reached(
        search(1, 3, 3, () => 0),
        3,
      ),
    ).toEqual([1, 1, 1]);
  });
});

/** Any number of trials, rungs, workers and failures; values and durations by hash of a seed. */
const setting = fc.record({
  trials: fc.integer({ min: 1, max: 60 }),
  rungs: fc.integer({ min: 1, max: 5 }),
  eta: fc.integer({ min: 2, max: 5 }),
  workers: fc.integer({ min: 1, max: 12 }),
  seed: fc.integer({ min: 1, max: 1e6 }),
  /** Share of jobs that fail. */
  failing: fc.constantFrom(0, 0.1, 0.6),
});

const drawn = (seed: number, name: string) => (trial: number, rung: number) =>
  new Random(seed, `${name} ${trial} ${rung}`).uniform();

const valueIn =
  ({ seed, failing }: { seed: number; failing: number }) =>
  (trial: number, rung: number) =>
    drawn(seed, 'failure')(trial, rung) < failing
      ? Number.NaN
      : // Few distinct values: ties are common.
        Math.floor(8 * drawn(seed, 'value')(trial, rung));

describe('whatever the order in which trials end', () => {
  it('at most floor(n / eta) of a rung are promoted, or the one best of a closed rung', () => {
    fc.assert(
      fc.property(setting, (given) => {
        const { trials, rungs, eta, workers, seed } = given;
        search(trials, rungs, eta, valueIn(given), {
          workers,
          duration: drawn(seed, 'duration'),
          check(records) {
            for (const rung of surveyRungs(records, rungs, eta)) {
              const most = Math.floor(rung.results / eta);
              const allowed = rung.isClosed && rung.results > 0 ? Math.max(1, most) : most;
              if (rung.promoted > allowed) throw new Error(`${rung.promoted} of ${rung.results}`);
            }
          },
        });
      }),
      { numRuns: 150 },
    );
  });

  it('no trial is lost: all are started, every place is filled, the best of a rung is promoted', () => {
    fc.assert(
      fc.property(setting, (given) => {
        const { trials, rungs, eta, workers, seed } = given;
        const duration = drawn(seed, 'duration');
        const { records, jobs } = search(trials, rungs, eta, valueIn(given), { workers, duration });
        expect(records.every(({ rung, values }) => values.length === rung + 1)).toBe(true);
        // Each job once, and each trial rung by rung.
        expect(new Set(jobs.map(({ trial, rung }) => `${trial} ${rung}`)).size).toBe(jobs.length);
        for (const [k, rung] of surveyRungs(records, rungs, eta).entries()) {
          expect(rung.isClosed).toBe(true);
          if (k === rungs - 1) continue;
          const here = records.filter(({ values }) => values.length > k);
          const finite = here.filter(({ values }) => Number.isFinite(values[k]));
          const places = Math.max(1, Math.floor(here.length / eta));
          expect(rung.promoted).toBe(Math.min(places, finite.length));
          const best = Math.max(...finite.map(({ values }) => values[k]));
          const winners = finite.filter(({ values }) => values[k] === best);
          if (winners.length > 0) expect(winners.some(({ rung }) => rung > k)).toBe(true);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('a search that is stopped at any moment and replayed from its record ends as if it had not been', () => {
    fc.assert(
      fc.property(setting, fc.double({ min: 0, max: 1, noNaN: true }), (given, moment) => {
        const { trials, rungs, eta } = given;
        const snapshots: TrialRecord[][] = [];
        const keep = (records: readonly TrialRecord[]) =>
          snapshots.push(records.map(({ rung, values }) => ({ rung, values: [...values] })));
        const whole = search(trials, rungs, eta, valueIn(given), { check: keep });
        const from = snapshots[Math.floor(moment * (snapshots.length - 1))];
        const resumed = search(trials, rungs, eta, valueIn(given), { from });
        expect(resumed.records).toEqual(whole.records);
      }),
      { numRuns: 150 },
    );
  });
});

/**
 * A planted landscape: 81 trials with learning curves final - gap t^(-speed), t in epochs of 81, and noise in
 * every measurement.
 */
function landscape(seed: number, { crossing, noise }: { crossing: boolean; noise: number }) {
  const random = new Random(seed, 'landscape');
  const curves = Array.from({ length: 81 }, () => {
    const quality = random.uniform();
    return {
      final: 0.98 - 0.3 * quality ** 0.7,
      gap: crossing ? 0.1 + 0.8 * random.uniform() : 0.3,
      // The curves of slow trials cross those of fast ones.
      speed: crossing ? 0.4 + 0.8 * random.uniform() : 0.7,
    };
  });
  const truth = (trial: number, epoch: number) => {
    const { final, gap, speed } = curves[trial];
    return final - gap * epoch ** -speed;
  };
  const measured = (trial: number, epoch: number) =>
    truth(trial, epoch) + noise * new Random(seed, `noise ${trial} ${epoch}`).normal();
  return { truth: (trial: number) => truth(trial, 81), measured };
}

describe('on planted learning curves of 81 trials', () => {
  const epochs = rungEpochs(3, 81, 3);
  const all = Array.from({ length: 81 }, (_, trial) => trial);
  const bestOf = (trials: readonly number[], value: (trial: number) => number) =>
    trials.reduce((best, trial) => (value(trial) > value(best) ? trial : best));

  /** Of 50 seeds, those in which each search chooses the best of 81, and its mean loss of final value. */
  const seeds = 50;
  function compare(kind: { crossing: boolean; noise: number }, workers: number) {
    const found = { halving: 0, full: 0, budget: 0, regret: 0 };
    for (let seed = 1; seed <= seeds; seed++) {
      const { truth, measured } = landscape(seed, kind);
      const result = search(81, epochs.length, 3, (trial, k) => measured(trial, epochs[k]), {
        workers,
        duration: (trial, k) =>
          (epochs[k] - (epochs[k - 1] ?? 0)) * (0.5 + drawn(seed, 'duration')(trial, k)),
      });
      const finished = all.filter((trial) => result.records[trial].values.length === epochs.length);
      const best = bestOf(all, truth);
      const chosen = bestOf(finished, (trial) => result.records[trial].values.at(-1)!);
      const chosenByFull = bestOf(all, (trial) => measured(trial, 81));
      found.halving += Number(chosen === best);
      found.full += Number(chosenByFull === best);
      found.regret += (truth(best) - truth(chosen)) / seeds;
      const spent = epochsOf(reached(result, epochs.length), epochs);
      found.budget = Math.max(found.budget, spent / (81 * 81));
    }
    return found;
  }

  it.each([
    ['keep their order', { crossing: false, noise: 0 }, 50, 50],
    ['cross', { crossing: true, noise: 0 }, 49, 50],
    ['keep their order, measured with noise', { crossing: false, noise: 0.005 }, 34, 33],
    ['cross, measured with noise', { crossing: true, noise: 0.005 }, 43, 45],
  ])(
    'that %s: finds the best as often as a full search, with a ninth of its budget',
    (_, kind, halving, full) => {
      for (const workers of [1, 8]) {
        const found = compare(kind, workers);
        expect(found.full).toBe(full);
        expect(found.halving).toBeGreaterThanOrEqual(halving);
        expect(found.budget).toBeCloseTo(1 / 9, 12);
        // Of accuracies that differ by up to 0.3.
        expect(found.regret).toBeLessThan(0.0013);
      }
    },
  );
});
