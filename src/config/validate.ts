import type { z } from 'zod';
import { suggest } from '../shared/suggest.js';
import { fieldsOf, formFor, optionsOf, schemaAt, valueAt } from './schema-walk.js';
import type { Path } from './tree.js';
import { missing, noneOf, notOneOf, tooBig, tooSmall, unknownKey, wrongType } from './wording.js';

/** What is wrong at a path. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
  /** Where to point: at the value, or at the key when the key itself is wrong. */
  readonly at: 'value' | 'key';
}

/**
 * Validates `data` and turns every issue of zod into a message. Custom messages of the schema are kept.
 *
 * @returns the parsed value (only when there are no findings) and all findings
 */
export function validate<Schema extends z.ZodType>(
  schema: Schema,
  data: unknown,
): { value?: z.output<Schema>; findings: Finding[] } {
  // An empty message marks the issues for which the schema has no message of its own.
  const result = schema.safeParse(data, { error: () => '' });
  if (result.success) return { value: result.data, findings: [] };
  const misspelt = new Set<string>();
  const findings = result.error.issues.flatMap((issue) => word(issue, schema, data, misspelt));
  // `epoch: 3` is one mistake, not an unknown key and a missing one.
  return {
    findings: findings.filter(({ path, missing }) => !missing || !misspelt.has(path.join('.'))),
  };
}

type Worded = Finding & { readonly missing?: boolean };

function word(
  issue: z.core.$ZodIssue,
  schema: z.ZodType,
  data: unknown,
  misspelt: Set<string>,
): Worded[] {
  const path = issue.path.filter((step) => typeof step !== 'symbol');
  const value = valueAt(data, path);
  const say = (message: string): Worded[] => [{ path, message, at: 'value' }];
  if (issue.message !== '') return say(issue.message);
  const expected = schemaAt(schema, data, path);
  if (value === undefined) {
    return [{ path, message: missing(expected?.description), at: 'value', missing: true }];
  }
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => {
        const known = Object.keys(fieldsOf(formFor(expected, value)) ?? {});
        const near = suggest(key, known);
        if (near !== undefined) misspelt.add([...path, near].join('.'));
        return { path: [...path, key], message: unknownKey(near, known), at: 'key' };
      });
    case 'invalid_union': {
      const branch = fittingBranch(issue.errors) ?? [];
      const inside = branch.map((inner) => ({ ...inner, path: [...path, ...inner.path] }));
      if (inside.length > 0) return inside.flatMap((inner) => word(inner, schema, data, misspelt));
      return say(noneOf(optionsOf(expected), value));
    }
    case 'invalid_value':
      return say(notOneOf(issue.values.map(String), value));
    case 'invalid_type':
      return say(wrongType(expected, value));
    case 'too_small':
      return say(tooSmall(issue, value));
    case 'too_big':
      return say(tooBig(issue, value));
    case 'not_multiple_of':
      return say(`must be a multiple of ${issue.divisor}, not ${value}`);
    default:
      return say(`is not valid (${issue.code})`);
  }
}

/** The alternative of a union whose type fits the value, and which fails only deeper inside. */
function fittingBranch(
  branches: readonly (readonly z.core.$ZodIssue[])[],
): readonly z.core.$ZodIssue[] | undefined {
  const wrongForm = ({ code, path }: z.core.$ZodIssue) =>
    path.length === 0 && (code === 'invalid_value' || code === 'invalid_type');
  const fitting = branches.filter((issues) => !issues.some(wrongForm));
  return fitting.length === 1 ? fitting[0] : undefined;
}
