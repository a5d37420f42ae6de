import type { Entry } from './entries.js';

/** A script for bash 3.2 and later. Files are completed where nothing else is. */
export function bashCompletion(entries: readonly Entry[]): string {
  const names = entries.map(({ name }) => name).join(' ');
  const cases = entries.map((entry) => commandCase(entry));
  return `# bash completion of fln. In ~/.bashrc: source <(fln completion bash)
_fln() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" i
  local options='' position=0 words=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${names} --help --version' -- "$current"))
    return
  fi
  for ((i = 2; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in -*) ;; *) position=$((position + 1)) ;; esac
  done
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$current")) ;;
    *)
      if [ -n "$words" ]; then
        COMPREPLY=($(compgen -W "$words" -- "$current"))
      else
        COMPREPLY=($(compgen -f -- "$current"))
      fi
      ;;
  esac
}
complete -o filenames -F _fln fln
`;
}

function commandCase({ name, options, words }: Entry): string {
  const flags = options.map((option) => `--${option.name}`).join(' ');
  const valued = options
    .filter((option) => option.words.length > 0)
    .map((option) => `        --${option.name}) words='${option.words.join(' ')}' ;;`);
  const positions = words.map((some, i) => `        ${i}) words='${some.join(' ')}' ;;`);
  return [
    `    ${name})`,
    `      options='${flags}'`,
    ...block('$position', positions),
    ...block('$previous', valued),
    '      ;;',
  ].join('\n');
}

const block = (word: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : [`      case "${word}" in`, ...lines, '      esac'];
