import type { Argv, CommandModule } from 'yargs';

/** One entry of the command list. Modules load only when their command is used. */
export interface Command {
  readonly name: string;
  /** As in the overview. */
  readonly usage: string;
  readonly summary: string;
  /** Started by other commands; not in the overview. */
  readonly isInternal?: boolean;
  readonly load: () => Promise<CommandModule>;
}

/** An option as its command declares it. */
export interface OptionDescription {
  /** Without dashes. */
  readonly name: string;
  readonly describe: string;
  readonly isFlag: boolean;
  /** Its possible values, if it is an enumeration. */
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

/** The options and examples of a command, recorded from the calls of its builder. */
export function describeCommand({ builder }: CommandModule): CommandDescription {
  const options: OptionDescription[] = [];
  const examples: string[] = [];
  const note = (name: string, declaration: Declaration) => {
    const { type, describe = '', alias, coerce } = declaration;
    const words = (coerce as { words?: readonly string[] } | undefined)?.words ?? [];
    for (const each of [name, ...[alias ?? []].flat()]) {
      options.push({ name: each, describe, isFlag: type === 'boolean', words });
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
