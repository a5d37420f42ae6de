import { ExperimentSchema, jsonSchemaOf } from '../config/schema.js';
import type { FieldAdvice, SearchedValues } from '../core/methods/fields.js';
import { methods } from '../core/methods/registry.js';
import type { Field, MethodForm } from './protocol.js';

/**
 * The controls of the page, from the schemas that validate a config: names, limits, defaults and descriptions are those
 * of the config.
 */

type Node = { readonly [key: string]: unknown } & FieldAdvice;

/** Fields that are shown at once; those of the other methods are found under "more fields". */
const mainFields = new Set([
  ...['nudge', 'targetStep', 'rmsChange', 'damping', 'noise.read', 'noise.signal'],
  ...['lambda', 'gamma', 'lossWeight', 'tolerance', 'order', 'alternations'],
  ...['learningRate', 'momentum', 'schedule'],
]);

/** What a newly chosen method starts with: values for the few batches of the page, as in configs/quickstart.yaml. */
const starts: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'fenchel preconditioned': { rmsChange: 0.1 },
  'fenchel exact': {},
  adam: { learningRate: 0.01, schedule: 'linear' },
  sgd: { learningRate: 0.5 },
  foof: { rmsChange: 0.1 },
  kfac: {},
  muon: {},
  soap: {},
};

/** The methods that train on batches. */
export const methodForms = (): MethodForm[] =>
  methods
    .filter(({ fullBatch }) => !fullBatch)
    .map(({ name, solver, isDefault, summary, schema }) => {
      const node = jsonSchemaOf(schema) as Node;
      const hidden = ['name', 'solver', 'label', 'epochs', 'batchSize', 'initializer', 'preset'];
      const entries = Object.entries(node.properties as Record<string, Node>);
      const fields = entries
        .filter(([key]) => !hidden.includes(key))
        .flatMap(([key, field]) => fieldsOf(key, field));
      const start = starts[solver ? `${name} ${solver}` : name] ?? {};
      return { name, ...(solver && !isDefault && { solver }), summary, start, fields };
    });

/** Fields of the experiment itself that the page has controls for. */
export function experimentFields(): Record<string, Field> {
  const { properties } = jsonSchemaOf(ExperimentSchema) as { properties: Record<string, Node> };
  const inside = (block: string) => properties[block].properties as Record<string, Node>;
  const sliders = {
    epochs: [1, 40],
    batchSize: [10, 1000],
    limit: [100, 10_000],
    testLimit: [100, 2000],
    every: [1, 100],
  } as const;
  const nodes = { ...properties, ...inside('dataset'), ...inside('evaluate') };
  const numbers = Object.fromEntries(
    Object.entries(sliders).map(([key, [from, to]]) => {
      const [field] = fieldsOf(key, nodes[key]);
      const slider = { from, to, scale: 'log' as const };
      return [key, { ...field, slider, isMain: true, isRequired: true }];
    }),
  );
  const [loss] = fieldsOf('loss', properties.loss);
  return { ...numbers, loss };
}

function fieldsOf(path: string, node: Node): Field[] {
  const forms = (node.anyOf as Node[] | undefined) ?? [node];
  const inner = forms.find(({ type }) => type === 'number' || type === 'integer') ?? forms[0];
  if (inner.type === 'object') {
    const properties = Object.entries(inner.properties as Record<string, Node>);
    return properties.flatMap(([key, field]) => fieldsOf(`${path}.${key}`, field));
  }
  const common = {
    path,
    description: `${node.description ?? inner.description ?? ''}${condition(node.usedWith)}`,
    ...(node.default !== undefined && { default: node.default }),
    isMain: mainFields.has(path),
  };
  if (Array.isArray(inner.enum)) {
    return [{ ...common, kind: 'choice', options: inner.enum.map(String) }];
  }
  if (inner.type === 'boolean') return [{ ...common, kind: 'toggle' }];
  if (inner.type !== 'number' && inner.type !== 'integer') return [];
  const bound = (...keys: string[]) => keys.map((key) => inner[key]).find(isNumber);
  const isInteger = inner.type === 'integer';
  const above = bound('exclusiveMinimum');
  const min = isInteger && above !== undefined ? above + 1 : bound('minimum', 'exclusiveMinimum');
  const max = bound('maximum', 'exclusiveMaximum');
  // A bound against overflow is no limit that a reader cares about.
  const limits = {
    ...(min !== undefined && { min }),
    ...(max !== undefined && max < 1e9 && { max }),
  };
  const slider = sliderOf(node.tune ?? inner.tune, limits, node.default);
  return [{ ...common, kind: 'number', ...limits, isInteger, ...(slider && { slider }) }];
}

/** Without which values of other fields a field has no effect. */
const condition = (usedWith: FieldAdvice['usedWith'] = {}): string =>
  Object.entries(usedWith)
    .map(([field, value]) => `; only with ${field}: ${value}`)
    .join('');

const isNumber = (value: unknown): value is number => typeof value === 'number';

/** The search space of `fln tune`, ten times as wide where it is logarithmic; else the field's own limits. */
function sliderOf(
  tune: SearchedValues | undefined,
  { min, max }: { readonly min?: number; readonly max?: number },
  fallback: unknown,
): Field['slider'] {
  if (tune && 'range' in tune) {
    const [from, to] = tune.range;
    const isLog = tune.scale === 'log';
    const ends = isLog ? [from / 10, to * 10] : [from, to];
    const clipped = [Math.max(ends[0], min ?? ends[0]), Math.min(ends[1], max ?? ends[1])];
    return { from: clipped[0], to: clipped[1], scale: isLog ? 'log' : 'linear' };
  }
  if (min !== undefined && max !== undefined && max <= 1000) {
    // Noise of the size of the signal is as much as is worth trying.
    return { from: min, to: max === 100 ? 1 : max, scale: 'linear' };
  }
  if (isNumber(fallback) && fallback > 0) {
    const ends = [fallback / 30, fallback * 30];
    return {
      from: Math.max(ends[0], min ?? 0),
      to: Math.min(ends[1], max ?? ends[1]),
      scale: 'log',
    };
  }
  return undefined;
}
