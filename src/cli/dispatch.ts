import { ExitCode, UsageError } from '../errors.js';
import { commands } from './commands.js';
import { overview } from './overview.js';

/**
 * Finds the command of a command line, and runs it. Its exit code is in `process.exitCode`.
 * @param args the command line after `fln`
 * @throws UsageError, and what the command throws
 */
export async function dispatch([first, ...rest]: readonly string[]): Promise<void> {
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
