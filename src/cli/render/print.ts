import { withoutControls } from '../../shared/text.js';

/**
 * A command's result goes to stdout, and nothing else does. Names of files may hold what a terminal obeys.
 */
export function printText(text: string): void {
  process.stdout.write(withoutControls(text));
}

/** The same for text without its last line end. */
export const print = (text: string): void => printText(`${text}\n`);

/** Everything else is said on stderr, a line at a time. */
export const note = (text: string): void => {
  process.stderr.write(`${withoutControls(text)}\n`);
};

/** What could not be read, or has no effect. */
export function warn(problems: readonly (string | { readonly message: string })[]): void {
  for (const problem of problems) {
    note(`warning: ${typeof problem === 'string' ? problem : problem.message}`);
  }
}

export const printJson = (value: unknown): void => print(JSON.stringify(value, null, 2));
