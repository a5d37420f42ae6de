import { setTimeout as sleep } from 'node:timers/promises';
import { refuseIfLost } from '../../files/lock.js';
import { sizeText } from '../../shared/size.js';
import type { SweepEvent } from '../events.js';
import type { Launcher, LaunchOptions, LaunchResult } from '../launcher.js';
import { sweepPaths } from '../paths.js';
import type { SweepPlan } from '../plan.js';
import type { TrialState } from '../state.js';
import { TrialProcess } from './child.js';
import { FailureCounter } from './failures.js';
import { MemoryGuard } from './memory-guard.js';

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
