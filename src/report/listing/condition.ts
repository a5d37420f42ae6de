import { UsageError } from '../../errors.js';
import type { Value } from './listed-run.js';

/** `test_accuracy>=0.97`, `status=FAILED`, `dataset~mnist`. */
export interface Condition {
  readonly name: string;
  readonly holds: (value: Value) => boolean;
}

const operators = {
  '=': (value: Value, wanted: string) => isEqual(value, wanted),
  '!=': (value: Value, wanted: string) => !isEqual(value, wanted),
  '<': (value: Value, wanted: string) => order(value, wanted) < 0,
  '<=': (value: Value, wanted: string) => order(value, wanted) <= 0,
  '>': (value: Value, wanted: string) => order(value, wanted) > 0,
  '>=': (value: Value, wanted: string) => order(value, wanted) >= 0,
  '~': (value: Value, wanted: string) => text(value).toLowerCase().includes(wanted.toLowerCase()),
} as const;
type Operator = keyof typeof operators;

/** @throws UsageError when it is no condition */
export function parseCondition(condition: string): Condition {
  const match = /^\s*([^\s=!<>~]+)\s*(!=|<=|>=|=|<|>|~)\s*(.*?)\s*$/s.exec(condition);
  if (match === null) {
    throw new UsageError(
      `--where: "${condition}" is no condition; one looks like method=fenchel, "test_accuracy>=97%", ` +
        '"learningRate<0.1", status!=COMPLETED or "directory~mnist" (contains)',
    );
  }
  const [, name, operator, wanted] = match;
  const compare = operators[operator as Operator];
  return { name, holds: (value) => compare(value, wanted) };
}

const text = (value: Value) => (value === undefined || value === null ? '' : String(value));

function isEqual(value: Value, wanted: string): boolean {
  const number = numberOf(wanted);
  return typeof value === 'number' && number !== undefined
    ? value === number
    : text(value) === wanted;
}

/** NaN, for which no order holds, where there is no value or one of another kind. */
function order(value: Value, wanted: string): number {
  if (value === undefined || value === null) return Number.NaN;
  if (typeof value === 'number') return value - (numberOf(wanted) ?? Number.NaN);
  return text(value) < wanted ? -1 : text(value) > wanted ? 1 : 0;
}

/** `0.97`, `1e-3` or `97%`. */
function numberOf(word: string): number | undefined {
  const match = /^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*(%?)$/i.exec(word);
  if (match === null) return undefined;
  return match[2] === '' ? Number(match[1]) : Number(`${match[1]}e-2`);
}
