import { relative, sep } from 'node:path';
import type { RunId } from '../../experiment/events.js';

/** How progress words things. */

/** A share in [0, 1] as `97.65 %`; empty when not measured. */
export function percent(share: number | undefined): string {
  return share === undefined ? '' : `${(100 * share).toFixed(2)} %`;
}

/** `12,345` */
export function grouped(count: number): string {
  return count.toLocaleString('en-US');
}

/** Bytes as `9.9 MB`. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** `fenchel, seed 1` */
export function runName({ label, seed }: RunId): string {
  return `${label}, seed ${seed}`;
}

/** A path as one would type it here: relative when it lies below the current directory. */
export function shortPath(path: string): string {
  const fromHere = relative(process.cwd(), path);
  const below = fromHere !== '' && fromHere !== '..' && !fromHere.startsWith(`..${sep}`);
  return below ? fromHere : path;
}

/** `1 run`, `3 runs`. */
export function plural(count: number, noun: string): string {
  return `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** A difference of shares in percentage points, with its sign: `+0.92`. */
export function points(difference: number, digits = 2): string {
  const text = (100 * difference).toFixed(digits);
  return difference >= 0 || Number(text) === 0 ? `+${text.replace('-', '')}` : text;
}
