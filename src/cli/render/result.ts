import { basename, dirname } from 'node:path';
import type { ExperimentResult } from '../../experiment/run.js';
import { formatTable } from '../../report/table.js';
import { aggregate } from '../../runs/summary.js';
import { plural, runName } from '../../shared/text.js';
import { shortPath } from './format.js';

/** What stdout shows at the end: the table, and where the files are. */
export function formatResult(result: ExperimentResult): string {
  const summaries = result.runs.flatMap(({ summary }) => summary ?? []);
  // Stopped before anything ended, a table would hold dashes alone.
  const hasResults = summaries.some(({ status }) => status === 'COMPLETED' || status === 'FAILED');
  const lines = hasResults ? [formatTable(aggregate(summaries)), ''] : [];
  if (result.files.length > 0) {
    const files = result.files.map((path) =>
      dirname(path) === result.directory ? basename(path) : shortPath(path),
    );
    lines.push(`Written to ${shortPath(result.directory)}: ${files.join(', ')}`);
  }
  return lines.length > 0 ? `${lines.join('\n')}\n` : '';
}

/** What stderr says after the result: failures with their reasons, and the way on. */
export function notes({ status, runs, directory }: ExperimentResult): string[] {
  if (status === 'interrupted') {
    return runs.length === 0
      ? ['Interrupted before training; nothing was written.']
      : [`Interrupted. To resume ${shortPath(directory)}, repeat the command with --resume`];
  }
  const failed = runs.filter((run) => run.status === 'FAILED');
  const queued = runs.filter((run) => run.status === 'QUEUED');
  if (failed.length === 0) return [];
  const rest = queued.length > 0 ? `; ${plural(queued.length, 'run')} not started` : '';
  return [
    `${failed.length} of ${plural(runs.length, 'run')} failed${rest}:`,
    ...failed.map((run) => `  ${withName(runName(run), run.error ?? 'no reason is recorded')}`),
  ];
}

const withName = (name: string, reason: string) =>
  reason.startsWith(name) ? reason : `${name}: ${reason}`;

/** One JSON object for programs: the runs as in run.json, the methods over their seeds, the files. */
export function resultJson(result: ExperimentResult, exitCode: number): string {
  const summaries = result.runs.flatMap(({ summary }) => summary ?? []);
  const { directory, status, runs, files } = result;
  const content = { status, exitCode, directory, files, runs, methods: aggregate(summaries) };
  return `${JSON.stringify(content, null, 2)}\n`;
}
