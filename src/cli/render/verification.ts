import { accuracy, alignTable, missing } from '../../report/table.js';
import { inPercent, percent, plural, points, printable, threshold } from '../../shared/text.js';
import type { BaselineChange } from '../../verify/baseline.js';
import type { Exact } from '../../verify/exact.js';
import {
  collapseErrors,
  type Failure,
  type LimitCheck,
  type MethodVerdict,
} from '../../verify/judge.js';
import type { Paired } from '../../verify/paired.js';
import type { Verification } from '../../verify/verify.js';
import type { TestCase } from './junit.js';
import {
  exactFailures,
  exactMarkdown,
  exactTests,
  exactText,
  pairedFailures,
  pairedMarkdown,
  pairedTests,
  pairedText,
} from './pairing.js';
import { markdown, shortPath } from './print.js';

/** The result of `fln verify`: limits, and comparisons with earlier results where requested. */
export interface Verified extends Verification {
  readonly paired?: Paired;
  readonly exact?: Exact;
}

/** The table of limits, one row for each limit of a method, then the comparisons. */
export function verificationText(verified: Verified): string {
  const { methods, directory, testImages, paired, exact } = verified;
  const table = [...alignTable({ head, rows: methods.flatMap(methodRows) }), note(testImages), ''];
  return [
    ...(hasLimits(verified) ? [table.join('\n')] : []),
    ...(paired ? [pairedText(paired)] : []),
    ...(exact ? [exactText(exact)] : []),
    `Verified: ${shortPath(directory)}\n`,
  ].join('');
}

/** False where only comparisons were requested: the table of limits would be empty. */
const hasLimits = ({ methods, paired, exact }: Verified): boolean =>
  (paired ?? exact) === undefined || methods.some(({ verdict }) => verdict !== 'not judged');

/** A section in GitHub's Markdown for the summary of a CI job. */
export function verificationMarkdown(verified: Verified): string {
  const { experiment, ok, methods, testImages, paired, exact } = verified;
  const failures = verificationFailures(verified).map((text) => `- ${printable(text)}`);
  const limited = hasLimits(verified);
  return [
    `### ${printable(experiment)}: ${ok ? 'passed' : 'FAILED'}`,
    '',
    ...(limited ? [markdown({ head, rows: methods.flatMap(methodRows) }, 1)] : []),
    ...(failures.length > 0 ? [...failures, ''] : []),
    ...(limited ? [`${note(testImages)}.`, ''] : []),
    ...(paired ? [pairedMarkdown(paired)] : []),
    ...(exact ? [exactMarkdown(exact)] : []),
    '',
  ].join('\n');
}

/** The tests of the JUnit report: one for each limit of a method, and one for its seeds. */
export function verificationTests(verified: Verified): TestCase[] {
  const { methods, paired, exact } = verified;
  return [
    ...(hasLimits(verified) ? limitTests(methods) : []),
    ...(paired ? pairedTests(paired) : []),
    ...(exact ? exactTests(exact) : []),
  ];
}

function limitTests(methods: readonly MethodVerdict[]): TestCase[] {
  return methods.flatMap(({ method, verdict, checks, failures, seeds }): TestCase[] => {
    if (verdict === 'not judged') return [{ name: `${method}: no limit`, isSkipped: true }];
    const limits = checks.map((check) => ({
      name: `${method}: ${limitText(check)}`,
      failure: check.passed ? undefined : describe({ kind: 'beyond limit', check }, seeds.length),
    }));
    const lost = failures
      .filter(({ kind }) => kind !== 'beyond limit')
      .map((failure) => describe(failure, seeds.length));
    const name = `${method}: every seed has a result near the others`;
    return [...limits, { name, failure: lost.length > 0 ? lost.join('; ') : undefined }];
  });
}

/** The changes of a baseline update. */
export function baselineText(path: string, changes: readonly BaselineChange[]): string {
  const rows = changes.map(({ method, before, after }) => [
    method,
    before === undefined ? missing : inPercent(before),
    inPercent(after),
    before === undefined ? missing : points(after - before),
  ]);
  const table = alignTable({ head: ['method', 'before', 'now', 'difference'], rows });
  return [`Baseline: ${shortPath(path)}`, ...table].join('\n');
}

const head = [
  'method',
  'seeds',
  'test accuracy',
  'paper',
  'limit',
  'difference',
  'tolerance',
  'verdict',
];

const note = (testImages: number) =>
  'difference from the limit and tolerance in percentage points; the tolerance is computed from the ' +
  `seeds' standard deviation, clamped to one to two binomial standard errors of ${testImages} test images`;

/** The reasons for failure, one line each; empty when it passed. */
export function verificationFailures({ methods, paired, exact }: Verified): string[] {
  const limits = methods.flatMap(({ method, seeds, failures }) =>
    failures.map((failure) => `${method}: ${describe(failure, seeds.length)}`),
  );
  const comparisons = [
    ...(paired ? pairedFailures(paired) : []),
    ...(exact ? exactFailures(exact) : []),
  ];
  // A seed without a result is listed once, although all of them report it.
  return [...new Set([...limits, ...comparisons])];
}

export function verificationJson(verified: Verified, exitCode: number): string {
  const { ok, ...rest } = verified;
  const content = { ok, exitCode, ...rest, failures: verificationFailures(verified) };
  return `${JSON.stringify(content, null, 2)}\n`;
}

function methodRows(verdict: MethodVerdict): string[][] {
  const { method, seeds, paper, checks } = verdict;
  const measured = verdict.accuracy?.n ?? 0;
  const start = [
    method,
    measured === seeds.length ? String(measured) : `${measured} of ${seeds.length}`,
    accuracy(verdict.accuracy),
    paper === undefined ? missing : inPercent(paper),
  ];
  if (checks.length === 0) return [[...start, missing, missing, missing, verdict.verdict]];
  return checks.map((check) => [
    ...start,
    limitText(check),
    points(check.difference),
    `${percent(check.tolerance.value)} (${check.tolerance.rule})`,
    verdictText(verdict, check),
  ]);
}

function limitText({ limit, value }: LimitCheck): string {
  if (limit === 'baseline') return `baseline ${percent(value)} %`;
  return `${limit === 'atLeast' ? '>=' : '<='} ${threshold(value)}`;
}

/** The mean may keep the limit while the method fails because of a single seed. */
function verdictText({ failures }: MethodVerdict, check: LimitCheck): string {
  const { passed, limit, difference, tolerance } = check;
  if (!passed || failures.some(({ kind }) => kind !== 'beyond limit')) return 'FAILED';
  if (limit === 'baseline' && difference > tolerance.value) return 'ok, improved';
  const beyond = limit === 'atMost' ? difference > 0 : difference < 0;
  return beyond ? 'ok, within tolerance' : 'ok';
}

function describe(failure: Failure, seeds: number): string {
  switch (failure.kind) {
    case 'beyond limit': {
      const { limit, value, difference, tolerance } = failure.check;
      const side = limit === 'atMost' ? 'above' : 'below';
      const what = limit === 'baseline' ? 'the baseline,' : limit;
      return (
        `${percent(value + difference)} % is ${size(difference, 3)} points ${side} ${what} ${threshold(value)}, ` +
        `more than the tolerance of ${size(tolerance.value, 3)} (${tolerance.rule})`
      );
    }
    case 'collapsed': {
      const { reference, value } = failure;
      const each = failure.seeds.map(
        ({ seed, accuracy }) =>
          `seed ${seed} with ${percent(accuracy)} % is ${size(accuracy - value)} points ${accuracy < value ? 'below' : 'above'}`,
      );
      const what = reference === 'atMost' ? 'outlier' : 'collapsed';
      return `${what}: ${each.join(', ')} ${reference}, ${threshold(value)}, more than ${collapseErrors} binomial standard errors`;
    }
    case 'no result': {
      const each = failure.seeds.map(({ seed, missing }) => `seed ${seed}: ${missing}`);
      return `no result from ${failure.seeds.length} of ${plural(seeds, 'seed')}: ${each.join('; ')}`;
    }
  }
}

/** The absolute value in percentage points. */
const size = (difference: number, digits = 2) => percent(Math.abs(difference), digits);
