import type { Command } from '../command.js';
import { describeCommand, type OptionDescription } from '../describe.js';

/** What is completed after `fln NAME`. */
export interface Entry {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionDescription[];
  /** The words that each argument takes; none where it is a file. */
  readonly words: readonly (readonly string[])[];
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
      return { name, summary, options, words };
    }),
  );
}
