import type { Command } from '../commands.js';
import { describeCommand, type OptionDescription } from '../describe.js';

/** What is completed after `fln NAME`. */
export interface Entry {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionDescription[];
  /** The words that each argument takes; none where it is a file. */
  readonly words: readonly (readonly string[])[];
}

/** Arguments that are words rather than files, by command. */
async function argumentWords(): Promise<Readonly<Record<string, readonly (readonly string[])[]>>> {
  const { datasets } = await import('../../data/registry.js');
  const { recipes } = await import('../../backend/install/recipes.js');
  return {
    data: [['list', 'fetch', 'check'], datasets.map(({ name }) => name)],
    backend: [['list', 'install', 'remove'], recipes.map(({ name }) => name)],
    completion: [['bash', 'zsh', 'fish']],
  };
}

/** Everything that can be completed. */
export async function completionEntries(commands: readonly Command[]): Promise<Entry[]> {
  const words = await argumentWords();
  const listed = commands.filter(({ isInternal }) => !isInternal);
  return Promise.all(
    listed.map(async ({ name, summary, load }) => {
      const { options } = describeCommand(await load());
      return { name, summary, options, words: words[name] ?? [] };
    }),
  );
}
