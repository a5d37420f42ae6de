import { closest, distance } from 'fastest-levenshtein';
import { buildParser } from './parser.js';

/**
 * Rewords what the argument parser found wrong, with the name that was probably meant.
 * @param message the parser's own message, in English
 * @param args the command line after `fln`
 */
export async function describeUsageError(
  message: string,
  args: readonly string[],
): Promise<string> {
  const general = await namesInHelp([]);
  const command = general.commands.find((name) => name === args[0]);
  const see = `See fln ${command ? `${command} ` : ''}--help`;

  const unknown = /^Unknown (?:argument|command)s?: (.*)$/.exec(message)?.[1].split(', ');
  if (unknown === undefined) return `${reworded(message, command)}. ${see}`;
  if (command === undefined && !unknown[0].startsWith('-') && unknown[0] === args[0]) {
    return `there is no command "${args[0]}"${suggestion(args[0], general.commands)}. ${see}`;
  }
  const known = command ? (await namesInHelp([command])).options : general.options;
  // The parser reports --some-flag and someFlag for one slip.
  const flags = unknown.filter((name) => isTyped(name, args));
  return `${(flags.length > 0 ? flags : unknown)
    .map((name) => describeUnknown(name, args, known, command))
    .join('; ')}. ${see}`;
}

function describeUnknown(
  name: string,
  args: readonly string[],
  known: readonly string[],
  command: string | undefined,
): string {
  if (args.includes(name)) return `"${name}" is one argument too many`;
  const flag = name.length === 1 ? `-${name}` : `--${name}`;
  const meant = suggestion(name, known, '--');
  if (meant !== '' || command !== 'run') return `there is no option ${flag}${meant}`;
  return `there is no option ${flag} (values of the config are changed without dashes, as in epochs=2)`;
}

const isTyped = (name: string, args: readonly string[]) =>
  args.some((arg) => arg === name || arg.replace(/^-+/, '').split('=')[0] === name) ||
  name.length === 1;

function suggestion(name: string, known: readonly string[], prefix = ''): string {
  if (known.length === 0) return '';
  const best = closest(name, [...known]);
  const near = distance(name, best) <= Math.max(1, Math.floor(best.length / 3));
  return near ? `; did you mean "${prefix}${best}"?` : '';
}

function reworded(message: string, command: string | undefined): string {
  if (message.startsWith('Not enough non-option arguments') && command === 'run') {
    return 'run needs a config file, as in: fln run configs/quickstart.yaml';
  }
  const missing = /^Not enough arguments following: (.*)$/.exec(message);
  if (missing) return `--${missing[1].replace(/^-+/, '')} needs a value`;
  return message.trim().replaceAll('\n', ' ').replace(/\.$/, '');
}

/** Commands and options as the help text names them: the parser's public account of itself. */
async function namesInHelp(
  command: readonly string[],
): Promise<{ commands: string[]; options: string[] }> {
  const help = await new Promise<string>((resolve) => {
    buildParser([]).parse([...command, '--help'], {}, (_error, _argv, output) => resolve(output));
  });
  return {
    commands: [...help.matchAll(/^ {2}fln ([a-z-]+)/gm)].map((match) => match[1]),
    options: [...help.matchAll(/--([a-z][a-z-]*)/g)].map((match) => match[1]),
  };
}
