import { setTimeout as sleep } from 'node:timers/promises';
import { refuseIfLost } from '../../files/lock.js';
import { availableMemory, peakMemory } from '../../shared/memory.js';
import { sizeText } from '../../shared/text.js';
import { openQueue } from '../halving/queue.js';
import type { Launcher, LaunchResult } from '../launcher.js';
import { sweepPaths } from '../paths.js';
import type { TrialState } from '../state.js';
import { startTrial, type TrialProcess } from './child.js';

/** Interval of memory checks, in ms. */
const tick = 500;

/** Runs each trial on this machine in a process of its own, so that a crash fails only one trial. */
export const localLauncher: Launcher = async (plan, options, emit) => {
  const { gpus = [], flags, signal, failFast, stopAfter } = options;
  const jobs =
    gpus.length > 0 ? Math.min(options.jobs ?? gpus.length, gpus.length) : (options.jobs ?? 1);
  const queue = openQueue(plan);
  const freeGpus = [...gpus];
  const running = new Map<string, TrialProcess>();
  const memory = new MemoryGuard();
  const failures = new FailureCounter(failFast ? 1 : stopAfter, failFast);
  let stopped: LaunchResult['stopped'];
  let launcherError: unknown;
  let hasWarned = false;

  /** Starts no new trial; the running ones write a checkpoint and exit. */
  const stop = (why: LaunchResult['stopped']) => {
    stopped ??= why;
    for (const trial of running.values()) trial.stop();
  };
  const start = (id: string) => {
    const gpu = freeGpus.shift();
    const onProgress = (share: number) => emit({ type: 'trial-progress', id, share });
    const trial = startTrial(plan.directory, id, { flags, gpu }, onProgress);
    running.set(id, trial);
    emit({ type: 'trial-started', id, gpu });
    const release = () => {
      running.delete(id);
      if (gpu !== undefined) freeGpus.push(gpu);
    };
    trial.ended.then(
      (state) => {
        release();
        end(state);
      },
      (error) => {
        release();
        launcherError ??= error;
        stop('failures');
      },
    );
  };
  const end = (state: TrialState) => {
    queue.ended(state);
    emit({ type: 'trial-ended', state });
    if (state.status !== 'FAILED') return;
    const reason = failures.add(state.error ?? '');
    if (reason === undefined || stopped) return;
    emit({ type: 'warning', message: reason });
    stop('failures');
  };
  const startWhatFits = () => {
    while (stopped === undefined && !queue.isEmpty && running.size < jobs) {
      if (memory.allows(running.size)) start(queue.take() as string);
      else {
        const message =
          `${running.size} of ${jobs} trials run at a time: there is not enough free memory for another, which may need ` +
          `${sizeText(memory.need)}. More are started as memory becomes free`;
        if (!hasWarned) emit({ type: 'warning', message });
        hasWarned = true;
        return;
      }
    }
  };

  const interrupt = () => stop('interrupted');
  signal?.addEventListener('abort', interrupt);
  try {
    if (signal?.aborted) interrupt();
    while (running.size > 0 || (stopped === undefined && !queue.isEmpty)) {
      refuseIfLost(sweepPaths(plan.directory).manifest);
      startWhatFits();
      memory.observe([...running.values()].flatMap(({ pid }) => pid ?? []));
      const ends = [...running.values()].map(({ ended }) => ended.catch(() => {}));
      await Promise.race([...ends, sleep(tick)]);
    }
    if (launcherError) throw launcherError;
    return { stopped };
  } finally {
    signal?.removeEventListener('abort', interrupt);
    // Trials still run only if this function throws.
    for (const trial of running.values()) trial.stop();
  }
};

/** Counts trials that failed for the same reason, to stop a sweep in which every trial would fail. */
export class FailureCounter {
  readonly #counts = new Map<string, number>();

  /**
   * @param limit number of failures that stops the sweep; undefined for no limit
   * @param any count failures for different reasons together
   */
  constructor(
    private readonly limit: number | undefined,
    private readonly any = false,
  ) {}

  /** @returns why the sweep stops, in one sentence; undefined while it continues */
  add(error: string): string | undefined {
    const reason = this.any ? '' : withoutDetails(error);
    const count = (this.#counts.get(reason) ?? 0) + 1;
    this.#counts.set(reason, count);
    if (this.limit === undefined || count < this.limit) return undefined;
    return this.any
      ? 'a trial failed: no more are started'
      : `${count} trials failed for the same reason: no more are started. ${error}`;
  }
}

/** Replaces numbers, hashes and paths, which differ between trials. */
const withoutDetails = (error: string): string =>
  error
    .replace(/\S*\/\S+/g, 'PATH')
    .replace(/\b[0-9a-f]{12}\b/g, 'ID')
    .replace(/[-+]?\d+(\.\d+)?(e[-+]?\d+)?/gi, 'N');

/** Assumed memory of a trial before any has been measured, in bytes. */
const firstGuess = 1e9;
/** A trial may need more than earlier ones by this factor. */
const margin = 1.2;

/** Delays trials while there is not enough free memory for another. */
export class MemoryGuard {
  #peak = 0;

  constructor(private readonly available: () => number = availableMemory) {}

  /** Records the peak memory of running trials. */
  observe(pids: readonly number[], peak: (pid: number) => number = peakMemory): void {
    for (const pid of pids) this.#peak = Math.max(this.#peak, peak(pid));
  }

  /** Bytes that another trial may need. */
  get need(): number {
    return margin * (this.#peak || firstGuess);
  }

  /** @param running number of running trials; the first one always starts, since waiting would not help */
  allows(running: number): boolean {
    return running === 0 || this.available() >= this.need;
  }
}
