import yargs, { type Argv, type CommandModule } from 'yargs';
import { describeCommand } from './describe.js';

/** The arguments do not fit the command; the message is the parser's own. */
export class ArgumentError extends Error {
  override name = 'ArgumentError';
}

/**
 * The parser of one command.
 * @param args the command line after `fln`
 */
export function buildParser(args: readonly string[], command: CommandModule): Argv {
  refuseHyphens(args);
  refuseFlagValues(args, command);
  return (
    yargs([...args])
      .scriptName('fln')
      .command(command)
      .strict()
      .version(false)
      .alias({ h: 'help' })
      .wrap(Math.min(100, process.stdout.columns ?? 100))
      // Messages are matched and reworded in usage.ts: they must not follow the user's locale.
      .locale('en')
      .parserConfiguration({ 'dot-notation': false })
      .exitProcess(false)
      .fail((message, error) => {
        // Also called for what a command's own work threw, which is no slip of the user's.
        if (error && error.name !== 'YError') throw error;
        throw new ArgumentError(message ?? error.message);
      })
  );
}

/** The parser would drop these without a word. */
function refuseHyphens(args: readonly string[]): void {
  const hyphens = args.find((arg) => /^-+$/.test(arg) && arg !== '--');
  if (hyphens === undefined) return;
  throw new ArgumentError(`"${hyphens}" is no option and no file; standard input is /dev/stdin`);
}

/** `--dry-run=yes` would count as "no", and train: a flag takes true, false or nothing. */
function refuseFlagValues(args: readonly string[], command: CommandModule): void {
  const flags = describeCommand(command).options.filter(({ isFlag }) => isFlag);
  for (const arg of args) {
    if (arg === '--') return;
    const [, name, value] = /^--([^=]+)=(.*)$/s.exec(arg) ?? [];
    if (!flags.some((flag) => flag.name === name)) continue;
    if (!['true', 'false'].includes(value)) {
      throw new ArgumentError(`--${name} takes no value, and "${value}" was given`);
    }
  }
}
