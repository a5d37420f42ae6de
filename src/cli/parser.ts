import yargs, { type Argv, type CommandModule } from 'yargs';
import { suggest } from '../shared/suggest.js';
import { commands } from './commands.js';
import { describeCommand } from './describe.js';

/** Invalid arguments; the message is the parser's own. */
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
      // `describeArgumentError` matches the English messages.
      .locale('en')
      .parserConfiguration({ 'dot-notation': false, 'boolean-negation': false })
      .exitProcess(false)
      .fail((message, error) => {
        // Also called for errors that a command itself throws, which are not usage errors.
        if (error && error.name !== 'YError') throw error;
        throw new ArgumentError(message ?? error.message);
      })
  );
}

/** The parser would ignore these silently. */
function refuseHyphens(args: readonly string[]): void {
  const hyphens = args.find((arg) => /^-+$/.test(arg) && arg !== '--');
  if (hyphens === undefined) return;
  throw new ArgumentError(`"${hyphens}" is not an option or a file; standard input is /dev/stdin`);
}

/** The parser reads `--dry-run=yes` as false, and would train: a flag takes true, false or nothing. */
function refuseFlagValues(args: readonly string[], command: CommandModule): void {
  const flags = describeCommand(command).options.filter(({ isFlag }) => isFlag);
  for (const arg of args) {
    if (arg === '--') return;
    const [, name, value] = /^--([^=]+)=(.*)$/s.exec(arg) ?? [];
    if (!flags.some((flag) => flag.name === name)) continue;
    if (!['true', 'false'].includes(value)) {
      throw new ArgumentError(`--${name} takes no value, got "${value}"`);
    }
  }
}

/** The message when the first argument is not a command. */
export function unknownCommand(name: string): string {
  if (name.startsWith('-')) {
    return `an option must follow a command, as in: fln run CONFIG ${name}. See fln --help`;
  }
  const meant = suggestion(
    name,
    commands.filter(({ isInternal }) => !isInternal).map((command) => command.name),
  );
  return `there is no command "${name}"${meant}. See fln --help`;
}

/**
 * Rewords an error of the argument parser, and suggests the name that was probably meant.
 * @param message the parser's own message, in English
 * @param args the command line after the command
 */
export function describeArgumentError(
  message: string,
  command: string,
  module: CommandModule,
  args: readonly string[],
): string {
  const see = `See fln ${command} --help`;
  const unknown = /^Unknown arguments?: (.*)$/.exec(message)?.[1].split(', ');
  if (unknown === undefined) return `${reworded(message, command)}. ${see}`;

  const known = describeCommand(module).options.map(({ name }) => name);
  // The parser reports both --some-flag and someFlag for one mistake.
  const typed = unknown.filter((name) => args.some((arg) => flagName(arg) === name));
  const mistakes = (typed.length > 0 ? typed : unknown).map((name) =>
    describeUnknown(name, args, known, command),
  );
  return `${mistakes.join('; ')}. ${see}`;
}

const flagName = (arg: string) => arg.replace(/^-+/, '').split('=')[0];

function describeUnknown(
  name: string,
  args: readonly string[],
  known: readonly string[],
  command: string,
): string {
  if (args.includes(name)) return `unexpected argument "${name}"`;
  const typed = args.find((arg) => arg.startsWith('-') && flagName(arg) === name);
  const flag = typed?.split('=')[0] ?? (name.length === 1 ? `-${name}` : `--${name}`);
  const meant = suggestion(name, known, '--');
  const hint =
    meant === '' && ['run', 'bound', 'sweep'].includes(command)
      ? ' (values of the config are changed without dashes, as in epochs=2)'
      : meant;
  return `there is no option ${flag}${hint}`;
}

function suggestion(name: string, known: readonly string[], prefix = ''): string {
  const meant = suggest(name, known);
  return meant === undefined ? '' : ` (did you mean "${prefix}${meant}"?)`;
}

/** Required arguments of the commands. */
const needs: Readonly<Record<string, string>> = {
  run: 'a config file, as in: fln run configs/quickstart.yaml',
  sweep: 'a sweep file, as in: fln sweep configs/sweeps/quickstart.yaml',
  plot: 'a run directory, as in: fln plot results/quickstart',
  evaluate: 'a run directory, as in: fln evaluate results/quickstart',
  predict: 'a run directory and files, as in: fln predict results/quickstart/adam-s1 digit.png',
  compare: 'a run directory, as in: fln compare results/quickstart',
  diff: 'two run directories, as in: fln diff results/a results/b',
  watch: 'a run directory, as in: fln watch results/quickstart',
  verify: 'a run directory or a config, as in: fln verify configs/mnist-mlp.yaml',
  bound: 'a config file, as in: fln bound configs/bound.yaml',
};

function reworded(message: string, command: string): string {
  if (message.startsWith('Not enough non-option arguments') && Object.hasOwn(needs, command)) {
    return `${command} needs ${needs[command]}`;
  }
  const missing = /^Not enough arguments following: (.*)$/.exec(message);
  if (missing) return `--${flagName(missing[1])} needs a value`;
  return message
    .trim()
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '');
}
