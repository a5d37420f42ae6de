import { UsageError } from '../errors.js';
import type { Problem, RunDirectory } from '../runs/run-directory.js';
import type { Setting } from '../runs/settings.js';
import { type Estimate, estimate, excludes } from '../shared/statistics.js';
import { provenanceOf } from './diff.js';
import {
  type FinalMeasure,
  type Method,
  measureName,
  measureOf,
  methodsOf,
  type Pairing,
  pairMethods,
  resultOf,
  whyNotPaired,
} from './pairing.js';
import {
  type Curve,
  compareThreshold,
  curveOf,
  hasCurve,
  highestReached,
  highestThresholds,
  type Reached,
  reachedBy,
  type ThresholdComparison,
} from './time-to-accuracy.js';

/**
 * Methods compared with a reference seed by seed. Over the pairs of runs with the same seed, of the method (a)
 * and the reference (b):
 *
 *   final accuracy   d = a - b    mean of d ± t s / sqrt(n), with their standard deviation s and Student's t, n - 1
 *   batches, time    r = a / b    exp of the mean and interval of log r: geometric mean
 *
 * Nothing is imputed: a run without a result, or that does not reach an accuracy, has no pair and is named.
 */
export interface PairedComparison {
  readonly reference: ComparedMethod;
  /** The split on which accuracies were measured during training; absent where they were not. */
  readonly curve?: Curve;
  /** Accuracies in [0, 1], ascending. */
  readonly thresholds: readonly number[];
  /** Where the default thresholds are too high for the reference: one that it reaches with every seed. */
  readonly reachable?: number;
  /** Of each interval: 0.95, or more for simultaneous ones. */
  readonly confidenceLevel: number;
  /** Number of intervals in this comparison. */
  readonly intervals: number;
  readonly methods: readonly MethodComparison[];
}

/** A method over its completed seeds. */
export interface ComparedMethod {
  readonly directory: string;
  readonly experiment: string;
  readonly method: string;
  /** The algorithm, where the method's name does not determine it. */
  readonly variant?: string;
  readonly measure: FinalMeasure;
  /** Completed seeds. */
  readonly seeds: readonly number[];
  readonly final?: Estimate;
  /** In the order of the thresholds; empty where no accuracy was measured during training. */
  readonly reached: readonly Reached[];
  /** Of the config. */
  readonly epochs?: Setting;
  readonly batchSize?: Setting;
  /** Batches between evaluations. */
  readonly evaluateEvery?: Setting;
  /** Trials with which its settings were chosen, where the config says it. */
  readonly tuningTrials?: Setting;
}

export interface MethodComparison extends ComparedMethod {
  /** Final results of each seed that both have. */
  readonly pairs: readonly {
    readonly seed: number;
    readonly method: number;
    readonly reference: number;
  }[];
  /** Seeds of either without a pair, and which of the two lacks the result, and why. */
  readonly unpaired: readonly Unpaired[];
  /** Method minus reference; a share for accuracies. */
  readonly difference?: Estimate;
  /** Whether the interval excludes 0; absent for fewer than two pairs. */
  readonly separated?: boolean;
  /** In the order of the thresholds; empty where no accuracy was measured during training. */
  readonly ratios: readonly ThresholdComparison[];
  /** What differs between the machines, as in run.json: `cpu`, `backend.name`. Their times are not comparable. */
  readonly machine: readonly string[];
}

interface Unpaired {
  readonly seed: number;
  readonly lacking: 'method' | 'reference';
  readonly reason: string;
}

export interface PairedOptions {
  /** By default the two highest round ones that the reference reaches with every seed. */
  readonly thresholds?: readonly number[];
  /** Widens all intervals so that they hold simultaneously (Bonferroni). */
  readonly simultaneous?: boolean;
}

/**
 * Compares every other method with one; see {@link pairMethods}.
 * @param against `LABEL`, or `DIRECTORY/LABEL`
 * @returns a comparison for each reference, and what could not be paired
 * @throws UsageError when there is no such method, or nothing can be paired with it
 */
export function comparePaired(
  directories: readonly RunDirectory[],
  against: string,
  { thresholds, simultaneous = false }: PairedOptions = {},
): { comparisons: PairedComparison[]; problems: Problem[] } {
  const problems: Problem[] = [];
  const methods = directories.flatMap((directory) => methodsOf(directory, problems));
  const pairings = pairMethods(methods, against, problems).filter(
    (pairing) => pairing.methods.length > 0,
  );
  const compare = (intervals: number) =>
    pairings.map((pairing) => compareWith(pairing, thresholds, intervals));
  const comparisons = compare(1);
  refuseEmpty(comparisons, against, problems);
  if (thresholds && comparisons.every(({ curve }) => curve === undefined)) {
    throw new UsageError(
      '--threshold: these runs have no accuracies during training, in a metrics.csv, that could reach it',
    );
  }
  const intervals = comparisons.reduce((sum, comparison) => sum + comparison.intervals, 0);
  return {
    comparisons: simultaneous && intervals > 1 ? compare(intervals) : comparisons,
    problems,
  };
}

function refuseEmpty(
  comparisons: readonly PairedComparison[],
  against: string,
  problems: readonly Problem[],
): void {
  const methods = comparisons.flatMap((comparison) => comparison.methods);
  if (methods.some(({ pairs }) => pairs.length > 0)) return;
  const unpaired = methods.flatMap(({ directory, method, unpaired }) =>
    unpaired.map(
      ({ seed, lacking, reason }) =>
        `${directory}: ${method}: no pair for seed ${seed} (${lacking === 'method' ? method : against}: ${reason})`,
    ),
  );
  const reasons = [...problems.map(({ message }) => message), ...unpaired];
  if (reasons.length === 0) {
    reasons.push('there is no other method; give a run directory that has one, on the same data');
  }
  throw new UsageError(
    `nothing can be paired with ${against}:${reasons.map((each) => `\n  ${each}`).join('')}`,
  );
}

/**
 * The methods of a run directory, compared with the first.
 * @returns undefined where nothing has an interval: no method has two pairs
 */
export function compareWithFirst(directory: RunDirectory): PairedComparison | undefined {
  const [reference, ...others] = methodsOf(directory, []);
  const methods = others.filter((method) => whyNotPaired(method, reference) === undefined);
  if (methods.length === 0) return undefined;
  const comparison = compareWith({ reference, methods });
  return comparison.methods.some(({ pairs }) => pairs.length > 1) ? comparison : undefined;
}

/** @param simultaneous number of intervals that are to hold simultaneously with 95 % */
function compareWith(
  { reference, methods }: Pairing,
  wanted?: readonly number[],
  simultaneous = 1,
): PairedComparison {
  const curve = curveOf(reference, methods);
  const chosen = wanted ?? (curve ? highestThresholds(reference, curve) : []);
  const thresholds = [...new Set(chosen)].sort((a, b) => a - b);
  const at = { curve, thresholds };
  const alpha = 0.05 / simultaneous;
  const compared = methods.map((method) => compareMethod(method, reference, at, 1 - alpha / 2));
  return {
    reference: describe(reference, measureOf([reference, methods[0]]), at),
    curve,
    thresholds,
    ...(thresholds.length === 0 && curve && { reachable: highestReached(reference, curve) }),
    confidenceLevel: 1 - alpha,
    intervals: compared.reduce((sum, method) => sum + intervalsOf(method), 0),
    methods: compared,
  };
}

interface Thresholds {
  readonly curve: Curve;
  readonly thresholds: readonly number[];
}

const intervalsOf = ({ separated, ratios }: MethodComparison): number =>
  [
    separated,
    ...ratios.flatMap(({ batches, seconds }) => [batches?.separated, seconds?.separated]),
  ].filter((each) => each !== undefined).length;

function compareMethod(
  method: Method,
  reference: Method,
  { curve, thresholds }: Thresholds,
  probability: number,
): MethodComparison {
  const measure = measureOf([method, reference]);
  const seeds = [...new Set([...reference.runs.keys(), ...method.runs.keys()])];
  const pairs: MethodComparison['pairs'][number][] = [];
  const unpaired: Unpaired[] = [];
  for (const seed of seeds.sort((a, b) => a - b)) {
    const [a, b] = [method, reference].map(({ results }) => resultOf(results.get(seed), measure));
    if (a !== undefined && b !== undefined) pairs.push({ seed, method: a, reference: b });
    else {
      const lacking = a === undefined ? 'method' : 'reference';
      const side = a === undefined ? method : reference;
      unpaired.push({ seed, lacking, reason: whyLacking(side, seed, measure) });
    }
  }
  const difference = estimate(
    pairs.map((pair) => pair.method - pair.reference),
    probability,
  );
  const runs = pairs.map(({ seed }) => ({
    seed,
    method: method.runs.get(seed)!,
    reference: reference.runs.get(seed)!,
  }));
  return {
    ...describe(method, measure, { curve, thresholds }),
    pairs,
    unpaired,
    difference,
    separated: difference && excludes(difference, 0),
    ratios: hasCurve(method, curve)
      ? thresholds.map((each) => compareThreshold(runs, each, curve, probability))
      : [],
    machine: machineDifferences(method.directory, reference.directory),
  };
}

function machineDifferences(a: RunDirectory, b: RunDirectory): string[] {
  if (a === b) return [];
  const [x, y] = [a, b].map(({ info }) => provenanceOf(info?.json));
  return ['cpu', 'threads', 'backend.name', 'backend.version', 'backend.device'].filter(
    (name) => x.get(name) !== y.get(name),
  );
}

function whyLacking({ results }: Method, seed: number, measure: FinalMeasure): string {
  const result = results.get(seed);
  if (result === undefined) return 'no such run';
  return 'missing' in result ? result.missing : `no ${measureName(measure)}`;
}

function describe(
  method: Method,
  measure: FinalMeasure,
  { curve, thresholds }: Thresholds,
): ComparedMethod {
  const { directory, label, runs, results, settings } = method;
  const completed = [...results].flatMap(([seed, result]) => {
    const value = resultOf(result, measure);
    return value === undefined ? [] : [{ seed, value }];
  });
  const [first] = runs.values();
  const budget = (name: string) => settings.get(`methods.${label}.${name}`) ?? settings.get(name);
  return {
    directory: directory.path,
    experiment: first.experiment,
    method: label,
    variant: first.variant,
    measure: { split: measure.split, kind: measure.kind },
    seeds: completed.map(({ seed }) => seed),
    final: estimate(completed.map(({ value }) => value)),
    reached: hasCurve(method, curve)
      ? thresholds.map((threshold) => reachedBy(method, threshold, curve))
      : [],
    epochs: budget('epochs'),
    batchSize: budget('batchSize'),
    evaluateEvery: settings.get('evaluate.every'),
    tuningTrials: settings.get(`tuning.${label}.trials`),
  };
}
