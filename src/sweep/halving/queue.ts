import type { Trial } from '../load.js';
import type { Manifest } from '../manifest.js';
import type { SweepPlan } from '../plan.js';
import { type TrialState, writeState } from '../state.js';
import { type SweepStatus, statusOf, type TrialReport } from '../status.js';
import { type Halving, isUnderWay, recordOf, searched } from './record.js';
import { nextJob, type TrialRecord } from './scheduler.js';

/** The trials that a launcher starts. */
export interface TrialQueue {
  /** Whether no trial can be started now; the end of a running one may change that. */
  readonly isEmpty: boolean;
  take(): string | undefined;
  /** Takes note of the state of a trial whose process has ended. */
  ended(state: TrialState): void;
}

/**
 * The trials that a launcher starts now and later, in order.
 * @param start records the target of a trial of a halving search; default: in its state file
 */
export function openQueue(
  { directory, manifest, due }: SweepPlan,
  start = (state: TrialState) => writeState(directory, state),
): TrialQueue {
  const ids = due.map(({ id }) => id);
  if (manifest.halving) return new HalvingQueue(statusOf(directory, manifest), new Set(ids), start);
  return {
    get isEmpty() {
      return ids.length === 0;
    },
    take: () => ids.shift(),
    ended: () => {},
  };
}

/**
 * A plan of the trials that can be started now: all that are due, or of a halving search the new ones and those
 * that the results so far promote. The next launch submits those that its results promote.
 * @param start records the target of a trial
 */
export function startable(plan: SweepPlan, start: (state: TrialState) => void): SweepPlan {
  const queue = openQueue(plan, start);
  const due = new Map(plan.due.map((trial) => [trial.id, trial]));
  const now: Trial[] = [];
  while (!queue.isEmpty) {
    const trial = due.get(queue.take() ?? '');
    if (trial) now.push(trial);
  }
  return { ...plan, due: now };
}

/** The trials of a search in the order in which workers should train them. */
export class HalvingQueue implements TrialQueue {
  readonly #trials: TrialReport[];
  readonly #records: TrialRecord[];
  /** Started earlier, and not at their target: they come first. */
  readonly #left: number[];
  readonly #halving: Halving;
  readonly #metric: Manifest['metric'];

  /**
   * @param status of the sweep now
   * @param due ids of trials that may be continued, also when they failed
   * @param start records the target of a trial, before it is trained
   */
  constructor(
    status: SweepStatus,
    due: ReadonlySet<string>,
    private readonly start: (state: TrialState) => void,
  ) {
    const { halving, metric } = status.manifest;
    if (halving === undefined) throw new Error('not a halving search');
    this.#halving = halving;
    this.#metric = metric;
    this.#trials = searched(status);
    this.#records = this.#trials.map(({ trial, state }) => {
      const again = state.status === 'FAILED' && due.has(trial.id);
      return recordOf(again ? { ...state, status: 'INTERRUPTED' } : state, halving, metric);
    });
    this.#left = this.#trials.flatMap(({ trial, state }, i) =>
      isUnderWay(this.#records[i]) && due.has(trial.id) && state.status !== 'RUNNING' ? [i] : [],
    );
  }

  get isEmpty(): boolean {
    return this.#left.length === 0 && this.#job() === undefined;
  }

  /** The next trial, whose target has been recorded; undefined while there is none. */
  take(): string | undefined {
    const left = this.#left.shift();
    if (left !== undefined) return this.#trials[left].trial.id;
    const job = this.#job();
    if (job === undefined) return undefined;
    const { state } = this.#trials[job.trial];
    this.start({ ...state, target: this.#halving.epochs[job.rung] });
    this.#records[job.trial] = { ...this.#records[job.trial], rung: job.rung };
    return state.id;
  }

  /** Takes note of the end of a trial's process. */
  ended(state: TrialState): void {
    const index = this.#trials.findIndex(({ trial }) => trial.id === state.id);
    if (index < 0) return;
    this.#trials[index] = { ...this.#trials[index], state };
    this.#records[index] = recordOf(state, this.#halving, this.#metric);
  }

  #job() {
    return nextJob(this.#records, this.#halving.epochs.length, this.#halving.eta);
  }
}
