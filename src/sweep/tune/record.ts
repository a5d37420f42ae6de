import { existsSync } from 'node:fs';
import { basename, relative, sep } from 'node:path';
import { stringify } from 'csv-stringify/sync';
import { isMap, isSeq } from 'yaml';
import { configYaml } from '../../config/print.js';
import type { TuningCost } from '../../config/schema.js';
import { writeFileAtomic } from '../../files/atomic.js';
import { lastBatch, lastValue, loadRunDirectory, type Run } from '../../runs/run-directory.js';
import { finalResult } from '../../runs/summary.js';
import { average, type Estimate, estimate } from '../../shared/statistics.js';
import { inPercent } from '../../shared/text.js';
import { openTrials } from '../halving/record.js';
import { sweepPaths } from '../paths.js';
import {
  bestTrial,
  type SweepStatus,
  sweepStatus,
  type TrialReport,
  type TrialStatus,
  trialStatus,
} from '../status.js';
import { type Tuning, tunePaths } from './plan.js';
import { labelsIn } from './run-tuning.js';

/** One trial, over its seeds. */
export interface TrialRecord {
  /** From 1, the settings of the experiment. */
  readonly trial: number;
  /** Name of its files in the sweep directory. */
  readonly id: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly status: TrialStatus;
  /** Mean over the seeds. */
  readonly epochs: number;
  /** Of all seeds. */
  readonly batches: number;
  /** Training time of all seeds, without evaluation. */
  readonly seconds: number;
  /** Validation accuracy after the last batch, or at the last rung; absent while it trains, and where it failed. */
  readonly accuracy?: Estimate;
  readonly error?: string;
}

export interface MethodRecord {
  readonly label: string;
  /** Searched fields. */
  readonly fields: readonly string[];
  readonly trials: readonly TrialRecord[];
  readonly batches: number;
  readonly seconds: number;
  /** Trials that are yet to be trained. */
  readonly open: number;
  /** The trial with the largest validation accuracy, of those that were trained longest. */
  readonly best?: TrialRecord;
}

/** The trials of each method that was tuned in a directory, from the files there. */
function readTuning(directory: string): MethodRecord[] {
  return labelsIn(directory).flatMap((label) => {
    const status = sweepStatus(tunePaths(directory).sweep(label));
    return status === undefined ? [] : [recordOf(directory, label, status)];
  });
}

function recordOf(directory: string, label: string, status: SweepStatus): MethodRecord {
  const { manifest } = status;
  const start = `methods.${label}.`;
  const trials = status.trials.map((report, i) => {
    const settings = Object.entries(report.trial.overrides).map(([path, value]) => [
      path.slice(start.length),
      value,
    ]);
    return {
      trial: i + 1,
      settings: Object.fromEntries(settings),
      ...trialRecord(sweepPaths(tunePaths(directory).sweep(label)).trial(report.trial.id), report),
    };
  });
  const best = bestTrial(status)?.trial.id;
  const hasEnded = ({ state }: TrialReport) =>
    state.status === 'COMPLETED' || state.status === 'FAILED';
  return {
    label,
    fields: manifest.parameters.map((path) => path.slice(start.length)),
    trials,
    batches: trials.reduce((sum, { batches }) => sum + batches, 0),
    seconds: trials.reduce((sum, { seconds }) => sum + seconds, 0),
    open: openTrials(status).filter((report) => !hasEnded(report)).length,
    best: trials.find(({ id }) => id === best),
  };
}

function trialRecord(path: string, { trial, state }: TrialReport) {
  const runs = existsSync(path) ? loadRunDirectory(path, 'last row').runs : [];
  const batches = runs.map(({ metrics }) => lastBatch(metrics));
  const accuracies = runs.flatMap((run) => accuracyOf(run) ?? []);
  const epochs = runs.map(({ metrics }) => lastValue(metrics, 'epoch') ?? 0);
  return {
    id: trial.id,
    status: trialStatus(state),
    epochs: runs.length > 0 ? Number(average(epochs).toPrecision(4)) : 0,
    batches: batches.reduce((sum, count) => sum + count, 0),
    seconds: runs.reduce((sum, { metrics }) => sum + (lastValue(metrics, 'wall_s') ?? 0), 0),
    ...(accuracies.length === runs.length && { accuracy: estimate(accuracies) }),
    ...(state.error !== undefined && { error: state.error.split('\n')[0] }),
  };
}

function accuracyOf(run: Run): number | undefined {
  if (run.paused) return run.paused.validationAccuracy;
  const result = finalResult(run, 'any');
  return 'missing' in result ? undefined : result.validationAccuracy;
}

/** One line a trial; a setting that a method does not have, or that is not searched, is empty. */
function tuningCsv(methods: readonly MethodRecord[]): string {
  const fields = [...new Set(methods.flatMap((method) => method.fields))];
  const text = (value: unknown) =>
    typeof value === 'object' || typeof value === 'boolean' ? JSON.stringify(value) : value;
  const number = (value: number | undefined) =>
    value === undefined ? undefined : Number(value.toPrecision(9));
  const records = methods.flatMap(({ label, trials }) =>
    trials.map((trial) => ({
      method: label,
      trial: trial.trial,
      id: trial.id,
      ...Object.fromEntries(fields.map((field) => [field, text(trial.settings[field])])),
      status: trial.status,
      epochs: trial.epochs,
      batches: trial.batches,
      seconds: number(trial.seconds),
      validation_accuracy: number(trial.accuracy?.mean),
      half_width_95: number(trial.accuracy?.halfWidth),
    })),
  );
  return stringify(records, { header: true });
}

/** What the settings of a method cost to find. */
const costOf = ({ trials, batches, seconds, best }: MethodRecord, record: string): TuningCost => ({
  trials: trials.length,
  batches,
  seconds: Number(seconds.toPrecision(6)),
  ...(best?.accuracy && { validationAccuracy: Number(best.accuracy.mean.toPrecision(6)) }),
  record,
});

/**
 * The experiment with the best settings of each method whose search has ended, and what they cost.
 * @param written the experiment before defaults
 * @param record path of the record of the trials
 */
function tunedConfig(
  written: Readonly<Record<string, unknown>>,
  methods: readonly MethodRecord[],
  record: string,
): string {
  const { $schema: _, tuning: earlier, methods: entries, ...rest } = written;
  const ended = methods.filter(({ open, best }) => open === 0 && best !== undefined);
  const found = new Map(ended.map((method) => [method.label, method]));
  const failed = methods.filter(({ open, best }) => open === 0 && best === undefined);
  const costs = ended.map((method) => [method.label, costOf(method, record)]);
  const labels = (entries as { name: string; label?: string }[]).map(
    ({ label, name }) => label ?? name,
  );
  const config = {
    ...rest,
    methods: (entries as object[]).map((entry, i) => {
      const best = found.get(labels[i])?.best;
      return best === undefined || best.trial === 1 ? entry : { ...entry, ...best.settings };
    }),
    tuning: { ...(earlier as object | undefined), ...Object.fromEntries(costs) },
  };
  return configYaml(config, (document) => {
    document.commentBefore = ` Written by fln tune: the best settings on the validation split, from ${record}.`;
    const list = document.get('methods');
    for (const [i, item] of (isSeq(list) ? list.items : []).entries()) {
      const method = found.get(labels[i]);
      if (!isMap(item)) continue;
      const hasFailed = failed.some(({ label }) => label === labels[i]);
      const without = hasFailed ? ' Not tuned: all trials failed.' : ' Not tuned.';
      item.commentBefore = method ? sourceOf(method) : without;
      item.flow = false;
    }
  });
}

function sourceOf({ trials, best }: MethodRecord): string {
  if (best?.accuracy === undefined) return '';
  const { mean, halfWidth } = best.accuracy;
  const interval = halfWidth === undefined ? '' : ` +- ${inPercent(halfWidth)}`;
  const as = best.trial === 1 ? ', the settings of the experiment' : '';
  return ` Trial ${best.trial} of ${trials.length}${as}: validation accuracy ${inPercent(mean)}${interval}`;
}

/**
 * Writes tuning.csv, and tuned.yaml once the search of a method has ended.
 * @returns all methods of the record, and the files
 */
export function writeTuning({ directory, written }: Tuning): {
  readonly methods: MethodRecord[];
  readonly files: string[];
} {
  const { record, tuned } = tunePaths(directory);
  const methods = readTuning(directory);
  writeFileAtomic(record, tuningCsv(methods));
  if (!methods.some(({ open, best }) => open === 0 && best)) return { methods, files: [record] };
  const fromHere = relative(process.cwd(), record);
  const named = fromHere.startsWith('..') ? basename(record) : fromHere.split(sep).join('/');
  writeFileAtomic(tuned, tunedConfig(written, methods, named));
  return { methods, files: [record, tuned] };
}
