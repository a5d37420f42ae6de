import type { Entry } from './entries.js';

/** A script for fish. Files are completed where nothing else is. */
export function fishCompletion(entries: readonly Entry[]): string {
  const lines = entries.flatMap((entry) => [
    `complete -c fln -n __fish_use_subcommand -f -a ${entry.name} -d ${quoted(entry.summary)}`,
    ...optionLines(entry),
    ...argumentLines(entry),
  ]);
  return `# fish completion of fln. In ~/.config/fish/config.fish: fln completion fish | source
${lines.join('\n')}
`;
}

function optionLines({ name, options }: Entry): string[] {
  return options.map((option) => {
    const value = option.isFlag
      ? ''
      : option.words.length > 0
        ? ` -x -a ${quoted(option.words.join(' '))}`
        : ' -r';
    const start = `complete -c fln -n '__fish_seen_subcommand_from ${name}' -l ${option.name}`;
    return `${start}${value} -d ${quoted(option.describe)}`;
  });
}

function argumentLines({ name, words }: Entry): string[] {
  return words.map((some, i) => {
    const before = i === 0 ? [] : words[i - 1];
    const given = `__fish_seen_subcommand_from ${name}`;
    const place =
      i === 0
        ? `; and not __fish_seen_subcommand_from ${some.join(' ')}`
        : `; and __fish_seen_subcommand_from ${before.join(' ')}`;
    return `complete -c fln -n '${given}${place}' -f -a ${quoted(some.join(' '))}`;
  });
}

const quoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
