import { closest, distance } from 'fastest-levenshtein';
import type { CommandModule } from 'yargs';
import { commands } from './commands.js';
import { buildParser } from './parser.js';

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
export async function describeArgumentError(
  message: string,
  command: string,
  module: CommandModule,
  args: readonly string[],
): Promise<string> {
  const see = `See fln ${command} --help`;
  const unknown = /^Unknown arguments?: (.*)$/.exec(message)?.[1].split(', ');
  if (unknown === undefined) return `${reworded(message, command)}. ${see}`;

  const known = await optionsOf(command, module);
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
  const flag = name.length === 1 ? `-${name}` : `--${name}`;
  const meant = suggestion(name, known, '--');
  const hint =
    meant === '' && ['run', 'bound', 'sweep'].includes(command)
      ? ' (values of the config are changed without dashes, as in epochs=2)'
      : meant;
  return `there is no option ${flag}${hint}`;
}

function suggestion(name: string, known: readonly string[], prefix = ''): string {
  const best = closest(name, [...known]);
  const near = distance(name, best) <= Math.max(1, Math.floor(best.length / 3));
  return near ? ` (did you mean "${prefix}${best}"?)` : '';
}

function reworded(message: string, command: string): string {
  if (message.startsWith('Not enough non-option arguments') && command === 'run') {
    return 'run needs a config file, as in: fln run configs/quickstart.yaml';
  }
  if (message.startsWith('Not enough non-option arguments') && command === 'sweep') {
    return 'sweep needs a sweep file, as in: fln sweep configs/sweeps/quickstart.yaml';
  }
  if (message.startsWith('Not enough non-option arguments') && command === 'plot') {
    return 'plot needs a run directory, as in: fln plot results/quickstart';
  }
  if (message.startsWith('Not enough non-option arguments') && command === 'compare') {
    return 'compare needs a run directory, as in: fln compare results/quickstart';
  }
  if (message.startsWith('Not enough non-option arguments') && command === 'verify') {
    return 'verify needs a run directory or a config, as in: fln verify configs/mnist-mlp.yaml';
  }
  if (message.startsWith('Not enough non-option arguments') && command === 'bound') {
    return 'bound needs a config file, as in: fln bound configs/bound.yaml';
  }
  const missing = /^Not enough arguments following: (.*)$/.exec(message);
  if (missing) return `--${flagName(missing[1])} needs a value`;
  return message
    .trim()
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '');
}

/** Options as the help text names them: the parser's public account of itself. */
async function optionsOf(command: string, module: CommandModule): Promise<readonly string[]> {
  const help = await new Promise<string>((resolve) => {
    const args = [command, '--help'];
    buildParser([], module).parse(args, {}, (_error, _argv, output) => resolve(output));
  });
  return [...help.matchAll(/--([a-z][a-z-]*)/g)].map((match) => match[1]);
}
