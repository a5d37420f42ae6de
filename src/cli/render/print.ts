import { relative, sep } from 'node:path';
import { withoutControls } from '../../shared/text.js';

/**
 * Prints to stdout, which carries a command's result and nothing else. File names may hold control characters.
 */
export function printText(text: string): void {
  process.stdout.write(withoutControls(text));
}

/** {@link printText} with a line end. */
export const print = (text: string): void => printText(`${text}\n`);

/** Prints a line to stderr: everything but the result. */
export const note = (text: string): void => {
  process.stderr.write(`${withoutControls(text)}\n`);
};

/** Prints warnings to stderr. */
export function warn(problems: readonly (string | { readonly message: string })[]): void {
  for (const problem of problems) {
    note(`warning: ${typeof problem === 'string' ? problem : problem.message}`);
  }
}

export const printJson = (value: unknown): void => print(JSON.stringify(value, null, 2));

/** A path as one would type it here: relative when it lies below the current directory. */
export function shortPath(path: string): string {
  const fromHere = relative(process.cwd(), path);
  const below = fromHere !== '' && fromHere !== '..' && !fromHere.startsWith(`..${sep}`);
  return below ? fromHere : path;
}

/** A difference of shares in percentage points, with its sign: `+0.92`. */
export function points(difference: number, digits = 2): string {
  const text = (100 * difference).toFixed(digits);
  return difference >= 0 || Number(text) === 0 ? `+${text.replace('-', '')}` : text;
}
