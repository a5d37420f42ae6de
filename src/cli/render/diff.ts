import type { MetricsDifference, RunDiff, RunsDiff, ValueDifference } from '../../report/diff.js';
import type { Difference } from '../../report/overlay.js';
import { alignTable, missing } from '../../report/table.js';
import { duration, inPercent, plural, points, printable, runName } from '../../shared/text.js';
import { shortPath } from './print.js';

/** `fln diff`: differences by section; a section without differences is one line. */
export function formatDiff(diff: RunsDiff): string {
  const { a, b, settings, provenance, runs, identical } = diff;
  const lines = [`a: ${printable(shortPath(a))}`, `b: ${printable(shortPath(b))}`];
  lines.push('', ...values('Settings', settings), '', ...values('Provenance', provenance));
  lines.push('', 'Results:', ...alignTable(results(runs), 1).map(indented));
  lines.push('', 'Metrics, batch by batch (apart from the time columns):');
  for (const run of runs) lines.push(`  ${nameOf(run)}: ${metricsText(run)}`);
  const verdict = 'The two are the same: settings and every value of every batch.';
  return `${[...lines, ...(identical ? ['', verdict] : [])].join('\n')}\n`;
}

const nameOf = ({ method, seed }: Pick<RunDiff, 'method' | 'seed'>) =>
  runName({ label: method, seed });

const indented = (line: string) => `  ${line}`;

function values(title: string, differences: readonly ValueDifference[]): string[] {
  if (differences.length === 0) return [`${title}: the same.`];
  const text = (value: ValueDifference['a']) =>
    value === undefined ? missing : printable(String(value));
  const rows = withoutLoneMethods(differences).map(({ name, a, b }) => [
    printable(name),
    text(a),
    text(b),
  ]);
  return [`${title}:`, ...alignTable({ head: ['', 'a', 'b'], rows }, 3).map(indented)];
}

/** A method that only one side has gets one line instead of one for each setting. */
function withoutLoneMethods(differences: readonly ValueDifference[]): ValueDifference[] {
  const lone = differences.flatMap(({ name, a, b }) => {
    const label = /^methods\.(.+)\.name$/.exec(name)?.[1];
    return label !== undefined && (a === undefined || b === undefined) ? [label] : [];
  });
  return differences.flatMap((difference) => {
    const { name } = difference;
    const label = lone.find(
      (label) => /^(methods|expect|tuning)\./.test(name) && name.includes(`.${label}.`),
    );
    if (label === undefined) return [difference];
    return name === `methods.${label}.name` ? [{ ...difference, name: `methods.${label}` }] : [];
  });
}

function results(runs: readonly RunDiff[]) {
  const isRegression = runs.some(({ loss }) => loss !== undefined);
  const measure = isRegression ? 'loss' : 'accuracy';
  const seconds = (value?: number) => (value === undefined ? missing : duration(value));
  const text = (value: number) => (isRegression ? value.toPrecision(4) : inPercent(value));
  return {
    head: ['', `${measure} a`, `${measure} b`, 'difference', 'train time a', 'train time b'],
    rows: runs.map(({ method, seed, accuracy, loss, trainSeconds, status }) => {
      const { a, b } = (isRegression ? loss : accuracy) ?? {};
      return [
        nameOf({ method, seed }),
        a === undefined ? (status.a?.toLowerCase() ?? missing) : text(a),
        b === undefined ? (status.b?.toLowerCase() ?? missing) : text(b),
        a === undefined || b === undefined ? missing : (isRegression ? signed : points)(b - a),
        seconds(trainSeconds.a),
        seconds(trainSeconds.b),
      ];
    }),
  };
}

const signed = (value: number) => `${value < 0 ? '' : '+'}${value.toPrecision(3)}`;

function metricsText({ status, metrics }: RunDiff): string {
  if (metrics !== undefined) return differenceText(metrics);
  if (status.a === undefined) return 'only in b';
  return status.b === undefined ? 'only in a' : 'no metrics to compare';
}

function differenceText(difference: MetricsDifference): string {
  if (difference.same === true) return `the same in all ${difference.batches} batches`;
  if (difference.same === 'prefix') {
    const { a, b } = difference.batches;
    return `the same for the batches that both have; a has ${a} batches, b has ${b}`;
  }
  const value = (number: number) => (Number.isNaN(number) ? 'no value' : String(number));
  const columns = difference.columns
    .slice(0, 3)
    .map(({ name, a, b }) => `${name} ${value(a)} and ${value(b)}`);
  const rest = difference.columns.length - columns.length;
  const more = rest > 0 ? ` and ${plural(rest, 'other column')}` : '';
  return `differ from batch ${difference.batch} on: ${columns.join(', ')}${more}`;
}

const mostDifferences = 20;

/**
 * What differs between the directories of an overlay, a line for each setting.
 * @param unknown directories without settings
 */
export function formatDifferences(
  differences: readonly Difference[],
  unknown: readonly string[],
): string {
  const text = (value: unknown) => (value === undefined ? missing : printable(String(value)));
  const rows = differences.slice(0, mostDifferences).map(({ name, values }) => {
    const groups = [...new Set(values.map(({ value }) => value))].map((value) => {
      const owners = values.filter((each) => each.value === value).map((each) => each.directory);
      const where =
        owners.length === 1 ? printable(shortPath(owners[0])) : `${owners.length} directories`;
      return `${text(value)} (${where})`;
    });
    return [printable(name), groups.join(', ')];
  });
  const more = differences.length - rows.length;
  const lines = rows.length > 0 ? alignTable({ head: ['', ''], rows }, 2).slice(2) : [];
  return [
    differences.length > 0
      ? 'The directories differ in:'
      : 'The directories have the same settings, backend and data.',
    ...lines.map((line) => indented(line).trimEnd()),
    ...(more > 0 ? [indented(`and ${more} more; "fln diff A B" lists them`)] : []),
    ...unknown.map(
      (path) => `${printable(shortPath(path))}: its settings are not known, it has no config.yaml`,
    ),
  ].join('\n');
}
