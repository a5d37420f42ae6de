import type { CommandModule } from 'yargs';
import { suggest } from '../shared/suggest.js';
import { commands } from './commands.js';
import { describeCommand } from './describe.js';

/** What to say when the first argument is no command. */
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
 * Rewords what the argument parser found wrong, with the name that was probably meant.
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
  // The parser reports --some-flag and someFlag for one slip.
  const typed = unknown.filter((name) => args.some((arg) => flagName(arg) === name));
  const slips = (typed.length > 0 ? typed : unknown).map((name) =>
    describeUnknown(name, args, known, command),
  );
  return `${slips.join('; ')}. ${see}`;
}

const flagName = (arg: string) => arg.replace(/^-+/, '').split('=')[0];

function describeUnknown(
  name: string,
  args: readonly string[],
  known: readonly string[],
  command: string,
): string {
  if (args.includes(name)) return `"${name}" is one argument too many`;
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

/** What commands do not work without. */
const needs: Readonly<Record<string, string>> = {
  run: 'a config file, as in: fln run configs/quickstart.yaml',
  sweep: 'a sweep file, as in: fln sweep configs/sweeps/quickstart.yaml',
  plot: 'a run directory, as in: fln plot results/quickstart',
  compare: 'a run directory, as in: fln compare results/quickstart',
  diff: 'two run directories, as in: fln diff results/a results/b',
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
