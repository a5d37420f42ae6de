import type { OptionDescription } from '../describe.js';
import type { Entry } from './entries.js';

/** A script for zsh. */
export function zshCompletion(entries: readonly Entry[]): string {
  const commands = entries.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`);
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
compdef _fln fln
`;
}

function specs({ options, words }: Entry): string {
  const places = words.map((some, i) => quoted(`${i + 1}:argument:(${some.join(' ')})`));
  return [...options.map(optionSpec), ...places, quoted('*:file:_files')].join(' ');
}

function optionSpec({ name, describe, isFlag, words }: OptionDescription): string {
  // Brackets and colons end a description.
  const text = describe.replace(/[[\]:]/g, ' ');
  const value = isFlag ? '' : `:value:${words.length > 0 ? `(${words.join(' ')})` : '_files'}`;
  return quoted(`--${name}[${text}]${value}`);
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
