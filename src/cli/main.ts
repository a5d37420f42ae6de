import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { isatty } from 'node:tty';
import { EnvironmentError, ExitCode, FlnError } from '../errors.js';
import { unexpectedDiskError } from '../files/disk.js';
import { onDiskWarning } from '../files/system-calls.js';
import { dispatch } from './dispatch.js';
import { endOnSignals } from './interrupt.js';

/** Runs the command, and turns an error into a message and an exit code. */
async function main(args: readonly string[]): Promise<void> {
  endOnSignals(['run', 'sweep', 'sweep-trial'].includes(args[0]));
  surviveLostOutput();
  onDiskWarning((message) => process.stderr.write(`warning: ${message}\n`));
  try {
    requireFolder();
    await dispatch(args);
  } catch (error) {
    const known =
      error instanceof FlnError ? error : (missingModule(error) ?? unexpectedDiskError(error));
    if (known) return fail(known.message, known.exitCode);
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    fail(`This is a bug in fln; please report it:\n${detail}`, ExitCode.runFailed);
  }
}

/** @throws EnvironmentError when the current folder was removed */
function requireFolder(): void {
  try {
    process.cwd();
  } catch (error) {
    throw new EnvironmentError(
      'the current folder was removed or is not accessible: change to another one',
      { cause: error },
    );
  }
}

/** Modules are loaded when needed; one that is missing then is not a bug of fln. */
function missingModule(error: unknown): FlnError | undefined {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== 'ERR_MODULE_NOT_FOUND') return undefined;
  const [, name] = /^Cannot find package '([^']+)'/.exec(message) ?? [];
  return new EnvironmentError(
    name === undefined
      ? 'fln was rebuilt while this process ran, and the files of its own build were deleted. ' +
          'Start it again, with --resume to resume a run'
      : `the package ${name} is not installed: run "npm ci" in the folder of fln`,
    { cause: error },
  );
}

function fail(message: string, code: number): void {
  process.stderr.write(`${message}\n`);
  process.exitCode = code;
}

/**
 * When stdout is closed (`fln ... | head`, a closed terminal), output is dropped and the work continues.
 * A full disk behind `> file` fails the command, since its output is lost.
 */
function surviveLostOutput(): void {
  const isClosed = ({ code }: NodeJS.ErrnoException) =>
    code === 'EPIPE' ||
    code === 'ERR_STREAM_DESTROYED' ||
    // The terminal was closed.
    (code === 'EIO' && process.stdout.isTTY);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (isClosed(error)) return;
    const reason = error.code === 'ENOSPC' ? 'the disk is full' : error.message;
    fail(`cannot write the output: ${reason}`, ExitCode.runFailed);
  });
  // Lost messages cannot be reported anywhere.
  process.stderr.on('error', () => {});
  const terminals = [0, 1, 2].filter((file) => isatty(file));
  if (terminals.length === 0) return;
  process.on('exit', () => {
    // Node 20 aborts when it cannot reset a closed terminal.
    for (const file of terminals.filter((file) => !isatty(file))) {
      closeSync(file);
      openSync(devNull, 'r+');
    }
  });
}

await main(process.argv.slice(2));
