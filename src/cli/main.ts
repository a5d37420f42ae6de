import { ExitCode, FlnError, UsageError } from '../errors.js';
import { commands } from './commands.js';
import { overview } from './overview.js';

/**
 * The outermost edge: finds the command, runs it, and turns errors into one message and an exit
 * code.
 */
async function main(args: readonly string[]): Promise<void> {
  surviveLostOutput();
  try {
    await dispatch(args);
  } catch (error) {
    if (error instanceof FlnError) {
      fail(error.message, error.exitCode);
    } else {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      fail(`This is a bug in fln; please report it:\n${detail}`, ExitCode.runFailed);
    }
  }
}

async function dispatch([first, ...rest]: readonly string[]): Promise<void> {
  if (first === undefined) {
    process.stderr.write(overview());
    process.exitCode = ExitCode.usage;
    return;
  }
  if (first === 'help' && rest.length > 0) return dispatch([rest[0], '--help']);
  if (['--help', '-h', 'help'].includes(first)) {
    process.stdout.write(overview());
    return;
  }
  if (first === '--version') {
    const { programInfo } = await import('../shared/provenance.js');
    process.stdout.write(`${programInfo().version}\n`);
    return;
  }
  const { unknownCommand, describeArgumentError } = await import('./usage.js');
  const command = commands.find(({ name }) => name === first);
  if (command === undefined) throw new UsageError(unknownCommand(first));

  const { ArgumentError, buildParser } = await import('./parser.js');
  const module = await command.load();
  try {
    await buildParser([first, ...rest], module).parseAsync();
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    throw new UsageError(describeArgumentError(error.message, first, module, rest));
  }
}

function fail(message: string, code: number): void {
  process.stderr.write(`${message}\n`);
  process.exitCode = code;
}

/**
 * `fln ... | head` closes our stdout: what cannot be shown is dropped, the work goes on. A full disk
 * behind `> file` fails the command, since its output is lost.
 */
function surviveLostOutput(): void {
  const isClosed = ({ code }: NodeJS.ErrnoException) =>
    code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED';
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (isClosed(error)) return;
    const reason = error.code === 'ENOSPC' ? 'the disk is full' : error.message;
    fail(`cannot write the output: ${reason}`, ExitCode.runFailed);
  });
  // There is nowhere left to say that messages are lost.
  process.stderr.on('error', () => {});
}

await main(process.argv.slice(2));
