import { accuracy, alignTable, missing } from '../../report/table.js';
import { inPercent, percent, plural, printable, threshold } from '../../report/text.js';
import type { BaselineChange } from '../../verify/baseline.js';
import type { Failure, LimitCheck, MethodVerdict } from '../../verify/judge.js';
import type { TestCase } from '../../verify/junit.js';
import type { Verification } from '../../verify/verify.js';
import { points, shortPath } from './format.js';
import { markdown } from './records.js';

/** The table of `fln verify`: one line for each limit of a method. */
export function verificationText({ methods, directory, testImages }: Verification): string {
  return [
    ...alignTable({ head, rows: methods.flatMap(methodRows) }),
    note(testImages),
    `Verified: ${shortPath(directory)}`,
    '',
  ].join('\n');
}

/** A section for the summary of a CI run, as GitHub shows it. */
export function verificationMarkdown(verification: Verification): string {
  const { experiment, ok, methods, testImages } = verification;
  const failures = verificationFailures(verification).map((text) => `- ${printable(text)}`);
  return [
    `### ${printable(experiment)}: ${ok ? 'passed' : 'FAILED'}`,
    '',
    markdown({ head, rows: methods.flatMap(methodRows) }, 1),
    ...(failures.length > 0 ? [...failures, ''] : []),
    `${note(testImages)}.`,
    '',
    '',
  ].join('\n');
}

/** A test for each limit of a method, and one for its seeds. */
export function verificationTests({ methods }: Verification): TestCase[] {
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

/** What an update of the baseline changed. */
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
  'difference from the limit and tolerance in percentage points; the tolerance comes from the ' +
  `seeds' spread, held between one and two binomial errors of ${testImages} test images`;

/** Why the gate fails, one line a reason; empty when it does not. */
export function verificationFailures({ methods }: Verification): string[] {
  return methods.flatMap(({ method, seeds, failures }) =>
    failures.map((failure) => `${method}: ${describe(failure, seeds.length)}`),
  );
}

export function verificationJson(verification: Verification, exitCode: number): string {
  const { ok, ...rest } = verification;
  const content = { ok, exitCode, ...rest, failures: verificationFailures(verification) };
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
    word(verdict, check),
  ]);
}

function limitText({ limit, value }: LimitCheck): string {
  if (limit === 'baseline') return `baseline ${percent(value)} %`;
  return `${limit === 'atLeast' ? '>=' : '<='} ${threshold(value)}`;
}

/** A limit can hold while the method fails for a seed. */
function word({ failures }: MethodVerdict, check: LimitCheck): string {
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
      const what = reference === 'atMost' ? 'stands out' : 'collapsed';
      return `${what}: ${each.join(', ')} ${reference}, ${threshold(value)}; no spread of seeds explains that`;
    }
    case 'no result': {
      const each = failure.seeds.map(({ seed, missing }) => `seed ${seed}: ${missing}`);
      return `no result from ${failure.seeds.length} of ${plural(seeds, 'seed')}: ${each.join('; ')}`;
    }
  }
}

/** In percentage points, without its sign. */
const size = (difference: number, digits = 2) => percent(Math.abs(difference), digits);
