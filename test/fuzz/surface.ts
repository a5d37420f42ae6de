import fc from 'fast-check';
import { FlnError } from '../../src/errors.js';

/** Something that takes input from outside. */
export interface Surface<Case = unknown> {
  readonly name: string;
  readonly cases: fc.Arbitrary<Case>;
  /**
   * Feeds one case to the program.
   * @param folder empty, of this surface alone
   * @throws when the program does what it must not
   */
  readonly run: (input: Case, folder: string) => unknown;
}

/** A case that takes longer than this hangs, on any machine (milliseconds). */
const longest = 10 * 60_000;

/** Runs a surface on random cases. @throws with the smallest case found that fails */
export async function fuzz<Case>(
  { cases, run }: Surface<Case>,
  { count, seed, folder }: { count: number; seed: number; folder: string },
): Promise<void> {
  const property = fc.asyncProperty(cases, async (input) => {
    await run(input, folder);
  });
  await fc.assert(property, { numRuns: count, seed, timeout: longest } as fc.Parameters<[Case]>);
}

/**
 * What may come of bad input: an error of our own, with an exit code, no trace of a stack, and nothing
 * in it that a terminal obeys. Everything else is thrown on.
 * @returns undefined when it was refused
 */
export async function harmless<T>(work: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof FlnError)) throw error;
    checkMessage(error.message);
    if (error.exitCode < 1 || error.exitCode > 5) throw new Error(`exit code ${error.exitCode}`);
    return undefined;
  }
}

/** @throws when a text could move the cursor of a terminal, or shows a stack */
export function checkMessage(text: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/.test(text)) {
    throw new Error(`a message with control characters: ${JSON.stringify(text)}`);
  }
  if (/\n\s+at \S+ \(/.test(text)) throw new Error(`a message with a stack: ${text}`);
  if (text.length > 20_000) throw new Error(`a message of ${text.length} characters`);
}
