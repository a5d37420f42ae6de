import { hideBin } from 'yargs/helpers';
import { ExitCode, FlnError } from '../errors.js';
import { buildParser } from './parser.js';
import { describeUsageError } from './usage.js';

/**
 * The outermost edge: parses, dispatches, and turns errors into one message and an exit code.
 * Nothing below it exits the process.
 */
async function main(args: readonly string[]): Promise<void> {
  ignoreClosedPipes();
  try {
    const parser = buildParser(args);
    if (args.length === 0) {
      process.stderr.write(`${await parser.getHelp()}\n`);
      process.exitCode = ExitCode.usage;
      return;
    }
    await parser.parseAsync();
  } catch (error) {
    if (error instanceof FlnError) fail(error.message, error.exitCode);
    else if (error instanceof Error && error.name === 'YError') {
      fail(await describeUsageError(error.message, args), ExitCode.usage);
    } else {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      fail(
        `fln: this is a bug, please report it with the lines below:\n${detail}`,
        ExitCode.runFailed,
      );
    }
  }
}

function fail(message: string, code: number): void {
  process.stderr.write(`${message}\n`);
  process.exitCode = code;
}

/** `fln ... | head` closes our stdout: what cannot be shown is dropped, the work goes on. */
function ignoreClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw error;
    });
  }
}

await main(hideBin(process.argv));
