import { relative, sep } from 'node:path';
import type { Augmentation, Stream } from '../../core/dataset.js';
import type { Table } from '../../report/table.js';
import { grouped, withoutControls } from '../../shared/text.js';

/**
 * Prints to stdout, which is only for the result of a command. File names may contain control characters.
 */
export function printText(text: string): void {
  process.stdout.write(withoutControls(text));
}

/** {@link printText} with a line end. */
export const print = (text: string): void => printText(`${text}\n`);

/** Prints a line to stderr, for everything except the result. */
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

/** A path, relative to the current directory if it is below it. */
export function shortPath(path: string): string {
  const fromHere = relative(process.cwd(), path);
  const below = fromHere !== '' && fromHere !== '..' && !fromHere.startsWith(`..${sep}`);
  return below ? fromHere : path;
}

/** `augmented in each epoch: flip alternating, translate 2` */
export function augmentationText(augment: Augmentation): string {
  const parts = Object.entries(augment).map(([key, value]) => `${key} ${value}`);
  return `augmented in each epoch: ${parts.join(', ')}`;
}

/** `a new task in each epoch: 10,000 images, permuted pixels` */
export function streamText({ taskSize, permute }: Stream): string {
  const size = taskSize === undefined ? 'all' : grouped(taskSize);
  return `a new task in each epoch: ${size} images, permuted ${permute}`;
}

/** @param words number of columns, from the first, that are text and aligned to the left */
export function markdown({ head, rows }: Table, words: number): string {
  const rule = head.map((_, column) => (column < words ? '---' : '---:'));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return `${[head, rule, ...rows].map(line).join('\n')}\n`;
}

/** The message when none of the given folders has what a command needs, with the reasons. */
export function nothingFound(
  what: string,
  problems: readonly { readonly message: string }[],
  writers = '"fln run" has',
): string {
  const reasons = problems.map(({ message }) => `\n  ${message}`).join('');
  return `${what}.${reasons}\nGive a directory that ${writers} written.`;
}
