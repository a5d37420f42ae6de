import type { ExperimentEvent } from '../../experiment/events.js';
import { runningTime } from '../../shared/running-time.js';
import { duration } from '../../shared/text.js';

type Started = Extract<ExperimentEvent, { type: 'run-started' }>;

/** Less is not worth telling, in seconds. */
const shortest = 10;

/**
 * Estimates how long an experiment still takes: the time per batch of a run so far, evaluation and checkpoints
 * included, times the batches that are left. Runs to come take as long a batch as earlier runs of their method in
 * this session, and as the mean of the other methods where there was none.
 */
export class TimeLeft {
  /** Seconds per batch by label. */
  readonly #rates = new Map<string, number>();
  #run: Pick<Started, 'run' | 'queued'> | undefined;
  #end = 0;
  #batch = 0;
  /** The first batch that was seen, and when: what comes before it is set-up. */
  #first: { readonly batch: number; readonly at: number } | undefined;

  /** @param now in ms */
  constructor(private readonly now: () => number = runningTime) {}

  start({ run, queued, batches, done, stopAt = batches }: Started): void {
    this.#run = { run, queued };
    this.#end = Math.min(batches, stopAt);
    this.#batch = done;
    this.#first = undefined;
  }

  batch(batch: number): void {
    this.#batch = batch;
    const at = this.now();
    this.#first ??= { batch, at };
    if (batch === this.#first.batch || this.#run === undefined) return;
    const rate = (at - this.#first.at) / 1000 / (batch - this.#first.batch);
    this.#rates.set(this.#run.run.label, rate);
  }

  /** Seconds until the run ends, and until all do; undefined before there is anything to go by. */
  seconds(): { readonly run: number; readonly all: number } | undefined {
    if (this.#run === undefined) return undefined;
    const { run: current, queued } = this.#run;
    const own = this.#rates.get(current.label);
    if (own === undefined) return undefined;
    const rates = [...this.#rates.values()];
    const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
    const run = own * (this.#end - this.#batch);
    const others = queued.map(({ label, batches }) => batches * (this.#rates.get(label) ?? mean));
    return { run, all: others.reduce((sum, seconds) => sum + seconds, run) };
  }

  /** `5.2 min left`, `5.2 min left, all runs 1.3 h`; empty where it is short or unknown. */
  text(): string {
    const left = this.seconds();
    if (left === undefined || left.all < shortest) return '';
    const own = `${rounded(left.run)} left`;
    return this.#run?.queued.length ? `${own}, all runs ${rounded(left.all)}` : own;
  }
}

/** Whole seconds: an estimate has no more digits. */
const rounded = (seconds: number): string =>
  seconds < 100 ? `${Math.ceil(seconds)} s` : duration(seconds);
