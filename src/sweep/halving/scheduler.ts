/**
 * Asynchronous successive halving: which trial to train next, and how far.
 *
 * ASHA, Algorithm 2 of Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020): a trial is
 * trained up to a rung, a number of epochs that grows by the factor eta from rung to rung. As soon as a trial is among the best
 * 1/eta of the results of its rung, it may be trained up to the next one; a worker without a promotion starts a new
 * trial. No worker waits for a rung to be complete.
 *
 * Two differences, which bound the cost and keep the best trial:
 * - A rung with n results promotes at most floor(n / eta) trials in total. In ASHA, trials that were promoted early and
 *   were overtaken later do not count.
 * - The last place is given away when the rung is closed (no further result can arrive), so that the best
 *   result of a rung is always promoted, even when it arrives last. A closed rung with fewer than eta results promotes
 *   its best, so that at least one trial is trained in full.
 *
 * Everything here is a function of the record of results: it has no clock, no random numbers and no memory.
 */

/** The record of a trial. */
export interface TrialRecord {
  /** The last rung it was started for, from 0; -1 before it is started. */
  readonly rung: number;
  /** Values at the rungs it has reached, rung 0 first; larger is better, NaN where it failed. */
  readonly values: readonly number[];
}

/** Train trial number `trial` up to rung `rung`. */
export interface Job {
  readonly trial: number;
  readonly rung: number;
}

export interface Rung {
  /** Trials that were started for this rung. */
  readonly started: number;
  /** Trials with a result here, failed ones included. */
  readonly results: number;
  /** Trials that were started for the next rung. */
  readonly promoted: number;
  /** Trials that may be promoted with the results so far. */
  readonly places: number;
  /** No further result can arrive. */
  readonly isClosed: boolean;
  /** The best trial that waits here. */
  readonly candidate?: number;
}

/**
 * The numbers of epochs of the rungs: `least` times powers of eta, then `epochs`. A rung that would
 * be closer to the last than a factor of sqrt(eta) is left out, since its ranking would save little.
 */
export function rungEpochs(least: number, epochs: number, eta: number): number[] {
  const rungs: number[] = [];
  for (let rung = least; rung * Math.sqrt(eta) <= epochs; rung *= eta) {
    if (rung < epochs) rungs.push(rung);
  }
  return [...rungs, epochs];
}

/** The largest number of trials that can reach each of `rungs` rungs. */
export function mostTrials(trials: number, rungs: number, eta: number): number[] {
  const most = [trials];
  while (most.length < rungs) most.push(Math.max(1, Math.floor(most[most.length - 1] / eta)));
  return trials === 0 ? most.fill(0) : most;
}

/** The state of each rung. */
export function surveyRungs(trials: readonly TrialRecord[], rungs: number, eta: number): Rung[] {
  const counts = Array.from({ length: rungs }, () => ({
    started: 0,
    results: 0,
    candidate: undefined as number | undefined,
  }));
  for (const [trial, { rung, values }] of trials.entries()) {
    for (let k = 0; k <= rung; k++) {
      counts[k].started++;
      if (values.length > k) counts[k].results++;
    }
    const value = values[rung];
    // NaN and a missing value are no candidates.
    if (rung < 0 || !(value >= Number.NEGATIVE_INFINITY)) continue;
    const { candidate } = counts[rung];
    // Of equal values, that of the first trial.
    if (candidate === undefined || value > trials[candidate].values[rung]) {
      counts[rung].candidate = trial;
    }
  }
  const survey: Rung[] = [];
  for (const [k, { started, results, candidate }] of counts.entries()) {
    const below = survey[k - 1];
    const mayGrow = below ? !below.isClosed || hasPromotion(below) : started < trials.length;
    const isClosed = !mayGrow && results === started;
    const promoted = counts[k + 1]?.started ?? 0;
    const share = Math.floor(results / eta);
    // At least so many results will arrive: later failures below may leave no more.
    const least = k === 0 ? trials.length : started;
    const open = Math.min(share, Math.floor(least / eta) - 1);
    const places = isClosed ? (results > 0 ? Math.max(1, share) : 0) : Math.max(0, open);
    const isLast = k === rungs - 1;
    survey.push({ started, results, promoted, places: isLast ? 0 : places, isClosed, candidate });
  }
  return survey;
}

const hasPromotion = ({ promoted, places, candidate }: Rung): boolean =>
  promoted < places && candidate !== undefined;

/**
 * The job that a free worker should do: a promotion, the highest rung first, or the next new trial.
 * @returns undefined when there is none until a running trial ends; when none runs, the search has ended
 */
export function nextJob(
  trials: readonly TrialRecord[],
  rungs: number,
  eta: number,
): Job | undefined {
  const survey = surveyRungs(trials, rungs, eta);
  for (let k = rungs - 2; k >= 0; k--) {
    const { candidate } = survey[k];
    if (candidate !== undefined && hasPromotion(survey[k]))
      return { trial: candidate, rung: k + 1 };
  }
  const fresh = trials.findIndex(({ rung }) => rung < 0);
  return fresh < 0 ? undefined : { trial: fresh, rung: 0 };
}

/** Epochs of training: of each rung, the trials that reach it times the epochs since the rung before. */
export const epochsOf = (reaching: readonly number[], epochs: readonly number[]): number =>
  reaching.reduce((sum, trials, k) => sum + trials * (epochs[k] - (epochs[k - 1] ?? 0)), 0);
