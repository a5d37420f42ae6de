import { stringify } from 'csv-stringify/sync';
import { type ListedRun, type Listing, look, type Value } from '../../report/listing.js';
import { alignTable, missing, type Table } from '../../report/table.js';
import { isAccuracyColumn } from '../../runs/metrics.js';
import { duration, inPercent, plural, printable, significant } from '../../shared/text.js';
import type { TableForm } from '../options.js';
import { markdown, shortPath } from './print.js';

/** Fields that are text; the others are numbers, aligned to the right. */
const textFields = ['directory', 'experiment', 'method', 'status', 'dataset', 'network', 'backend'];

/** What `fln ls` prints of the runs found. */
export function formatListing(
  { runs, matching, problems }: Listing,
  columns: readonly string[],
  form: TableForm,
): string {
  if (form === 'json') {
    const records = runs.map((run) =>
      Object.fromEntries(columns.map((name) => [name, look(run, name)])),
    );
    return `${JSON.stringify({ runs: records, matching, problems }, null, 2)}\n`;
  }
  if (form === 'csv') {
    const rows = runs.map((run) => columns.map((name) => look(run, name)));
    return stringify([columns, ...rows] as Value[][], { cast: { boolean: String } });
  }
  const shown = [...columns].sort((a, b) => Number(isNumeric(a)) - Number(isNumeric(b)));
  const table: Table = {
    head: shown,
    rows: runs.map((run) => shown.map((name) => cell(name, look(run, name)))),
  };
  const left = shown.findIndex(isNumeric);
  const wordColumns = left < 0 ? shown.length : left;
  if (form === 'markdown') return markdown(table, wordColumns);
  const rest = matching - runs.length;
  const more = rest > 0 ? `... and ${rest} more of ${plural(matching, 'run')}\n` : '';
  return `${alignTable(table, wordColumns).join('\n')}\n${more}`;
}

/** Default columns: those with values in these runs, and the mentioned ones. */
export function defaultColumns(runs: readonly ListedRun[], mentioned: readonly string[]): string[] {
  const measured = ['validation_accuracy', 'test_accuracy', 'test_loss', 'train_s'].filter((name) =>
    runs.some((run) => look(run, name) !== undefined),
  );
  const basic = ['directory', 'method', 'seed', 'status', ...measured, 'started'];
  return [...new Set([...basic, ...mentioned])];
}

const isNumeric = (name: string) => !textFields.includes(name);

/** `2026-01-31 09:05 UTC`, wherever it was written. */
function timeText(value: string): string {
  const time = new Date(value);
  if (Number.isNaN(time.getTime())) return printable(value);
  return `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function cell(name: string, value: Value): string {
  if (value === undefined || value === null) return missing;
  if (name === 'directory') return printable(shortPath(String(value)));
  if (name === 'started' || name === 'ended') return timeText(String(value));
  if (typeof value !== 'number') return printable(String(value));
  if (isAccuracyColumn(name)) return inPercent(value);
  if (name === 'train_s') return duration(value);
  if (name.endsWith('loss') || name === 'step_ms') return significant(value);
  return String(value);
}
