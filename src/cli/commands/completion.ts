import type { CommandModule } from 'yargs';
import { type Command, describeCommand, type OptionDescription } from '../describe.js';
import { actionNamed, manual } from '../options.js';

/** `fln complete-override CONFIG TEXT`: the scripts below call it; prints nothing where it cannot help. */
export const completeOverrideCommand: CommandModule<object, { config: string; text?: string }> = {
  command: 'complete-override <config> [text]',
  describe: 'print how an override may continue, one per line',
  builder: (yargs) =>
    yargs
      .positional('config', { type: 'string', demandOption: true })
      .positional('text', { type: 'string', default: '' }) as never,
  handler: async ({ config, text = '' }) => {
    const { overrideCandidates, reference } = await import('../reference.js');
    const { readConfigFile } = await import('../../config/read-file.js');
    const { parseYaml } = await import('../../config/yaml.js');
    const { plain } = await import('../../config/tree.js');
    let tree: ReturnType<typeof parseYaml>['tree'];
    try {
      tree = parseYaml(readConfigFile(config)).tree;
    } catch {
      return;
    }
    if (tree === undefined) return;
    const found = overrideCandidates(reference(), plain(tree), text);
    process.stdout.write(found.map((line) => `${line}\n`).join(''));
  },
};

interface CompletionArguments {
  shell?: string;
}

/**
 * `fln completion bash|zsh|fish`
 * @param commands what is completed, this command among them
 */
export const completionCommand = (
  commands: readonly Command[],
): CommandModule<object, CompletionArguments> => ({
  command: 'completion [shell]',
  describe: 'print a shell completion script for commands, options and their values',
  builder: (yargs) =>
    yargs
      .positional('shell', { type: 'string', describe: 'bash, zsh or fish' })
      .example('$0 completion bash', 'in ~/.bashrc: source <(fln completion bash)')
      .example('$0 completion zsh', 'in ~/.zshrc, after compinit: source <(fln completion zsh)')
      .example('$0 completion fish', 'in config.fish: fln completion fish | source')
      .epilogue(manual('', { 0: 'ok', 2: 'usage' })) as never,
  handler: async ({ shell }) => {
    const shells = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };
    const script = actionNamed('completion', shells, shell);
    process.stdout.write(script(await completionEntries(commands)));
  },
});

/** What is completed after `fln NAME`. */
export interface Entry {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionDescription[];
  /** The words that each argument takes; none where it is a file. */
  readonly words: readonly (readonly string[])[];
  /** Overrides of the fields of a config follow the first argument. */
  readonly hasOverrides: boolean;
}

/** Names that follow the action of a command, as in `fln data fetch NAME`. */
async function actionNames(): Promise<Readonly<Record<string, readonly string[]>>> {
  const { datasets } = await import('../../data/registry.js');
  const { recipes } = await import('../../backend/install/recipes.js');
  return {
    data: datasets.map(({ name }) => name),
    backend: recipes.map(({ name }) => name),
  };
}

/** The words of `data list|fetch|check [NAME]`; none where the first argument is a file. */
const actionsOf = (usage: string): readonly string[] =>
  /^\S+ ([a-z]+(?:\|[a-z]+)+)/.exec(usage)?.[1].split('|') ?? [];

/** Everything that can be completed. */
export async function completionEntries(commands: readonly Command[]): Promise<Entry[]> {
  const names = await actionNames();
  const listed = commands.filter(({ isInternal }) => !isInternal);
  return Promise.all(
    listed.map(async ({ name, usage, summary, load }) => {
      const { options } = describeCommand(await load());
      const words = [actionsOf(usage), names[name] ?? []].filter((some) => some.length > 0);
      const hasOverrides = usage.includes(' CONFIG [path=value');
      return { name, summary, options, words, hasOverrides };
    }),
  );
}

/** A script for bash 3.2 and later. Files are completed where nothing else is. */
export function bashCompletion(entries: readonly Entry[]): string {
  const names = entries.map(({ name }) => name).join(' ');
  const cases = entries.map((entry) => commandCase(entry));
  return `# bash completion of fln. In ~/.bashrc: source <(fln completion bash)
_fln() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" i
  local options='' position=0 words='' overrides='' config='' typed found split
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${names} --help --version' -- "$current"))
    return
  fi
  for ((i = 2; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in -*) ;; *) position=$((position + 1)) ;; esac
    if [ -z "$config" ] && [ -f "\${COMP_WORDS[i]}" ]; then config="\${COMP_WORDS[i]}"; fi
  done
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$current")) ;;
    *)
      if [ -n "$words" ]; then
        COMPREPLY=($(compgen -W "$words" -- "$current"))
        return
      fi
      case "$previous" in -*) overrides='' ;; esac
      if [ -n "$overrides" ] && [ -n "$config" ]; then
        # bash splits path=value at the sign.
        split=''
        typed="$current"
        if [ "$current" = '=' ]; then split=1; typed="$previous="; current=''
        elif [ "$previous" = '=' ]; then split=1; typed="\${COMP_WORDS[COMP_CWORD-2]}=$current"
        fi
        found="$(fln complete-override "$config" "$typed" 2>/dev/null || true)"
        if [ -n "$split" ]; then found="$(printf '%s' "$found" | sed 's/^[^=]*=//')"; fi
        if [ -n "$found" ]; then
          COMPREPLY=($(compgen -W "$found" -- "$current"))
          if [ -z "$split" ]; then compopt -o nospace 2>/dev/null || true; fi
          return
        fi
      fi
      COMPREPLY=($(compgen -f -- "$current"))
      ;;
  esac
}
complete -o filenames -F _fln fln
`;
}

function commandCase({ name, options, words, hasOverrides }: Entry): string {
  const flags = options.map((option) => `--${option.name}`).join(' ');
  const valued = options
    .filter((option) => option.words.length > 0)
    .map((option) => `        --${option.name}) words='${option.words.join(' ')}' ;;`);
  const positions = words.map((some, i) => `        ${i}) words='${some.join(' ')}' ;;`);
  return [
    `    ${name})`,
    `      options='${flags}'`,
    ...(hasOverrides ? ['      overrides=1'] : []),
    ...block('$position', positions),
    ...block('$previous', valued),
    '      ;;',
  ].join('\n');
}

const block = (word: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : [`      case "${word}" in`, ...lines, '      esac'];

/** A script for zsh. */
export function zshCompletion(entries: readonly Entry[]): string {
  const commands = entries.map(({ name, summary }) => `    ${zshQuoted(`${name}:${summary}`)}`);
  const cases = entries.map((entry) => `    ${entry.name}) _arguments -S ${specs(entry)} ;;`);
  return `#compdef fln
# zsh completion of fln. In ~/.zshrc, after compinit: source <(fln completion zsh)
_fln() {
  local -a commands=(
${commands.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local name="$words[2]"
  shift words
  (( CURRENT-- ))
  case "$name" in
${cases.join('\n')}
  esac
}
_fln_overrides() {
  local config word
  local -a found
  for word in $words; do [[ -f $word ]] && { config=$word; break; }; done
  [[ -n $config ]] && found=(\${(f)"$(fln complete-override $config "$PREFIX" 2>/dev/null)"})
  if (( $#found )); then compadd -S '' -- $found; else _files; fi
}
compdef _fln fln
`;
}

function specs({ options, words, hasOverrides }: Entry): string {
  const places = words.map((some, i) => zshQuoted(`${i + 1}:argument:(${some.join(' ')})`));
  const rest = hasOverrides ? ['1:config:_files', '*:override:_fln_overrides'] : ['*:file:_files'];
  return [...options.map(optionSpec), ...places, ...rest.map(zshQuoted)].join(' ');
}

function optionSpec({ name, describe, isFlag, words }: OptionDescription): string {
  // Brackets and colons end a description.
  const text = describe.replace(/[[\]:]/g, ' ');
  const value = isFlag ? '' : `:value:${words.length > 0 ? `(${words.join(' ')})` : '_files'}`;
  return zshQuoted(`--${name}[${text}]${value}`);
}

const zshQuoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** A script for fish. Files are completed where nothing else is. */
export function fishCompletion(entries: readonly Entry[]): string {
  const lines = entries.flatMap((entry) => [
    `complete -c fln -n __fish_use_subcommand -f -a ${entry.name} -d ${fishQuoted(entry.summary)}`,
    ...optionLines(entry),
    ...argumentLines(entry),
    ...(entry.hasOverrides
      ? [`complete -c fln -n '__fish_seen_subcommand_from ${entry.name}' -a '(__fln_overrides)'`]
      : []),
  ]);
  return `# fish completion of fln. In ~/.config/fish/config.fish: fln completion fish | source
function __fln_overrides
  for word in (commandline -opc)
    if test -f $word
      fln complete-override $word (commandline -ct) 2>/dev/null
      return
    end
  end
end
${lines.join('\n')}
`;
}

function optionLines({ name, options }: Entry): string[] {
  return options.map((option) => {
    const value = option.isFlag
      ? ''
      : option.words.length > 0
        ? ` -x -a ${fishQuoted(option.words.join(' '))}`
        : ' -r';
    const start = `complete -c fln -n '__fish_seen_subcommand_from ${name}' -l ${option.name}`;
    return `${start}${value} -d ${fishQuoted(option.describe)}`;
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
    return `complete -c fln -n '${given}${place}' -f -a ${fishQuoted(some.join(' '))}`;
  });
}

const fishQuoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
