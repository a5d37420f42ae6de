import { alignTable, missing, pointsText, type Table } from '../../report/table.js';
import { average } from '../../shared/statistics.js';
import { inPercent, percent, plural, points, printable, runName } from '../../shared/text.js';
import type { Exact, ExactRun } from '../../verify/exact.js';
import type { Paired, PairedMethod } from '../../verify/paired.js';
import type { TestCase } from './junit.js';
import { markdown, shortPath } from './print.js';

/** The results of `fln verify --paired` and `--exact` as text, Markdown and JUnit tests. */

export function pairedText(paired: Paired): string {
  return [
    `Paired by seed with ${shortPath(paired.base)}:`,
    ...alignTable(pairedTable(paired)),
    pairedNote,
    ...seedLines(paired),
    ...caveats(paired),
    '',
  ].join('\n');
}

export function pairedMarkdown(paired: Paired): string {
  return [
    `Paired by seed with ${printable(shortPath(paired.base))}; ${pairedNote}:`,
    '',
    markdown(pairedTable(paired), 1),
    ...[...seedLines(paired), ...caveats(paired)].map((line) => `- ${printable(line)}`),
    '',
    '',
  ].join('\n');
}

const pairedNote =
  'difference: run minus base, mean ± 95 % interval over the seeds (paired t), in percentage points';

function pairedTable({ methods, tolerance }: Paired): Table {
  const rows = methods.map((method) => {
    const { pairs, lost, difference } = method;
    const mean = (side: 'base' | 'run') =>
      pairs.length === 0 ? missing : inPercent(average(pairs.map((pair) => pair[side])));
    const all = pairs.length + lost.length;
    return [
      method.method,
      lost.length === 0 ? String(all) : `${pairs.length} of ${all}`,
      mean('base'),
      mean('run'),
      difference ? pointsText(difference) : missing,
      difference ? percent(tolerance) : missing,
      verdictText(method, tolerance),
    ];
  });
  const head = ['method', 'seeds', 'base', 'run', 'difference', 'tolerance', 'verdict'];
  return { head, rows };
}

function verdictText({ verdict, difference }: PairedMethod, tolerance: number): string {
  if (verdict === 'failed') return 'FAILED';
  if (verdict === 'not judged' || difference === undefined) return verdict;
  const { mean, halfWidth = 0 } = difference;
  if (mean > tolerance && mean > halfWidth) return 'ok, improved';
  return mean < 0 ? 'ok, within tolerance' : 'ok';
}

const seedLines = ({ methods }: Paired): string[] =>
  methods.flatMap(({ method, pairs }) => {
    if (pairs.length < 2) return [];
    const each = pairs.map(({ seed, base, run }) => `${seed}: ${points(run - base)}`);
    return [`${method}, difference by seed: ${each.join(', ')}`];
  });

/** Where there are too few seeds. */
function caveats({ methods, tolerance }: Paired): string[] {
  const single = methods.filter(({ pairs }) => pairs.length === 1).map(({ method }) => method);
  const alone =
    single.length > 0
      ? [
          `${single.join(', ')}: one seed gives no confidence interval, so a change cannot be distinguished from chance; train more seeds`,
        ]
      : [];
  const wide = methods.flatMap(({ method, pairsNeeded }) =>
    pairsNeeded === undefined ? [] : [`${method}: ${tooFew(pairsNeeded, tolerance)}`],
  );
  return [...alone, ...wide];
}

const tooFew = (needed: number, tolerance: number) =>
  `the interval is wider than the tolerance of ${percent(tolerance)}, so the verdict may be due to chance; ` +
  (needed >= 1000 ? 'even 1,000 seeds would be too few' : `about ${needed} seeds would be enough`);

/** The reasons for failure, one line each. */
export function pairedFailures({ methods, tolerance }: Paired): string[] {
  return methods.flatMap((method) =>
    methodFailures(method, tolerance).map((text) => `${method.method}: ${text}`),
  );
}

function methodFailures(
  { dropped, difference, pairs, lost }: PairedMethod,
  tolerance: number,
): string[] {
  const failures: string[] = [];
  if (dropped && difference) {
    const { mean, halfWidth } = difference;
    const seeds = pairs.length === 1 ? 'with one seed' : `on average over ${pairs.length} seeds`;
    failures.push(
      `dropped by ${percent(-mean)} points ${seeds}, more than the tolerance of ${percent(tolerance)}${certainty(mean, halfWidth)}`,
    );
  }
  if (lost.length > 0) {
    const each = lost.map(({ seed, missing }) => `seed ${seed}: ${missing}`);
    const all = plural(pairs.length + lost.length, 'seed');
    failures.push(`no result from ${lost.length} of ${all}: ${each.join('; ')}`);
  }
  return failures;
}

function certainty(mean: number, halfWidth: number | undefined): string {
  if (halfWidth === undefined) return '; with one seed, this may be chance';
  const [low, high] = [mean - halfWidth, mean + halfWidth].map((end) => points(end));
  const text = `; 95 % interval ${low} to ${high}`;
  return mean + halfWidth < 0 ? text : `${text}, which includes 0: it may be chance`;
}

export function pairedTests({ methods, tolerance }: Paired): TestCase[] {
  return methods.map((method) => {
    const name = `${method.method}: paired by seed, no drop beyond ${percent(tolerance)} points`;
    if (method.verdict === 'not judged') return { name, isSkipped: true };
    const failures = methodFailures(method, tolerance);
    return { name, failure: failures.length > 0 ? failures.join('; ') : undefined };
  });
}

export function exactText(exact: Exact): string {
  const { base, runs } = exact;
  const judged = runs.filter(({ verdict }) => verdict !== 'not judged');
  const same = judged.filter(({ verdict }) => verdict === 'ok').length;
  const others = runs.filter(({ verdict }) => verdict === 'not judged');
  return [
    `Identical to ${shortPath(base)}, apart from the time columns: ${same} of ${plural(judged.length, 'run')}`,
    ...others.map(({ method }) => `${method}: not judged, the base has no results of it`),
    ...explanation(exact),
    '',
  ].join('\n');
}

/** The likely cause of differences, from the two run.json. */
function explanation({ ok, provenance, backend }: Exact): string[] {
  if (ok) return [];
  const changed = provenance.filter(({ name }) => !/^dataset\b/.test(name));
  const text = (value: unknown) => (value === undefined ? 'absent' : printable(String(value)));
  const recorded = changed.map(({ name, a, b }) => `  ${name}: ${text(a)}, in the base ${text(b)}`);
  const head =
    recorded.length > 0
      ? ['Differences between the two run.json:', ...recorded]
      : ['Program, machine and backend are the same in both run.json.'];
  return [
    ...head,
    cause(
      changed.map(({ name }) => name),
      backend,
    ),
  ];
}

function cause(changed: readonly string[], backend: string | undefined): string {
  if (changed.some((name) => name.startsWith('backend.'))) {
    return 'Backends, their versions and devices round differently, so the bytes differ. Compare the accuracies with --paired.';
  }
  if (backend !== undefined && backend !== 'wasm' && backend !== 'cpu') {
    return `The backend ${backend} is not deterministic; wasm is.`;
  }
  return `${backend ?? 'The backend'} gives the same bytes on every machine and on Node 20, 22 and 24, so a change of the program or its libraries changed the numbers.`;
}

/** The reasons for failure, one line for each run. */
export const exactFailures = ({ runs }: Exact): string[] =>
  runs.flatMap((run) => {
    const text = differenceText(run);
    return text === undefined ? [] : [`${exactName(run)}: ${text}`];
  });

const exactName = ({ method, seed }: ExactRun) =>
  seed === undefined ? method : runName({ label: method, seed });

function differenceText({ missing, difference }: ExactRun): string | undefined {
  if (missing !== undefined) return `no result: ${missing}`;
  if (difference === undefined) return undefined;
  const { line, batch, column, ends, run, base } = difference;
  if (ends !== undefined) {
    const [short, long] =
      ends === 'run' ? ['its metrics.csv', 'the base'] : ["the base's metrics.csv", 'it'];
    return `${short} ends before line ${line}, and ${long} continues with batch ${batch}`;
  }
  const place = batch === undefined ? `line ${line} (the header)` : `line ${line} (batch ${batch})`;
  const [a, b] = [run, base].map((text) => (text === undefined ? 'absent' : text || 'empty'));
  return `first difference in ${place}, column ${printable(column ?? '')}: ${printable(a)}, in the base ${printable(b)}`;
}

export const exactTests = ({ runs }: Exact): TestCase[] =>
  runs.map((run) => ({
    name: `${exactName(run)}: identical to the base`,
    failure: differenceText(run),
    isSkipped: run.verdict === 'not judged',
  }));

export function exactMarkdown(exact: Exact): string {
  const [head, ...rest] = exactText(exact).trimEnd().split('\n');
  const failures = exactFailures(exact);
  const lines = [...failures, ...rest].map((line) => `- ${printable(line.trim())}`);
  return [printable(head), '', ...lines, ...(lines.length > 0 ? [''] : []), ''].join('\n');
}
