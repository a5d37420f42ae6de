import { roundThresholds } from '../runs/summary.js';
import { type Estimate, fewSeeds, largest } from '../shared/statistics.js';
import { duration, percent, plural, threshold as thresholdText } from '../shared/text.js';
import type { ComparedMethod, MethodComparison, PairedComparison } from './paired-comparison.js';
import { measureName } from './pairing.js';
import { accuracy, type Cell, lossText, missing, pointsText, withVariant } from './table.js';
import type { Ratio, Reached, ThresholdComparison } from './time-to-accuracy.js';

/** A paired comparison as tables and sentences, for the terminal, Markdown and report.html. */

export interface CellTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** Number of columns, from the first, that are text. */
  readonly words: number;
}

export const methodName = ({ method, variant }: Pick<ComparedMethod, 'method' | 'variant'>) =>
  withVariant(method, variant);

/**
 * Final results, and their differences from the reference.
 * @param run the name of a run directory, in a column of its own; absent: no column
 */
export function differenceTable(
  { reference, methods }: PairedComparison,
  run?: (directory: string) => string,
): CellTable {
  const measures = [...new Set([reference, ...methods].map(({ measure }) => measureName(measure)))];
  const mixed = measures.length > 1;
  const first = (method: ComparedMethod): Cell[] => [
    ...(run ? [{ text: run(method.directory) }] : []),
    { text: methodName(method) },
    finalCell(method),
    ...(mixed ? [{ text: measureName(method.measure) }] : []),
  ];
  return {
    head: [
      ...(run ? ['run'] : []),
      'method',
      mixed ? 'final result' : `final ${measures[0]}`,
      ...(mixed ? ['measured'] : []),
      'pairs',
      'difference',
    ],
    rows: [
      [...first(reference), { text: missing }, { text: 'reference' }],
      ...methods.map((method) => {
        const all = method.pairs.length + method.unpaired.length;
        return [...first(method), pairsCell(method.pairs.length, all), differenceCell(method)];
      }),
    ],
    words: run ? 2 : 1,
  };
}

/** Training until each threshold is first reached, and its ratio to the reference; undefined without thresholds. */
export function ratioTable(
  { reference, methods, thresholds }: PairedComparison,
  run?: (directory: string) => string,
): CellTable | undefined {
  const measured = methods.filter(({ ratios }) => ratios.length > 0);
  if (thresholds.length === 0 || measured.length === 0) return undefined;
  const first = (threshold: number, method: ComparedMethod): Cell[] => [
    { text: thresholdText(threshold), value: threshold },
    ...(run ? [{ text: run(method.directory) }] : []),
    { text: methodName(method) },
  ];
  const rows = thresholds.flatMap((threshold, i) => [
    [...first(threshold, reference), ...reachedCells(reference.reached[i])],
    ...measured.map((method) => [
      ...first(threshold, method),
      ...reachedCells(method.reached[i], method.ratios[i]),
    ]),
  ]);
  return {
    head: [
      'accuracy',
      ...(run ? ['run'] : []),
      'method',
      'reach it',
      'batches',
      'ratio of batches',
      'time',
      'ratio of times',
    ],
    rows,
    words: run ? 3 : 2,
  };
}

function finalCell({ final, measure }: ComparedMethod): Cell {
  if (final === undefined) return { text: missing };
  const text = measure.kind === 'loss' ? lossText(final) : accuracy(final);
  return { text, value: final.mean };
}

const few = (pairs: number) => (pairs > 0 && pairs < fewSeeds ? ` (n < ${fewSeeds})` : '');

const pairsCell = (pairs: number, all: number): Cell => ({
  text: `${pairs === all ? pairs : `${pairs} of ${all}`}${few(pairs)}`,
  value: pairs,
});

/** What to know before a number, which stays aligned to the right. */
const qualified = (text: string, separated: boolean | undefined, over?: string): string => {
  const remarks = [
    ...(over === undefined ? [] : [over]),
    ...(separated === undefined ? ['no interval'] : separated ? [] : ['not separated']),
  ];
  return remarks.length > 0 ? `${remarks.join(', ')}: ${text}` : text;
};

function differenceCell({ difference, separated, measure }: MethodComparison): Cell {
  if (difference === undefined) return { text: missing };
  const text = measure.kind === 'loss' ? lossDifference(difference) : pointsText(difference);
  return { text: qualified(text, separated), value: difference.mean };
}

function lossDifference({ mean, halfWidth }: Estimate): string {
  const sign = mean < 0 ? '-' : '+';
  const size = Math.abs(mean).toPrecision(3);
  return `${sign}${size}${halfWidth === undefined ? '' : ` ± ${halfWidth.toPrecision(2)}`}`;
}

/** @param ratios absent for the reference */
function reachedCells(reached: Reached, ratios?: ThresholdComparison): Cell[] {
  const { runs, count, batches, seconds } = reached;
  const pairs = ratios?.seeds.length ?? 0;
  const ratio = (of: Ratio | undefined): Cell => {
    if (ratios === undefined) return { text: count > 0 ? 'reference' : missing };
    if (of === undefined) return { text: missing };
    const over = pairs < count ? plural(pairs, 'pair') : undefined;
    return { text: qualified(ratioText(of), of.separated, over), value: of.ratio };
  };
  return [
    { text: `${count} of ${runs}${few(pairs)}`, value: count },
    batches === undefined ? { text: missing } : { text: digits(batches), value: batches },
    ratio(ratios?.batches),
    seconds === undefined ? { text: missing } : { text: duration(seconds), value: seconds },
    ratio(ratios?.seconds),
  ];
}

/** `2.55 [2.21, 2.94]` */
function ratioText({ ratio, low, high }: Ratio): string {
  if (low === undefined || high === undefined) return digits(ratio);
  return `${digits(ratio)} [${digits(low)}, ${digits(high)}]`;
}

/** Three digits, all of those before the point. */
function digits(value: number): string {
  if (value >= 1e6 || value < 1e-3) return value.toExponential(1);
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** What the tables of a comparison leave out or need, one sentence each. */
export function comparisonNotes(comparison: PairedComparison): string[] {
  const { reference, methods } = comparison;
  return [
    ...methods.flatMap(unpairedNotes),
    ...thresholdNotes(comparison),
    ...methods.flatMap((method) => missedNotes(method, reference)),
    ...budgetNotes(comparison),
    ...machineNotes(comparison),
  ];
}

function unpairedNotes({ method, unpaired }: MethodComparison): string[] {
  const reasons = [...new Set(unpaired.map(({ reason }) => reason))];
  return reasons.map((reason) => {
    const seeds = unpaired.filter((each) => each.reason === reason).map(({ seed }) => seed);
    return `${method}: no pair for ${seedsText(seeds)}, ${reason}`;
  });
}

const seedsText = (seeds: readonly number[]) =>
  `${seeds.length === 1 ? 'seed' : 'seeds'} ${seeds.join(', ')}`;

function thresholdNotes({ reference, curve, thresholds, ...rest }: PairedComparison): string[] {
  if (reference.measure.kind === 'loss') return [];
  const about = 'time to an accuracy:';
  if (curve === undefined) {
    return [`${about} not known, these runs have no accuracies during training in a metrics.csv`];
  }
  if (thresholds.length === 0) {
    const way =
      rest.reachable === undefined ? '' : `; choose one, as in --threshold ${rest.reachable}`;
    const lowest = thresholdText(roundThresholds[0]);
    return [
      `${about} not every seed of ${reference.method} reaches ${lowest}, the lowest of the default thresholds${way}`,
    ];
  }
  const unknown = rest.methods.filter(
    ({ ratios, seeds }) => ratios.length === 0 && seeds.length > 0,
  );
  if (unknown.length === 0) return [];
  const names = unknown.map(({ method }) => method).join(', ');
  return [`${about} not known for ${names}, without a ${curve} accuracy during training`];
}

function missedNotes({ method, ratios }: MethodComparison, reference: ComparedMethod): string[] {
  return ratios.flatMap(({ threshold, seeds, missed }) => {
    const partial = (who: string, missing: readonly number[], effect: string) =>
      missing.length === 0 || seeds.length === 0
        ? []
        : [
            `${who} does not reach ${thresholdText(threshold)} with ${seedsText(missing)}: ` +
              `the ratios of ${method} are over the other pairs, and ${effect}`,
          ];
    return [
      ...partial(method, missed.method, 'too small'),
      ...partial(reference.method, missed.reference, 'too large'),
    ];
  });
}

/** What the methods were given differently, apart from their own settings. */
function budgetNotes({ reference, methods }: PairedComparison): string[] {
  const effects = {
    epochs: ['epochs', 'final results are compared after different numbers of epochs'],
    batchSize: ['batch size', 'the ratios of batches compare steps of different sizes'],
    tuningTrials: ['tuning trials', 'the settings were not searched for equally'],
  } as const;
  return (['epochs', 'batchSize', 'tuningTrials'] as const).flatMap((key) => {
    const values = [reference, ...methods].map((method) => method[key]);
    const isUnknown = key !== 'tuningTrials' && values.includes(undefined);
    if (isUnknown || new Set(values).size < 2) return [];
    const each = [reference, ...methods].map(({ method }, i) => `${method} ${values[i] ?? 'none'}`);
    const [name, effect] = effects[key];
    return [`${name}: ${each.join(', ')}; ${effect}`];
  });
}

function machineNotes({ methods, reference }: PairedComparison): string[] {
  const others = methods.filter(({ machine }) => machine.length > 0);
  if (others.length === 0) return [];
  const names = [...new Set(others.map(({ method }) => method))].join(', ');
  const what = [...new Set(others.flatMap(({ machine }) => machine))].join(', ');
  return [
    `times: ${names} and ${reference.method} were trained on different machines or backends (${what}), ` +
      'so the ratios of times do not compare the methods',
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
    'final results: mean ± 95 % interval over the seeds of a method. All intervals are over seeds: on one data set, and with one choice of settings',
    `difference: method minus reference, paired by seed, mean ± ${interval} (Student t, n - 1 degrees of freedom)${hasAccuracy ? '; in percentage points' : ''}`,
    ...(ratios.length > 0
      ? [
          `ratio: method / reference, paired by seed, geometric mean [${interval}, of the logarithms]`,
          'batches, time: geometric means over the seeds that reach the accuracy; time is training alone, without evaluation',
          resolutionNote(comparisons),
        ]
      : []),
    ...(separated.includes(false)
      ? [
          `not separated: the interval contains ${ratios.length > 0 ? '0 (of a ratio: 1)' : '0'}, so these seeds show neither which is better nor that they are equal`,
        ]
      : []),
    ...(pairs.some((n) => n > 0 && n < fewSeeds)
      ? [
          `n < ${fewSeeds}: so few pairs give a wide and uncertain interval, which relies on the normal distribution`,
        ]
      : []),
    ...(intervals > 1 ? [multiplicityNote(intervals, level)] : []),
  ];
}

function resolutionNote(comparisons: readonly PairedComparison[]): string {
  const methods = comparisons.flatMap(({ reference, methods }) => [reference, ...methods]);
  const resolutions = comparisons.flatMap((comparison) =>
    comparison.methods.flatMap(({ ratios }) => ratios.map(({ resolution }) => resolution)),
  );
  const most = largest(resolutions.map(({ batches }) => batches));
  if (most === 0) return 'resolution: accuracy was evaluated after every batch';
  const share = largest(resolutions.map((each) => each.share));
  const [every, ...others] = new Set(methods.map(({ evaluateEvery }) => evaluateEvery));
  const when =
    every === undefined || others.length > 0 ? 'after some batches only' : `every ${every} batches`;
  return (
    `resolution: accuracy was evaluated ${when}, so a number of batches may be up to ${most} too large, ` +
    `at most ${percent(share, 0)} % of it, and its time with it; the intervals do not include this`
  );
}

const multiplicityNote = (intervals: number, level: number): string =>
  level > 0.95
    ? `${intervals} intervals, which hold simultaneously with 95 % (Bonferroni)`
    : `${intervals} intervals, each of 95 % by itself and not simultaneous: where there is no difference, 1 in 20 shows one by chance; fln compare --simultaneous widens them`;
