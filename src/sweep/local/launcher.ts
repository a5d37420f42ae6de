import { setTimeout as sleep } from 'node:timers/promises';
import { refuseIfLost } from '../../files/lock.js';
import { availableMemory, peakMemory } from '../../shared/memory.js';
import { sizeText } from '../../shared/text.js';
import type { Launcher, LaunchOptions, LaunchResult, SweepEvent } from '../launcher.js';
import { sweepPaths } from '../paths.js';
import type { SweepPlan } from '../plan.js';
import type { TrialState } from '../state.js';
import { TrialProcess } from './child.js';

/** How often memory is looked at, in ms. */
const tick = 500;

/**
 * Runs trials on this machine, each in a process of its own, so that one that crashes is one failed
 * trial.
 */
export const localLauncher: Launcher = (plan, options, emit) =>
  new LocalLaunch(plan, options, emit).run();

class LocalLaunch {
  readonly #running = new Map<string, TrialProcess>();
  readonly #freeGpus: string[];
  readonly #memory = new MemoryGuard();
  readonly #failures: FailureCounter;
  readonly #queue: string[];
  readonly #jobs: number;
  #stopped: LaunchResult['stopped'];
  #hasWarned = false;
  #broken: unknown;

  constructor(
    private readonly plan: SweepPlan,
    private readonly options: LaunchOptions,
    private readonly emit: (event: SweepEvent) => void,
  ) {
    this.#queue = plan.due.map(({ id }) => id);
    const { gpus = [] } = options;
    this.#freeGpus = [...gpus];
    const jobs = options.jobs ?? Math.max(1, gpus.length);
    this.#jobs = gpus.length > 0 ? Math.min(jobs, gpus.length) : jobs;
    this.#failures = new FailureCounter(options.failFast ? 1 : options.stopAfter, options.failFast);
  }

  async run(): Promise<LaunchResult> {
    const { signal } = this.options;
    const interrupt = () => this.#stop('interrupted');
    signal?.addEventListener('abort', interrupt);
    try {
      if (signal?.aborted) interrupt();
      while (this.#hasWork()) {
        refuseIfLost(sweepPaths(this.plan.directory).manifest);
        this.#startWhatFits();
        this.#memory.observe([...this.#running.values()].flatMap(({ pid }) => pid ?? []));
        const ends = [...this.#running.values()].map(({ ended }) => ended.catch(() => {}));
        await Promise.race([...ends, sleep(tick, undefined, { ref: true })]);
      }
      if (this.#broken) throw this.#broken;
      return { stopped: this.#stopped };
    } finally {
      signal?.removeEventListener('abort', interrupt);
      // Only where this launcher itself has failed.
      for (const trial of this.#running.values()) trial.stop();
    }
  }

  #hasWork(): boolean {
    return this.#running.size > 0 || (this.#stopped === undefined && this.#queue.length > 0);
  }

  #startWhatFits(): void {
    while (
      this.#stopped === undefined &&
      this.#queue.length > 0 &&
      this.#running.size < this.#jobs
    ) {
      if (!this.#memory.allows(this.#running.size)) {
        if (!this.#hasWarned) this.emit({ type: 'warning', message: this.#shortOfMemory() });
        this.#hasWarned = true;
        return;
      }
      this.#start(this.#queue.shift() as string);
    }
  }

  #start(id: string): void {
    const gpu = this.#freeGpus.shift();
    const { flags } = this.options;
    const trial = TrialProcess.start(this.plan.directory, id, { flags, gpu }, (share) =>
      this.emit({ type: 'trial-progress', id, share }),
    );
    this.#running.set(id, trial);
    this.emit({ type: 'trial-started', id, gpu });
    const over = () => {
      this.#running.delete(id);
      if (gpu !== undefined) this.#freeGpus.push(gpu);
    };
    trial.ended.then(
      (state) => {
        over();
        this.#end(state);
      },
      (error) => {
        over();
        this.#broken ??= error;
        this.#stop('failures');
      },
    );
  }

  #end(state: TrialState): void {
    this.emit({ type: 'trial-ended', state });
    if (state.status !== 'FAILED') return;
    const reason = this.#failures.add(state.error ?? '');
    if (reason === undefined || this.#stopped) return;
    this.emit({ type: 'warning', message: reason });
    this.#stop('failures');
  }

  /** No new trial starts; those that run write a checkpoint and end. */
  #stop(why: LaunchResult['stopped']): void {
    this.#stopped ??= why;
    for (const trial of this.#running.values()) trial.stop();
  }

  #shortOfMemory(): string {
    return (
      `${this.#running.size} of ${this.#jobs} trials at a time: one more may need ${sizeText(this.#memory.need)} of memory, ` +
      'which are not free. Others start as memory becomes free'
    );
  }
}

/** Counts trials that failed for the same reason, to stop a sweep that is wrong as a whole. */
export class FailureCounter {
  readonly #counts = new Map<string, number>();

  /**
   * @param limit failures that stop the sweep; undefined for never
   * @param any whether failures for different reasons count together
   */
  constructor(
    private readonly limit: number | undefined,
    private readonly any = false,
  ) {}

  /** @returns why the sweep is to stop, in one sentence; undefined while it is not */
  add(error: string): string | undefined {
    const reason = this.any ? '' : sameWords(error);
    const count = (this.#counts.get(reason) ?? 0) + 1;
    this.#counts.set(reason, count);
    if (this.limit === undefined || count < this.limit) return undefined;
    return this.any
      ? 'a trial failed: no more are started'
      : `${count} trials failed for the same reason: no more are started. ${error}`;
  }
}

/** Without numbers, hashes and paths, which differ between trials. */
const sameWords = (error: string): string =>
  error
    .replace(/\S*\/\S+/g, 'PATH')
    .replace(/\b[0-9a-f]{12}\b/g, 'ID')
    .replace(/[-+]?\d+(\.\d+)?(e[-+]?\d+)?/gi, 'N');

/** What a trial is taken to need before one was seen. */
const firstGuess = 1e9;
/** A trial may grow beyond what others have needed. */
const margin = 1.2;

/** Holds trials back while there is not memory enough for one more. */
export class MemoryGuard {
  #seen = 0;

  constructor(private readonly available: () => number = availableMemory) {}

  /** Takes note of what running trials have needed. */
  observe(pids: readonly number[], peak: (pid: number) => number = peakMemory): void {
    for (const pid of pids) this.#seen = Math.max(this.#seen, peak(pid));
  }

  /** Bytes that one more trial may need. */
  get need(): number {
    return margin * (this.#seen || firstGuess);
  }

  /** @param running trials; one alone is always let in, since waiting would not help it */
  allows(running: number): boolean {
    return running === 0 || this.available() >= this.need;
  }
}
