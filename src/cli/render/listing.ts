import type { ListedRun, Listing, Value } from '../../report/listing.js';
import { look } from '../../report/listing.js';
import { missing, type Table } from '../../report/table.js';
import { duration, inPercent, plural, printable, significant } from '../../shared/text.js';
import { shortPath } from './print.js';
import { csv, markdown, plainTable, type TableForm } from './records.js';

/** Fields that hold words; the others are numbers, aligned to the right. */
const words = ['directory', 'experiment', 'method', 'status', 'dataset', 'network', 'backend'];

/** What `fln ls` prints of the runs found. */
export function formatListing(
  { runs, matching, problems }: Listing,
  columns: readonly string[],
  form: TableForm,
): string {
  if (form === 'json') {
    const records = runs.map((run) => recordOf(run, columns));
    return `${JSON.stringify({ runs: records, matching, problems }, null, 2)}\n`;
  }
  if (form === 'csv') {
    return csv(
      columns,
      runs.map((run) => columns.map((name) => look(run, name))),
    );
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
  return plainTable(table, wordColumns) + more;
}

/** The columns that are shown unless others are asked for: those that say something of these runs. */
export function defaultColumns(runs: readonly ListedRun[], mentioned: readonly string[]): string[] {
  const measured = ['validation_accuracy', 'test_accuracy', 'test_loss', 'train_s'].filter((name) =>
    runs.some((run) => look(run, name) !== undefined),
  );
  const basic = ['directory', 'method', 'seed', 'status', ...measured, 'started'];
  return [...new Set([...basic, ...mentioned])];
}

const isNumeric = (name: string) => !words.includes(name);

function recordOf(run: ListedRun, columns: readonly string[]): Record<string, Value> {
  return Object.fromEntries(columns.map((name) => [name, look(run, name)]));
}

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
  if (name.endsWith('accuracy')) return inPercent(value);
  if (name === 'train_s') return duration(value);
  if (name.endsWith('loss') || name === 'step_ms') return significant(value);
  return String(value);
}
