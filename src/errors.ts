import { withoutControls } from './shared/text.js';

/** Exit codes of the `fln` program: the contract with scripts, schedulers and CI. */
export const ExitCode = {
  ok: 0,
  runFailed: 1,
  usage: 2,
  regression: 3,
  environment: 4,
  data: 5,
  requeue: 75,
  paused: 76,
  interrupted: 130,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/**
 * An error that its user can understand and act on. The message is complete: what is wrong, where,
 * and the way out. It is printed without a stack trace; every other error is a bug and keeps its stack.
 */
export class FlnError extends Error {
  override name = 'FlnError';

  constructor(
    message: string,
    readonly exitCode: ExitCode,
    options?: ErrorOptions,
  ) {
    super(withoutControls(message), options);
  }
}

/** Wrong command line, config or combination of both (exit 2). */
export class UsageError extends FlnError {
  override name = 'UsageError';
  constructor(message: string, options?: ErrorOptions) {
    super(message, ExitCode.usage, options);
  }
}

/** A training run failed: numbers diverged, a factorisation broke down, a disk filled up (exit 1). */
export class RunError extends FlnError {
  override name = 'RunError';
  constructor(message: string, options?: ErrorOptions) {
    super(message, ExitCode.runFailed, options);
  }
}

/** The backend or the machine cannot do what was asked for (exit 4). */
export class EnvironmentError extends FlnError {
  override name = 'EnvironmentError';
  constructor(message: string, options?: ErrorOptions) {
    super(message, ExitCode.environment, options);
  }
}

/** A data set is missing, unreachable, damaged or not what it claims to be (exit 5). */
export class DataError extends FlnError {
  override name = 'DataError';
  constructor(message: string, options?: ErrorOptions) {
    super(message, ExitCode.data, options);
  }
}
