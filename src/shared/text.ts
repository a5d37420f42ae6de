/** Numbers and untrusted text, formatted for messages, figures, tables and pages. */

/** A fraction as a percentage without the sign: 0.98421 -> `98.42`. */
export function percent(share: number, digits = 2): string {
  return (100 * share).toFixed(digits);
}

/** The same with the sign: `98.42 %`. */
export function inPercent(share: number): string {
  return `${percent(share)} %`;
}

/** A difference of shares in percentage points, with its sign: `+0.92`. */
export function points(difference: number, digits = 2): string {
  const text = (100 * difference).toFixed(digits);
  return difference >= 0 || Number(text) === 0 ? `+${text.replace('-', '')}` : text;
}

/** A threshold, without trailing zeros: 0.975 -> `97.5 %`. */
export function threshold(share: number): string {
  return `${Number((100 * share).toPrecision(6))} %`;
}

/** Seconds as a short duration: `0.42 s`, `31 s`, `5.2 min`, `2.1 h`. */
export function duration(seconds: number): string {
  if (seconds < 100) return `${significant(seconds)} s`;
  if (seconds < 3600) return `${significant(seconds / 60)} min`;
  return `${significant(seconds / 3600)} h`;
}

/** Bytes as a size of disk space or memory: `4.5 kB`, `9.9 MB`, `1.5 GB`. */
export function sizeText(bytes: number): string {
  if (bytes < 1e5) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Two significant digits, three from 100 on, never in exponent notation. */
export function significant(value: number): string {
  if (value === 0) return '0';
  const digits = Math.max(0, 1 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 6));
}

/** A run: `fenchel, seed 1`. Messages about one begin with this. */
export function runName(run: { readonly label: string; readonly seed: number }): string {
  return `${run.label}, seed ${run.seed}`;
}

/** `12,345` */
export function grouped(count: number): string {
  return count.toLocaleString('en-US');
}

/** `1 seed`, `3 seeds`, `10 classes`. */
export function plural(count: number, noun: string): string {
  const ending = noun.endsWith('s') ? 'es' : 's';
  return `${grouped(count)} ${noun}${count === 1 ? '' : ending}`;
}

/**
 * Text from a file, safe for one line of a terminal, an SVG or a page: control characters, which
 * XML forbids and terminals interpret, become spaces.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffe\uffff]+|\p{Surrogate}/gu;
  return text.replace(control, ' ');
}

/** Text escaped for HTML and XML, in elements and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Text as one word of a POSIX shell, in quotes. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A command line for a POSIX shell, with quotes only where they are needed. */
export function shellCommand(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : shellQuoted(word))).join(' ');
}

/**
 * Text of several lines, safe for a terminal: control characters other than line feeds, and those that change
 * the direction of text, become spaces. Messages quote files and paths, which may contain them.
 */
export function withoutControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, ' ');
}
