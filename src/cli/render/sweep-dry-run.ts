import { sizeText } from '../../shared/size.js';
import { plural, shellCommand } from '../../shared/text.js';
import type { SweepCheck } from '../../sweep/check.js';
import type { Sweep } from '../../sweep/load.js';
import type { SweepPlan } from '../../sweep/plan.js';
import type { SlurmPreview } from '../../sweep/slurm/launcher.js';
import { shortPath } from './format.js';
import { settings } from './sweep-table.js';

/** What `fln sweep --dry-run` would run, and how Slurm would be told, where it would. */
export function formatSweepDryRun(
  sweep: Sweep,
  plan: SweepPlan,
  check?: SweepCheck,
  slurm?: SlurmPreview,
): string {
  const { directory, status } = plan;
  const due = dueOf(plan, slurm);
  const equal = sweep.duplicates > 0 ? `; ${sweep.duplicates} more equal one of them` : '';
  const kept = status.trials.length - due.length;
  return [
    `${sweep.config.name}: the sweep is valid, with ${plural(sweep.trials.length, 'trial')}${equal}. Nothing was written.`,
    `Sweep: ${shortPath(directory)}`,
    ...(check ? found(check) : []),
    ...(slurm ? ['Data and backend: each trial checks those of its node'] : []),
    `Would run ${plural(due.length, 'trial')}${kept > 0 ? `, keep ${kept}` : ''}:`,
    ...due.map(({ id, overrides }) => `  ${id}  ${settings(overrides)}`),
    ...(slurm?.submissions ?? []).flatMap(describeSubmission),
  ].join('\n');
}

function found({ backends, datasets }: SweepCheck): string[] {
  return [
    ...datasets.map(({ name, downloadBytes }) =>
      downloadBytes === 0
        ? `Data: ${name}, generated or intact on this machine`
        : `Data: ${name}, would be downloaded (${sizeText(downloadBytes)}); the mirrors were not contacted`,
    ),
    ...backends.map(
      ({ gpu, name, version, detail }) =>
        `Backend${gpu === undefined ? '' : ` on GPU ${gpu}`}: ${name} ${version} (${detail})`,
    ),
  ];
}

/** The same for programs. */
export function sweepDryRunJson(plan: SweepPlan, check?: SweepCheck, slurm?: SlurmPreview) {
  const trials = dueOf(plan, slurm).map(({ id, overrides }) => ({ id, overrides }));
  return { directory: plan.directory, trials, ...check, slurm: slurm?.submissions };
}

/** Slurm may have some of them already. */
function dueOf({ due }: SweepPlan, slurm: SlurmPreview | undefined) {
  const submitted = new Set(slurm?.submissions.flatMap(({ trials }) => trials));
  return due.filter(({ id }) => !slurm || submitted.has(id));
}

function describeSubmission(
  { trials, command, script }: SlurmPreview['submissions'][number],
  index: number,
  all: SlurmPreview['submissions'],
): string[] {
  const which = all.length === 1 ? '' : ` (job ${index + 1} of ${all.length})`;
  const head = ['', `Would submit ${plural(trials.length, 'trial')}${which}:`];
  const told = ['', shellCommand(command)];
  if (index > 0) return [...head, ...told];
  const others = all.length === 1 ? '' : '; those of the other jobs differ in the list of trials';
  return [...head, ...told, '', `${command.at(-1)}${others}:`, '', script.trimEnd()];
}
