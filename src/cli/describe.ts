import type { Argv, CommandModule } from 'yargs';

/** One entry of the command list. Modules load only when their command is used. */
export interface Command {
  readonly name: string;
  /** As in the overview. */
  readonly usage: string;
  readonly summary: string;
  /** For other commands to call: not in the overview. */
  readonly isInternal?: boolean;
  readonly load: () => Promise<CommandModule>;
}

/** An option as its command declares it. */
export interface OptionDescription {
  /** Without dashes. */
  readonly name: string;
  readonly describe: string;
  readonly isFlag: boolean;
  /** The words that it takes, where they are few. */
  readonly words: readonly string[];
}

interface CommandDescription {
  readonly options: readonly OptionDescription[];
  /** Command lines, with `fln` for the program. */
  readonly examples: readonly string[];
}

interface Declaration {
  readonly type?: string;
  readonly describe?: string;
  readonly alias?: string;
  readonly coerce?: unknown;
}

/** What a command declares to the parser: its builder is run with a parser that only records. */
export function describeCommand({ builder }: CommandModule): CommandDescription {
  const options: OptionDescription[] = [];
  const examples: string[] = [];
  const note = (name: string, declaration: Declaration) => {
    for (const each of [name, ...[declaration.alias ?? []].flat()]) {
      options.push(describeOption(each, declaration));
    }
  };
  const notes: Record<string, unknown> = {
    option: note,
    options: (all: Record<string, Declaration>) => {
      for (const [name, declaration] of Object.entries(all)) note(name, declaration);
    },
    example: (line: string) => examples.push(line.replace('$0', 'fln')),
  };
  const recorder: Argv = new Proxy({} as Argv, {
    get:
      (_, method: string) =>
      (...args: unknown[]) => {
        (notes[method] as ((...args: unknown[]) => void) | undefined)?.(...args);
        return recorder;
      },
  });
  if (typeof builder === 'function') builder(recorder);
  // The parser adds it to every command.
  note('help', { type: 'boolean', describe: 'show help' });
  return { options, examples };
}

function describeOption(
  name: string,
  { type, describe = '', coerce }: Declaration,
): OptionDescription {
  const words = (coerce as { words?: readonly string[] } | undefined)?.words ?? [];
  return {
    name,
    describe,
    isFlag: type === 'boolean',
    words,
  };
}
