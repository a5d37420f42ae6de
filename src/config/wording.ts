import { z } from 'zod';
import { didYouMean } from '../shared/suggest.js';
import { elementSchema, fieldsOf, unwrap } from './schema-walk.js';

/*
 * Messages for everything that a schema can find wrong with a value. Each follows the path of the value:
 * `epochs: must be an integer, not "ten"`.
 */

/** A required key that is absent. */
export function missing(description: string | undefined): string {
  return description === undefined ? 'is missing' : `is missing (${description})`;
}

/** A key that the schema does not have. */
export function unknownKey(near: string | undefined, known: readonly string[]): string {
  if (near !== undefined) return `unknown key; did you mean "${near}"?`;
  const names = known.filter((key) => !key.startsWith('$'));
  return names.length > 0 ? `unknown key; known here: ${names.join(', ')}` : 'unknown key';
}

/** A value that is not in a closed list. */
export function notOneOf(allowed: readonly string[], value: unknown): string {
  if (value === null) return `has no value; it is one of ${allowed.join(', ')}`;
  const list = allowed.length === 1 ? `"${allowed[0]}"` : `one of ${allowed.join(', ')}`;
  const hint = typeof value === 'string' ? didYouMean(value, allowed) : '';
  return `must be ${list}, not ${given(value)}${hint}`;
}

/** A value whose type is not the one of the schema. */
export function wrongType(schema: z.ZodType | undefined, value: unknown): string {
  const wanted = formOf(schema);
  if (value === null) return `has no value; it must be ${wanted}${emptyForm(schema)}`;
  return `must be ${wanted}, not ${given(value)}${repair(schema, value)}`;
}

/** A value that fits no form of a field that has several. */
export function noneOf(options: readonly z.ZodType[], value: unknown): string {
  // The values of an override: anything that JSON can express.
  if (options.length === 0) return `must be a finite number, not ${given(value)}`;
  const wanted = options.map(formOf).join(' or ');
  if (value === null) return `has no value; it must be ${wanted}`;
  const near = typeof value === 'string' ? didYouMean(value, options.flatMap(literals)) : '';
  return `must be ${wanted}, not ${given(value)}${near || repair(options[0], value)}`;
}

/** How to write an empty block whose keys are the user's. */
function emptyForm(schema: z.ZodType | undefined): string {
  return unwrap(schema) instanceof z.ZodRecord ? '; write {} for an empty one' : '';
}

/** The type that a schema accepts. */
function formOf(schema: z.ZodType | undefined): string {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodNumber) return inner.isInt ? 'an integer' : 'a number';
  if (inner instanceof z.ZodBoolean) return 'true or false';
  if (inner instanceof z.ZodArray || inner instanceof z.ZodTuple) return 'a list';
  if (inner instanceof z.ZodObject || inner instanceof z.ZodRecord) return 'a block';
  if (inner instanceof z.ZodLiteral) return `"${literals(inner).join('" or "')}"`;
  return 'a string';
}

function literals(schema: z.ZodType): string[] {
  return schema instanceof z.ZodLiteral ? [...schema.values].map(String) : [];
}

/** How to write the value that was probably meant, where that is clear. */
function repair(schema: z.ZodType | undefined, value: unknown): string {
  const inner = unwrap(schema);
  if (typeof value !== 'string' && typeof value !== 'number') return '';
  if (inner instanceof z.ZodNumber) {
    const meant = typeof value === 'string' ? numberIn(value) : undefined;
    const fits = meant !== undefined && (!inner.isInt || Number.isInteger(meant));
    return fits ? `; write ${meant}, without quotes` : '';
  }
  if (inner instanceof z.ZodBoolean) {
    const truth = [/^(yes|on|y|true|1)$/i, /^(no|off|n|false|0)$/i];
    const word = ['true', 'false'].find((_, i) => truth[i].test(String(value).trim()));
    return word === undefined ? '' : `; write ${word}, without quotes`;
  }
  if (inner instanceof z.ZodString) return `; write "${value}", in quotes`;
  const wrap = (block: z.ZodType | undefined) => {
    const [first] = Object.entries(fieldsOf(block) ?? {});
    if (first === undefined) return String(value);
    const [key, field] = first;
    const isOther = field.safeParse(value).error?.issues[0].code === 'invalid_type';
    return isOther ? undefined : `{ ${key}: ${value} }`;
  };
  const isList = inner instanceof z.ZodArray;
  const wrapped = wrap(isList ? elementSchema(inner) : inner);
  if (wrapped === undefined || !(isList || inner instanceof z.ZodObject)) return '';
  return `; write ${isList ? `[${wrapped}]` : wrapped}`;
}

/** The number in `1,000`, `1_000` or `0,5`, where the comma is a decimal point. */
function numberIn(text: string): number | undefined {
  const isDecimalComma =
    /^\s*[-+]?\d*,\d+\s*$/.test(text) && !/^\s*[1-9]\d{0,2},\d{3}\s*$/.test(text);
  const digits = isDecimalComma ? text.replace(',', '.') : text.replace(/[_,\s]/g, '');
  const value = Number(digits);
  return digits.trim() !== '' && Number.isFinite(value) ? value : undefined;
}

/** A number below its range, or a list that is too short. */
export function tooSmall(issue: z.core.$ZodIssueTooSmall, value: unknown): string {
  if (Array.isArray(value)) {
    if (issue.minimum === 1) return 'is empty; it needs at least one entry';
    return `must have ${issue.minimum} entries, not ${value.length}`;
  }
  const relation = issue.inclusive ? 'at least' : 'greater than';
  return `must be ${relation} ${issue.minimum}, not ${given(value)}`;
}

/** A number above its range, or a list that is too long. */
export function tooBig(issue: z.core.$ZodIssueTooBig, value: unknown): string {
  if (Array.isArray(value)) return `must have ${issue.maximum} entries, not ${value.length}`;
  const relation = issue.inclusive ? 'at most' : 'less than';
  const percent =
    issue.maximum === 1 && typeof value === 'number' && value > 1 && value <= 100
      ? `; it is a fraction, so ${value} % is ${Number((value / 100).toPrecision(6))}`
      : '';
  return `must be ${relation} ${issue.maximum}, not ${given(value)}${percent}`;
}

function given(value: unknown): string {
  if (typeof value === 'string') {
    return `"${value.length > 40 ? `${value.slice(0, 40)}...` : value}"`;
  }
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'a block' : String(value);
}
