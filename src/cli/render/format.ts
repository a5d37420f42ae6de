import { relative, sep } from 'node:path';

/** How commands word things. */

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
