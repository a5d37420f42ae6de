import { UsageError } from '../errors.js';
import { withoutControls } from '../shared/text.js';
import { type Path, type Place, pathText } from './tree.js';

/** One problem of a config. */
export interface ConfigIssue {
  /** Empty for a problem of the file as a whole. */
  readonly path: Path;
  /** What is wrong and how to fix it, without the place. */
  readonly message: string;
  readonly place: Place;
}

/** The text in which the places of issues are. */
export interface Source {
  readonly file: string;
  readonly text: string;
}

/** All problems of a config, in one message. */
export class ConfigError extends UsageError {
  override name = 'ConfigError';

  constructor(
    source: Source,
    readonly issues: readonly ConfigIssue[],
  ) {
    super(formatIssues(source, issues));
  }
}

const maxShown = 100;

/** `file:line:column path: what is wrong`, the source line and a caret, for every issue in file order. */
export function formatIssues({ file, text }: Source, issues: readonly ConfigIssue[]): string {
  const lines = text.split(/\r?\n/);
  const sorted = [...issues].sort((a, b) => position(a) - position(b));
  const shown = sorted.slice(0, maxShown).map((issue) => formatIssue(file, lines, issue));
  if (issues.length > maxShown) shown.push(`... and ${issues.length - maxShown} more.`);
  if (issues.length > 1) shown.push(`${issues.length} problems.`);
  return shown.join('\n');
}

function formatIssue(file: string, lines: readonly string[], issue: ConfigIssue): string {
  const { place } = issue;
  const path = pathText(issue.path);
  if (place.from === 'command line') {
    const target = place.override.split('=', 1)[0].trim();
    const where = path === '' || path === target ? '' : ` (${path})`;
    return oneLine(`command line: ${place.override}${where}: ${issue.message}`);
  }
  const head = `${file}:${place.line}:${place.column}${path && ` ${path}`}: ${issue.message}`;
  const line = lines[place.line - 1] ?? '';
  // A very long line is cut to a window around the caret.
  const start = place.column > 80 ? place.column - 41 : 0;
  const window = line.slice(start, start + 100);
  const number = String(place.line);
  const before = start > 0 ? '...' : '';
  const after = start + 100 < line.length ? '...' : '';
  const indent = ' '.repeat(before.length + place.column - 1 - start);
  const length = Math.min(place.length, window.length - (place.column - 1 - start));
  return [
    oneLine(head),
    `  ${number} | ${oneLine(before + window + after)}`,
    `  ${' '.repeat(number.length)} | ${indent}${'^'.repeat(Math.max(1, length))}`,
  ].join('\n');
}

/** Command-line issues come after those of the file. */
function position({ place }: ConfigIssue): number {
  return place.from === 'file' ? place.line * 1e7 + place.column : Number.MAX_SAFE_INTEGER;
}

/** Without line feeds in quoted text, so that carets stay below what they point at. */
function oneLine(line: string): string {
  return withoutControls(line).replaceAll('\n', ' ');
}
