import { ExitCode } from '../errors.js';

/** Why work was interrupted: the reason of the abort signal. */
export class Interruption extends Error {
  override name = 'Interruption';

  constructor(readonly by: NodeJS.Signals) {
    super(`interrupted by ${by}`);
  }

  /** A user is done with it; a scheduler that needs the machine asks for it to be queued again. */
  get exitCode(): ExitCode {
    return this.by === 'SIGINT' ? ExitCode.interrupted : ExitCode.requeue;
  }
}

/** Ctrl-C; what schedulers send before they kill; and what Slurm jobs ask to be sent (--signal). */
const signals: readonly NodeJS.Signals[] =
  process.platform === 'win32' ? ['SIGINT', 'SIGTERM'] : ['SIGINT', 'SIGTERM', 'SIGUSR2'];

/**
 * Turns Ctrl-C, SIGTERM and SIGUSR2 into an abort signal while some work runs. Ctrl-C after that ends
 * the process at once; more of the others change nothing.
 * @param onFirst told that the first one arrived
 */
export async function interruptible<T>(
  onFirst: (interruption: Interruption) => void,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const interrupt = (by: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      if (by === 'SIGINT') process.exit(ExitCode.interrupted);
      return;
    }
    const interruption = new Interruption(by);
    controller.abort(interruption);
    onFirst(interruption);
  };
  for (const signal of signals) process.on(signal, interrupt);
  try {
    return await work(controller.signal);
  } finally {
    for (const signal of signals) process.off(signal, interrupt);
  }
}
