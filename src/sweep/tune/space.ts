import { z } from 'zod';
import type { ResolvedMethod } from '../../config/experiment.js';
import { ConfigError } from '../../config/issues.js';
import { toIssue } from '../../config/load.js';
import { readConfigFile } from '../../config/read-file.js';
import { type Path, plain } from '../../config/tree.js';
import { type Finding, validate } from '../../config/validate.js';
import { parseBlock } from '../../config/yaml.js';
import { adviceOf, isUsed } from '../../core/methods/fields.js';
import type { MethodDefinition } from '../../core/methods/method.js';
import { Random } from '../../core/random.js';
import { UsageError } from '../../errors.js';
import { didYouMean } from '../../shared/suggest.js';
import { plural } from '../../shared/text.js';
import { type Parameter, ParameterSchema, rangeProblem } from '../schema.js';
import { draw, interpolate } from '../search.js';

/** The values to try of each searched field of a method. */
export type Space = Readonly<Record<string, Parameter>>;

/** A file of `--space`: label -> field -> its values; `fixed` takes a field out of the search. */
const SpaceSchema = z.record(
  z.string(),
  z.record(z.string(), z.union([ParameterSchema, z.literal('fixed')])),
);
export type GivenSpaces = z.output<typeof SpaceSchema>;

/**
 * The search space that a method declares in the metadata of its fields (`tune`).
 * @throws UsageError where that of a plugin is not valid
 */
export function declaredSpace({ name, schema }: MethodDefinition): Space {
  const fields = Object.entries(schema.shape as Record<string, z.ZodType>);
  return Object.fromEntries(
    fields.flatMap(([field, type]) => {
      const { tune } = adviceOf(type);
      if (tune === undefined) return [];
      const { value, findings } = validate(ParameterSchema, tune);
      const wrong = value ? problemOf(value, type) : findings[0].message;
      if (value !== undefined && wrong === undefined) return [[field, value] as const];
      throw new UsageError(
        `method ${name}: the search space of its field ${field} (tune in its metadata) is not valid: ${wrong}`,
      );
    }),
  );
}

/** What a field does not accept of the values to try. */
function problemOf(parameter: Parameter, field: z.ZodType): string | undefined {
  const wrong = Array.isArray(parameter) ? undefined : rangeProblem(parameter);
  if (wrong !== undefined) return wrong;
  // The third is not a whole number where the ends are.
  const values = Array.isArray(parameter)
    ? parameter
    : [0, 1, 0.37].map((share) => interpolate(parameter, share));
  for (const value of values) {
    const [found] = validate(field, value).findings;
    if (found === undefined) continue;
    const isRounded = field.safeParse(Math.round(Number(value))).success;
    if (!Array.isArray(parameter) && isRounded) return 'needs integer: true for this field';
    return `${JSON.stringify(value)}: ${found.message}`;
  }
  return undefined;
}

/**
 * Reads a file of search spaces.
 * @param methods all methods of the experiment
 * @throws ConfigError with everything that is wrong; UsageError when the file cannot be read
 */
export function readSpaces(file: string, methods: readonly ResolvedMethod[]): GivenSpaces {
  const source = { file, text: readConfigFile(file).replace(/^\uFEFF/, '') };
  const labels = methods.map(({ label }) => label);
  const { tree, issues } = parseBlock(source, 'a file of search spaces', labels);
  const { value, findings } = validate(SpaceSchema, plain(tree));
  const wrong = value ? checkSpaces(value, methods) : findings;
  const all = [...issues, ...wrong.map((finding) => toIssue(finding, tree))];
  if (all.length > 0 || value === undefined) throw new ConfigError(source, all);
  return value;
}

function checkSpaces(spaces: GivenSpaces, methods: readonly ResolvedMethod[]): Finding[] {
  const labels = methods.map(({ label }) => label);
  const findings: Finding[] = [];
  const refuse = (at: Finding['at'], message: string, ...path: Path) =>
    findings.push({ path, message, at });
  for (const [label, fields] of Object.entries(spaces)) {
    const method = methods.find((one) => one.label === label);
    if (method === undefined) {
      const hint = didYouMean(label, labels) || `; the labels are ${labels.join(', ')}`;
      refuse('key', `no method has this label${hint}`, label);
      continue;
    }
    const { name, schema } = method.definition;
    const shape = schema.shape as Record<string, z.ZodType>;
    const searchable = Object.keys(shape).filter((field) => !(field in unsearchable));
    for (const [field, parameter] of Object.entries(fields)) {
      const why = unsearchable[field];
      if (why !== undefined) refuse('key', why, label, field);
      else if (!Object.hasOwn(shape, field)) {
        const hint = didYouMean(field, searchable) || `; its fields are ${searchable.join(', ')}`;
        refuse('key', `${name} has no such field${hint}`, label, field);
      } else if (parameter !== 'fixed') {
        const wrong = problemOf(parameter, shape[field]);
        if (wrong !== undefined) refuse('value', wrong, label, field);
      }
    }
  }
  return findings;
}

const another = 'cannot be searched: write two methods with different labels in the experiment';
const unsearchable: Readonly<Record<string, string>> = {
  name: another,
  solver: another,
  preset: another,
  label: 'cannot be searched',
  epochs: 'is the same for all methods: set --epochs',
};

/**
 * What is searched of a method: its declared space, without fields that have no effect with the values of the
 * experiment, and with the fields of a file replaced or added.
 * @throws UsageError for an added field that the method's entry leaves without a value
 */
export function spaceOf(method: ResolvedMethod, given: GivenSpaces): Space {
  const { definition, label } = method;
  const own = ownValues(method);
  const declared = Object.entries(declaredSpace(definition)).filter(([field]) => {
    const advice = adviceOf(definition.schema.shape[field] as z.ZodType);
    const isVaried = Object.keys(advice.usedWith ?? {}).some(
      (other) => other in (given[label] ?? {}),
    );
    return isVaried || isUsed(advice, own);
  });
  const all = { ...Object.fromEntries(declared), ...given[label] };
  const fields = Object.entries(all).flatMap(([field, parameter]) =>
    parameter === 'fixed' ? [] : [[field, parameter] as const],
  );
  const unset = fields.find(([field]) => own[field] === undefined);
  if (unset) {
    throw new UsageError(
      `methods.${label}.${unset[0]} is searched and has no value in the experiment, which is the first trial: give it one`,
    );
  }
  return Object.fromEntries(fields);
}

/** The values of its fields in the experiment. */
const ownValues = ({ config, batchSize }: ResolvedMethod): Readonly<Record<string, unknown>> => ({
  ...config,
  batchSize,
});

/** Draws after which a space counts as exhausted. */
const mostAttempts = 1000;

/**
 * The settings of each trial: first those of the experiment, then random draws without repetitions. The random numbers
 * of a draw depend on its number and on the name of the field alone: methods that have the same choices get
 * the same ones, and neither more trials nor more fields change the earlier draws.
 * @throws UsageError when the space has fewer different settings
 */
export function drawTrials(
  space: Space,
  method: ResolvedMethod,
  trials: number,
): Readonly<Record<string, unknown>>[] {
  const fields = Object.keys(space);
  const own = ownValues(method);
  const all = [Object.fromEntries(fields.map((field) => [field, own[field]]))];
  const seen = new Set(all.map((settings) => JSON.stringify(settings)));
  for (let i = 1; i < trials; i++) {
    let attempt = 0;
    let settings: Record<string, unknown>;
    do {
      if (attempt === mostAttempts) {
        throw new UsageError(
          `the search space of ${method.label} has no more than ${plural(i, 'different setting')}, fewer than ${trials} trials: ` +
            'use fewer --trials, or widen it with --space',
        );
      }
      const repeat = attempt;
      settings = Object.fromEntries(
        fields.map((field) => [field, drawnValue(space[field], field, i, repeat)]),
      );
      attempt++;
    } while (seen.has(JSON.stringify(settings)));
    seen.add(JSON.stringify(settings));
    all.push(settings);
  }
  return all;
}

/** Parts of a range that take turns. */
const strata = 6;

/**
 * The value of a field in draw `i`, from 1. The values of a list take turns in random order, and so do the sixths of a
 * range, so that a few trials cover both; within its sixth a value is uniform.
 * @param repeat number of earlier draws for this trial, which repeated another one: all independent
 */
function drawnValue(parameter: Parameter, field: string, i: number, repeat: number): unknown {
  const random = new Random(1, `tune ${i}${repeat > 0 ? ` again ${repeat}` : ''} ${field}`);
  if (repeat > 0) return draw(parameter, random);
  const parts = Array.isArray(parameter) ? parameter.length : strata;
  const order = Array.from({ length: parts }, (_, position) => position);
  new Random(1, `tune round ${Math.floor((i - 1) / parts)} ${field}`).shuffle(order);
  const part = order[(i - 1) % parts];
  if (Array.isArray(parameter)) return parameter[part];
  return interpolate(parameter, (part + random.uniform()) / parts);
}

/** A setting near or beyond an end of its range. */
export interface Edge {
  readonly field: string;
  readonly value: number;
  readonly range: readonly [number, number];
  readonly end: 'lower' | 'upper';
  readonly isOutside: boolean;
}

/** Share of a range, in its scale, that counts as its end. */
const margin = 0.1;

/** The settings that lie at an end of their range: better values may lie beyond it. */
export function edgesOf(space: Space, settings: Readonly<Record<string, unknown>>): Edge[] {
  return Object.entries(space).flatMap(([field, parameter]): Edge[] => {
    const value = settings[field];
    if (Array.isArray(parameter) || typeof value !== 'number') return [];
    const { range, scale } = parameter;
    const on = scale === 'log' ? Math.log : (x: number) => x;
    const share = (on(value) - on(range[0])) / (on(range[1]) - on(range[0]));
    if (share > margin && share < 1 - margin) return [];
    const end = share <= margin ? 'lower' : 'upper';
    return [{ field, value, range, end, isOutside: share < 0 || share > 1 }];
  });
}
