import { alignTable, missing } from '../../report/table.js';
import { plural, printable } from '../../shared/text.js';
import { nameParameters } from '../../sweep/names.js';
import { sweepPaths } from '../../sweep/paths.js';
import { describeCounts } from '../../sweep/plan.js';
import { metricText, textOf } from '../../sweep/report/parameter-axis.js';
import type { Overrides } from '../../sweep/search.js';
import { bestTrial, ranked, type SweepStatus } from '../../sweep/status.js';
import { shortPath } from './format.js';

const shown = 10;

/** `learningRate=0.1 epochs=2`: paths by their last part, where that tells them apart. */
export function settings(overrides: Overrides): string {
  const names = nameParameters(Object.keys(overrides));
  return Object.entries(overrides)
    .map(([path, value]) => `${names.get(path)}=${printable(textOf(value))}`)
    .join(' ');
}

/** Where a sweep stands: counts, the best trials, and those that failed with their reasons. */
export function formatSweep(directory: string, status: SweepStatus): string {
  const { manifest, trials, counts } = status;
  const current = trials.filter(({ trial }) => !trial.retired);
  const retired = trials.length - current.length;
  const more = retired > 0 ? `; ${retired} retired, which the sweep file no longer has` : '';
  const lines = [
    `${manifest.name}: ${plural(current.length, 'trial')}: ${describeCounts(counts)}${more}`,
  ];
  const best = ranked(status);
  const { column, goal, method } = manifest.metric;
  if (best.length > 0) {
    const rows = best
      .slice(0, shown)
      .map(({ trial, value }, i) => [
        trial.retired ? missing : String(i + 1),
        trial.id,
        `${settings(trial.overrides)}${trial.retired ? ' (retired)' : ''}`,
        metricText(column, value),
      ]);
    const head = ['', 'trial', 'settings', column];
    const of = method === undefined ? 'the best method' : method;
    lines.push('', `Best trials (${goal} ${column} of ${of}):`, ...alignTable({ head, rows }, 3));
    if (best.length > shown) lines.push(`... and ${best.length - shown} more; --json lists all`);
  }
  const failed = current.filter(({ state }) => state.status === 'FAILED');
  if (failed.length > 0) {
    lines.push('', 'Failed:');
    for (const { trial, state } of failed.slice(0, shown)) {
      const reason = printable((state.error ?? 'no reason is recorded').split('\n')[0]);
      lines.push(`  ${trial.id} ${settings(trial.overrides)}: ${reason}`);
    }
    if (failed.length > shown) lines.push(`  ... and ${failed.length - shown} more`);
    const log = sweepPaths(directory).log(failed[0].trial.id);
    lines.push(`  What they printed: ${shortPath(log)}`);
  }
  return lines.join('\n');
}

/** Everything, for programs. */
export function sweepJson(directory: string, status: SweepStatus) {
  const { manifest, counts, trials } = status;
  return {
    directory,
    name: manifest.name,
    metric: manifest.metric,
    counts,
    best: bestTrial(status)?.trial.id,
    trials: trials.map(({ trial, state, value }) => ({ ...trial, ...state, value })),
  };
}
