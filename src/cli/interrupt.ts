import { ExitCode } from '../errors.js';
import { isUnderNohup, npmIsParent, watchNpm } from './parent.js';

/** Why work was interrupted: the reason of the abort signal. */
export class Interruption extends Error {
  override name = 'Interruption';

  /** @param by a signal, or the end of the npm that this process belongs to */
  constructor(readonly by: NodeJS.Signals | 'npm') {
    super(by === 'npm' ? 'npm, which started fln, has ended' : by);
  }

  /** Ctrl-C ends the run; after a scheduler's signal it should be requeued. */
  get exitCode(): ExitCode {
    return this.by === 'SIGINT' ? ExitCode.interrupted : ExitCode.requeue;
  }
}

/**
 * Ctrl-C, signals of schedulers before they kill, a closed terminal, and the signals that Slurm jobs request
 * (--signal). Without a listener Node opens a debugger on SIGUSR1.
 */
const signals: readonly NodeJS.Signals[] =
  process.platform === 'win32'
    ? ['SIGINT', 'SIGTERM', 'SIGHUP']
    : ['SIGINT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', ...(isUnderNohup ? [] : ['SIGHUP' as const])];

let works = 0;

/**
 * Handles signals while no `interruptible` work runs.
 * @param trains whether the command writes checkpoints and has exit codes for signals; other commands keep
 *   the system's default, except for SIGUSR1
 */
export function endOnSignals(trains: boolean): void {
  const end = (by: NodeJS.Signals) => {
    if (works > 0) return;
    process.stderr.write(`${by}: stopped.\n`);
    process.exit(new Interruption(by).exitCode);
  };
  for (const signal of signals) {
    if (trains || signal === 'SIGUSR1') process.on(signal, end);
  }
}

/**
 * Runs `work` with an abort signal for signals of the system and for the end of the npm that started this process.
 * A second Ctrl-C ends the process at once, if it came after `onFirst` had announced that: during a
 * long batch both may arrive together. Other repeated signals have no effect.
 * @param onFirst called at the first signal
 */
export async function interruptible<T>(
  onFirst: (interruption: Interruption) => void,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let isAcknowledged = false;
  const interrupt = (by: NodeJS.Signals | 'npm') => {
    if (controller.signal.aborted) {
      if (by === 'SIGINT' && isAcknowledged) process.exit(ExitCode.interrupted);
      return;
    }
    const interruption = new Interruption(by);
    controller.abort(interruption);
    onFirst(interruption);
    const acknowledge = () => {
      isAcknowledged = true;
    };
    // Signals that arrived together are handled in this turn of the event loop.
    if (npmIsParent) setTimeout(acknowledge, 1000).unref();
    else setImmediate(acknowledge);
  };
  works++;
  for (const signal of signals) process.on(signal, interrupt);
  const unwatch = watchNpm(() => interrupt('npm'));
  try {
    return await work(controller.signal);
  } finally {
    works--;
    unwatch();
    for (const signal of signals) process.off(signal, interrupt);
  }
}
