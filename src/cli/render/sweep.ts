import cliProgress from 'cli-progress';
import { alignTable, missing } from '../../report/table.js';
import {
  grouped,
  inPercent,
  plural,
  printable,
  shellCommand,
  sizeText,
} from '../../shared/text.js';
import type { SweepCheck } from '../../sweep/check.js';
import { halvingSummary } from '../../sweep/halving/record.js';
import type { SweepEvent } from '../../sweep/launcher.js';
import type { Sweep, Trial } from '../../sweep/load.js';
import { sweepPaths } from '../../sweep/paths.js';
import { describeCounts, type SweepPlan } from '../../sweep/plan.js';
import {
  budgetText,
  metricText,
  nameParameters,
  rungsTable,
  textOf,
} from '../../sweep/report/sweep-view.js';
import type { Overrides } from '../../sweep/search.js';
import type { SlurmPreview } from '../../sweep/slurm/launcher.js';
import { isPaused, type TrialState } from '../../sweep/state.js';
import { bestTrial, ranked, type SweepStatus, trialStatus } from '../../sweep/status.js';
import { shortPath } from './print.js';

const shown = 10;

/** `learningRate=0.1 epochs=2` */
export function settings(overrides: Overrides): string {
  const names = nameParameters(Object.keys(overrides));
  return Object.entries(overrides)
    .map(([path, value]) => `${names.get(path)}=${printable(textOf(value))}`)
    .join(' ');
}

/** The state of a sweep: counts, the best trials, and the failed ones with their reasons. */
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
  const search = halvingSummary(status);
  if (search) {
    const state = search.isFinished ? 'finished' : 'not finished';
    lines.push('', `Rungs (${state}):`, ...alignTable(rungsTable(search, column), 0));
    lines.push(budgetText(search));
  }
  if (best.length > 0) {
    const rows = best
      .slice(0, shown)
      .map(({ trial, value, epoch }, i) => [
        trial.retired ? missing : String(i + 1),
        trial.id,
        `${settings(trial.overrides)}${trial.retired ? ' (retired)' : ''}`,
        ...(search ? [String(epoch ?? missing)] : []),
        metricText(column, value),
      ]);
    const head = ['', 'trial', 'settings', ...(search ? ['epochs'] : []), column];
    const of = method === undefined ? 'the best method' : method;
    lines.push('', `Best trials (${goal} ${column} of ${of}):`, ...alignTable({ head, rows }, 3));
    if (best.length > shown) lines.push(`... and ${best.length - shown} more; --json lists all`);
    if (search?.isFinished && !best[0].trial.retired) {
      const config = shortPath(sweepPaths(directory).config(best[0].trial.id));
      const command = shellCommand(['fln', 'run', config, 'evaluate.test=last']);
      lines.push('', `To train the best trial and measure it once on the test set: ${command}`);
    }
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
    lines.push(`  Log of the first: ${shortPath(log)}`);
  }
  return lines.join('\n');
}

/** The state of a sweep for --json. */
export function sweepJson(directory: string, status: SweepStatus) {
  const { manifest, counts, trials } = status;
  return {
    directory,
    name: manifest.name,
    metric: manifest.metric,
    counts,
    best: bestTrial(status)?.trial.id,
    halving: halvingSummary(status),
    trials: trials.map(({ trial, state, value, epoch }) => ({
      ...trial,
      ...state,
      status: trialStatus(state),
      value,
      epoch,
    })),
  };
}

/** The trials that `fln sweep --dry-run` lists, and the Slurm jobs that it would submit. */
export function formatSweepDryRun(
  sweep: Sweep,
  plan: SweepPlan,
  check?: SweepCheck,
  slurm?: SlurmPreview,
): string {
  const { directory, status } = plan;
  const due = dueOf(plan, slurm);
  const equal = sweep.duplicates > 0 ? `; ${plural(sweep.duplicates, 'duplicate')} left out` : '';
  const kept = status.trials.length - due.length;
  return [
    `${sweep.config.name}: the sweep is valid, with ${plural(sweep.trials.length, 'trial')}${equal}. Nothing was written.`,
    `Sweep: ${shortPath(directory)}`,
    ...rungsOf(plan),
    ...(check ? found(check) : []),
    ...(slurm ? ['Data and backend: each trial checks those of its node'] : []),
    `Would run ${plural(due.length, 'trial')}${kept > 0 ? `, keep ${kept}` : ''}:`,
    ...due.map(({ id, overrides }) => `  ${id}  ${settings(overrides)}`),
    ...(slurm?.submissions ?? []).flatMap(describeSubmission),
  ].join('\n');
}

/** The rungs of a search, and what it costs at most. */
function rungsOf({ status }: SweepPlan): string[] {
  const search = halvingSummary(status);
  if (search === undefined) return [];
  const { rungs, most, full, eta } = search;
  const each = rungs.map(
    ({ epoch, most }) => `${plural(most, 'trial')} to epoch ${grouped(epoch)}`,
  );
  return [
    `Halving, eta ${eta}: at most ${each.join(', ')}`,
    `Epochs over all trials and seeds: at most ${grouped(most)}; all trials in full: ${grouped(full)} (at most ${inPercent(most / full)})`,
  ];
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

/** {@link formatSweepDryRun} for --json. */
export function sweepDryRunJson(plan: SweepPlan, check?: SweepCheck, slurm?: SlurmPreview) {
  const trials = dueOf(plan, slurm).map(({ id, overrides }) => ({ id, overrides }));
  const halving = halvingSummary(plan.status);
  return { directory: plan.directory, trials, halving, ...check, slurm: slurm?.submissions };
}

/** Without trials that are already in Slurm. */
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
  const lines = [...head, '', shellCommand(command)];
  if (index > 0) return lines;
  const others =
    all.length === 1 ? '' : '; the scripts of the other jobs differ only in the list of trials';
  return [...lines, '', `${command.at(-1)}${others}:`, '', script.trimEnd()];
}

/** Shows progress: a line for each trial that ends, and on a terminal a bar. */
export function createSweepProgress(
  mode: 'bar' | 'text' | 'none',
  note: (text: string) => void,
  trials: readonly Trial[],
): { readonly listen: (event: SweepEvent) => void; readonly pause: () => void } {
  if (mode === 'none') {
    const listen = (event: SweepEvent) => {
      if (event.type === 'warning') note(`warning: ${event.message}`);
    };
    return { listen, pause: () => {} };
  }
  const named = new Map(trials.map((trial) => [trial.id, settings(trial.overrides)]));
  const shares = new Map<string, number>();
  let due = 0;
  let ended = 0;
  let failed = 0;
  let bar: cliProgress.SingleBar | undefined;
  const draw = () => {
    const done = ended + [...shares.values()].reduce((sum, share) => sum + share, 0);
    bar?.update(done, { ended, running: shares.size, failed });
  };
  // Redraws the bar below the line.
  const say = (text: string) => {
    if (!bar) return note(text);
    bar.stop();
    note(text);
    bar.start(due, ended, { ended, running: shares.size, failed });
  };
  const listen = (event: SweepEvent) => {
    switch (event.type) {
      case 'directory':
        return note(`Sweep: ${shortPath(event.path)}`);
      case 'begun': {
        due = event.trainings ?? event.due;
        note(
          event.trainings === undefined
            ? `${plural(due, 'trial')} to run, ${grouped(event.kept)} kept`
            : `${plural(event.due, 'trial')} in the search, at most ${plural(due, 'training')} from rung to rung left`,
        );
        if (mode === 'bar' && due > 0) {
          bar = createBar();
          bar.start(due, 0, { ended, running: 0, failed });
        }
        return;
      }
      case 'trial-started':
        shares.set(event.id, 0);
        return draw();
      case 'trial-progress':
        if (shares.has(event.id)) shares.set(event.id, event.share);
        return draw();
      case 'trial-ended': {
        shares.delete(event.state.id);
        ended++;
        if (event.state.status === 'FAILED') failed++;
        return say(`[${ended}/${due}] ${endLine(event.state, named.get(event.state.id) ?? '')}`);
      }
      case 'submitted':
        return note(`Submitted ${plural(event.trials, 'trial')} as Slurm job ${event.job}`);
      case 'warning':
        return say(`warning: ${event.message}`);
    }
  };
  const pause = () => {
    bar?.stop();
    bar = undefined;
  };
  return { listen, pause };
}

function endLine(state: TrialState, varied: string): string {
  const { id, status, error, rungs = [], results = [] } = state;
  const reason = status === 'FAILED' && error ? `: ${error.split('\n')[0]}` : '';
  const last = rungs.at(-1);
  const [result, ...others] = last?.results ?? results;
  const accuracy = others.length > 0 ? undefined : result?.validation_accuracy;
  const measured = accuracy === undefined ? '' : `, validation accuracy ${inPercent(accuracy)}`;
  if (isPaused(state)) return `${id} ${varied}: paused after epoch ${last?.epoch}${measured}`;
  return `${id} ${varied}: ${status.toLowerCase()}${reason}${status === 'COMPLETED' ? measured : ''}`;
}

function createBar(): cliProgress.SingleBar {
  return new cliProgress.SingleBar({
    stream: process.stderr,
    format:
      '{bar} {ended}/{total} trials  {running} running  {failed} failed  {eta_formatted} left',
    barsize: 20,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    fps: 4,
    clearOnComplete: true,
    stopOnComplete: false,
    hideCursor: false,
    gracefulExit: false,
  });
}
