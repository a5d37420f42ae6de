import { basename, join } from 'node:path';
import { UsageError } from '../errors.js';
import { isFolder } from '../files/folder.js';
import type { Length } from '../report/figure-sized.js';
import type { FigureFormat } from '../report/write-report.js';
import { once } from './options.js';

/** Formats of `fln plot`, by the extensions of its files. */
export const formats = [
  'svg',
  'png',
  'pdf',
  'html',
  'csv',
] as const satisfies readonly FigureFormat[];

/** A metre in each unit. */
const most = { mm: 1000, cm: 100, in: 40, pt: 2835, px: 3780 } as const;

/** `84mm` as a length. */
export const lengthOf =
  (name: string) =>
  (value: string | string[] | undefined): Length | undefined => {
    const given = once(name)(value);
    if (given === undefined) return undefined;
    const [, digits, unit] = /^(\d+\.?\d*|\.\d+)(mm|cm|in|pt|px)$/.exec(given) ?? [];
    const length = { value: Number(digits), unit } as Length;
    if (unit !== undefined && length.value > 0 && length.value <= most[length.unit]) return length;
    throw new UsageError(
      `--${name}: expected a length with its unit, as in 84mm, 3.3in or 600px, of at most 1000mm, got "${given}"`,
    );
  };

/** A number of points, with or without `pt`. */
export function fontSizeOf(value: string | string[] | undefined): number | undefined {
  const given = once('font-size')(value);
  if (given === undefined) return undefined;
  const size = Number(/^(\d+\.?\d*)(pt)?$/.exec(given)?.[1]);
  if (size >= 4 && size <= 72) return size;
  throw new UsageError(`--font-size: expected a number of points from 4 to 72, got "${given}"`);
}

/** `--out`, as often as it is given. @throws UsageError for the extension of another format */
export function outsOf(value: string | string[] | undefined): string[] | undefined {
  if (value === undefined) return undefined;
  const outs = [value].flat();
  for (const out of outs) {
    if (out === '') throw new UsageError('--out needs a value');
    if (isFolder(out) || /[/\\]$/.test(out)) continue;
    // `run.v2` and `lr0.1` are names.
    const other = /\.([a-z]{1,5}|7z|bz2|jp2)$/i.exec(out)?.[1];
    if (other === undefined || formats.some((format) => format === other.toLowerCase())) continue;
    throw new UsageError(
      `--out ${out}: cannot write figures as .${other}. Give a file that ends in ` +
        `${formats.map((name) => `.${name}`).join(', ')}, or NAME without extension, to write NAME.svg, NAME.png and NAME.html`,
    );
  }
  return outs;
}

/**
 * The files to write.
 * @param outs files, names without extension or folders
 * @param name of a file in a folder, without extension
 * @param formats.usual where `outs` gives no extension; `more`: beside each of `outs`
 */
export function targets(
  outs: readonly string[],
  name: string,
  { usual, more }: { readonly usual: readonly string[]; readonly more: readonly string[] },
): string[] {
  const files = outs.flatMap((out) => {
    const goesInto = /[/\\]$/.test(out) || isFolder(out);
    const known = formats.find((format) => out.toLowerCase().endsWith(`.${format}`));
    const file = known !== undefined && !goesInto;
    const base = goesInto
      ? join(out, basename(name))
      : file
        ? out.slice(0, -known.length - 1)
        : out;
    return [
      ...(file ? [out] : usual.map((format) => `${base}.${format}`)),
      ...more.map((format) => `${base}.${format}`),
    ];
  });
  return [...new Set(files)];
}
