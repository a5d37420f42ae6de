import { roundThresholds } from '../runs/summary.js';
import { fewSeeds, largest } from '../shared/statistics.js';
import { percent, threshold as thresholdText } from '../shared/text.js';
import type { ComparedMethod, MethodComparison, PairedComparison } from './paired-comparison.js';

/** The sentences below the tables of a paired comparison. */

type NameOf = (method: Pick<ComparedMethod, 'method' | 'directory'>) => string;

/**
 * What the tables of a comparison leave out or need, one sentence each.
 * @param run the name of a run directory, where methods of several are compared
 */
export function comparisonNotes(
  comparison: PairedComparison,
  run?: (directory: string) => string,
): string[] {
  const name: NameOf = ({ method, directory }) => (run ? `${method} of ${run(directory)}` : method);
  const { reference, methods } = comparison;
  return [
    ...methods.flatMap((method) => unpairedNotes(method, reference, name)),
    ...thresholdNotes(comparison, name),
    ...methods.flatMap((method) => missedNotes(method, reference, name)),
    ...budgetNotes(comparison, name),
    ...machineNotes(comparison, name),
  ];
}

function unpairedNotes(
  method: MethodComparison,
  reference: ComparedMethod,
  name: NameOf,
): string[] {
  const seedsOf = new Map<string, number[]>();
  for (const { seed, lacking, reason } of method.unpaired) {
    const why = `${name(lacking === 'method' ? method : reference)}: ${reason}`;
    seedsOf.set(why, [...(seedsOf.get(why) ?? []), seed]);
  }
  return [...seedsOf].map(
    ([why, seeds]) => `${name(method)}: no pair for ${seedsText(seeds)} (${why})`,
  );
}

const seedsText = (seeds: readonly number[]) =>
  `${seeds.length === 1 ? 'seed' : 'seeds'} ${seeds.join(', ')}`;

function thresholdNotes(
  { reference, curve, thresholds, methods, reachable }: PairedComparison,
  name: NameOf,
): string[] {
  if (reference.measure.kind === 'loss') return [];
  const about = 'time to an accuracy:';
  if (curve === undefined) {
    return [`${about} not known, these runs have no accuracies during training in a metrics.csv`];
  }
  if (thresholds.length === 0) {
    const way = reachable === undefined ? '' : `; choose one, as in --threshold ${reachable}`;
    const lowest = thresholdText(roundThresholds[0]);
    return [
      `${about} not every seed of ${name(reference)} reaches ${lowest}, the lowest of the default thresholds${way}`,
    ];
  }
  const unknown = methods.filter(({ ratios, seeds }) => ratios.length === 0 && seeds.length > 0);
  if (unknown.length === 0) return [];
  return [
    `${about} not known for ${unknown.map(name).join(', ')}, without a ${curve} accuracy during training`,
  ];
}

function missedNotes(method: MethodComparison, reference: ComparedMethod, name: NameOf): string[] {
  return method.ratios.flatMap(({ threshold, seeds, missed }) => {
    const partial = (who: ComparedMethod, missing: readonly number[], effect: string) =>
      missing.length === 0 || seeds.length === 0
        ? []
        : [
            `${name(who)} does not reach ${thresholdText(threshold)} with ${seedsText(missing)}: ` +
              `the ratios of ${name(method)} are over the other pairs, and too ${effect}`,
          ];
    return [
      ...partial(method, missed.method, 'small'),
      ...partial(reference, missed.reference, 'large'),
    ];
  });
}

/** What the methods were given differently, apart from their own settings. */
function budgetNotes({ reference, methods }: PairedComparison, name: NameOf): string[] {
  const effects = {
    epochs: ['epochs', 'final results are compared after different numbers of epochs'],
    batchSize: ['batch size', 'the ratios of batches compare steps of different sizes'],
    tuningTrials: ['tuning trials', 'the settings were not searched for equally'],
  } as const;
  const all = [reference, ...methods];
  return (['epochs', 'batchSize', 'tuningTrials'] as const).flatMap((key) => {
    const values = all.map((method) => method[key]);
    const isUnknown = key !== 'tuningTrials' && values.includes(undefined);
    if (isUnknown || new Set(values).size < 2) return [];
    const each = all.map((method, i) => `${name(method)} ${values[i] ?? 'none'}`);
    const [what, effect] = effects[key];
    return [`${what}: ${each.join(', ')}; ${effect}`];
  });
}

function machineNotes({ methods, reference }: PairedComparison, name: NameOf): string[] {
  const others = methods.filter(({ machine }) => machine.length > 0);
  if (others.length === 0) return [];
  const what = [...new Set(others.flatMap(({ machine }) => machine))].join(', ');
  return [
    `times: ${others.map(name).join(', ')} and ${name(reference)} were trained on different machines or backends ` +
      `(${what}), so the ratios of times do not compare the methods`,
  ];
}

/** How to read the tables, one sentence each. */
export function readingNotes(comparisons: readonly PairedComparison[]): string[] {
  const methods = comparisons.flatMap((comparison) => comparison.methods);
  const ratios = methods.flatMap((method) => method.ratios);
  const level = comparisons[0].confidenceLevel;
  const interval = `${Number((100 * level).toFixed(2))} % interval`;
  const intervals = comparisons.reduce((sum, comparison) => sum + comparison.intervals, 0);
  const pairs = [
    ...methods.map((method) => method.pairs.length),
    ...ratios.map(({ seeds }) => seeds.length),
  ];
  const separated = [
    ...methods.map((method) => method.separated),
    ...ratios.flatMap(({ batches, seconds }) => [batches?.separated, seconds?.separated]),
  ];
  const hasAccuracy = methods.some(({ measure }) => measure.kind === 'accuracy');
  return [
    'final results: mean ± 95 % interval over the seeds of a method. All intervals are over seeds, for one data set and one choice of settings',
    `difference: method minus reference, paired by seed, mean ± ${interval} (Student t, n - 1 degrees of freedom)${hasAccuracy ? '; in percentage points' : ''}`,
    ...(ratios.length > 0
      ? [
          `ratio: method / reference, paired by seed, geometric mean [${interval}, of the logarithms]`,
          'batches, time: geometric means over the seeds that reach the accuracy; time is training alone, without evaluation',
          ...resolutionNote(comparisons),
        ]
      : []),
    ...(separated.includes(false)
      ? [
          `not separated: the interval contains ${ratios.length > 0 ? '0 (of a ratio: 1)' : '0'}, so these seeds show neither which is better nor that they are equal`,
        ]
      : []),
    ...(pairs.some((n) => n > 0 && n < fewSeeds)
      ? [
          `n < ${fewSeeds}: so few pairs give a wide and uncertain interval; it assumes normally distributed differences`,
        ]
      : []),
    ...(intervals > 1 ? [multiplicityNote(intervals, level)] : []),
  ];
}

function resolutionNote(comparisons: readonly PairedComparison[]): string[] {
  const methods = comparisons.flatMap(({ reference, methods }) => [reference, ...methods]);
  const reached = comparisons
    .flatMap((comparison) => comparison.methods.flatMap(({ ratios }) => ratios))
    .filter(({ seeds }) => seeds.length > 0);
  if (reached.length === 0) return [];
  const most = largest(reached.map(({ resolution }) => resolution.batches));
  if (most === 0) return ['resolution: accuracy was evaluated after every batch'];
  const share = largest(reached.map(({ resolution }) => resolution.share));
  const [every, ...others] = new Set(methods.map(({ evaluateEvery }) => evaluateEvery));
  const when =
    every === undefined || others.length > 0 ? 'after some batches only' : `every ${every} batches`;
  return [
    `resolution: accuracy was evaluated ${when}, so a number of batches may be up to ${most} too large ` +
      `(at most ${percent(share, 0)} % of it), and its time with it; the intervals do not include this`,
  ];
}

const multiplicityNote = (intervals: number, level: number): string =>
  level > 0.95
    ? `${intervals} intervals, which hold simultaneously with 95 % (Bonferroni)`
    : `${intervals} intervals, each of 95 % by itself and not simultaneous: where there is no difference, 1 in 20 shows one by chance; fln compare --simultaneous widens them`;
