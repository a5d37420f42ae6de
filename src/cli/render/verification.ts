import { accuracy, alignTable, missing } from '../../report/table.js';
import { percent, threshold } from '../../report/text.js';
import type { Failure, LimitCheck, MethodVerdict } from '../../verify/judge.js';
import type { Verification } from '../../verify/verify.js';
import { plural, points, shortPath } from './format.js';

/** The table of `fln verify`: one line for each limit of a method. */
export function verificationText({ methods, directory, testImages }: Verification): string {
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
  const lines = alignTable({ head, rows: methods.flatMap(methodRows) });
  return [
    ...lines,
    'difference from the limit and tolerance in percentage points; the tolerance comes from the ' +
      `seeds' spread, held between one and two binomial errors of ${testImages} test images`,
    `Verified: ${shortPath(directory)}`,
    '',
  ].join('\n');
}

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
    paper === undefined ? missing : `${percent(paper)} %`,
  ];
  if (checks.length === 0) return [[...start, missing, missing, missing, verdict.verdict]];
  return checks.map((check) => [
    ...start,
    `${check.limit === 'atLeast' ? '>=' : '<='} ${threshold(check.value)}`,
    points(check.difference),
    `${percent(check.tolerance.value)} (${check.tolerance.rule})`,
    word(verdict, check),
  ]);
}

/** A limit can hold while the method fails for a seed. */
function word({ failures }: MethodVerdict, { passed, limit, difference }: LimitCheck): string {
  if (!passed || failures.some(({ kind }) => kind !== 'beyond limit')) return 'FAILED';
  const beyond = limit === 'atLeast' ? difference < 0 : difference > 0;
  return beyond ? 'ok, within tolerance' : 'ok';
}

function describe(failure: Failure, seeds: number): string {
  switch (failure.kind) {
    case 'beyond limit': {
      const { limit, value, difference, tolerance } = failure.check;
      const side = limit === 'atLeast' ? 'below' : 'above';
      return (
        `${percent(value + difference)} % is ${size(difference, 3)} points ${side} ${limit} ${threshold(value)}, ` +
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
