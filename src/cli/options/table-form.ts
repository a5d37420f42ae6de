import { UsageError } from '../../errors.js';
import type { TableForm } from '../render/records.js';

/** Options of commands that print a table. */
export const tableFormOptions = {
  json: { type: 'boolean', default: false, describe: 'print JSON, and nothing else, on stdout' },
  csv: { type: 'boolean', default: false, describe: 'print CSV; accuracies are shares' },
  markdown: { type: 'boolean', default: false, describe: 'print a Markdown table' },
} as const;

export interface TableFormArguments {
  json: boolean;
  csv: boolean;
  markdown: boolean;
}

/** @throws UsageError when several are asked for */
export function tableFormOf(
  { json, csv, markdown }: TableFormArguments,
  command: string,
): TableForm {
  const chosen = Object.entries({ json, csv, markdown }).flatMap(([name, given]) =>
    given ? [name as TableForm] : [],
  );
  if (chosen.length <= 1) return chosen[0] ?? 'table';
  const names = chosen.map((name) => `--${name}`).join(' and ');
  throw new UsageError(`${names} are given together: choose one. See fln ${command} --help`);
}
