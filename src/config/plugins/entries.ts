import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Split } from '../../core/dataset.js';
import * as fields from '../../core/methods/fields.js';
import type { Method, MethodContext, MethodDefinition } from '../../core/methods/method.js';
import { checkPerLayer } from '../../core/methods/per-layer.js';
import type { Activation } from '../../core/network/activations/activation.js';
import type { Loss } from '../../core/network/loss.js';
import type { LinearMap } from '../../core/network/maps/linear-map.js';
import { type ImageShape, unitsIn } from '../../core/network/shape.js';
import type { DatasetDefinition } from '../../data/definition.js';
import { DataError, FlnError, RunError, UsageError } from '../../errors.js';
import { pathText } from '../tree.js';
import { validate } from '../validate.js';
import { activationProblem } from './activation-check.js';
import type {
  ActivationPlugin,
  DatasetPlugin,
  Definition,
  LayerPlugin,
  LossPlugin,
  MethodPlugin,
  PluginKind,
  PluginSplit,
} from './define.js';

/** A layer type of a plugin, as configs are checked with it. */
export interface LayerType {
  readonly name: string;
  readonly summary: string;
  /** The keys of the layer, and `activation`. */
  readonly schema: z.ZodObject;
  output(config: Readonly<Record<string, unknown>>, input: ImageShape): ImageShape | string;
  map(config: Readonly<Record<string, unknown>>, input: ImageShape, output: ImageShape): LinearMap;
}

/** Everything that one plugin defines. */
export interface PluginEntries {
  readonly methods: readonly MethodDefinition[];
  readonly activations: readonly (Activation & { readonly name: string })[];
  readonly losses: readonly (Loss & { readonly name: string })[];
  readonly layers: readonly LayerType[];
  readonly datasets: readonly DatasetDefinition[];
}

const makers = ['defineMethod', 'defineActivation', 'defineLoss', 'defineLayer', 'defineDataset'];

/**
 * Checks the definitions of a plugin.
 * @param exported its default export, called already where it is a function
 * @param file as errors name it
 * @throws UsageError naming the entry
 */
export function readEntries(exported: unknown, file: string): PluginEntries {
  const list = Array.isArray(exported) ? exported : [exported];
  if (list.length === 0) throw new UsageError(`${file}: the list of definitions is empty`);
  const entries: Mutable<PluginEntries> = {
    methods: [],
    activations: [],
    losses: [],
    layers: [],
    datasets: [],
  };
  for (const [i, item] of list.entries()) {
    const position = Array.isArray(exported) ? `entry ${i + 1}` : 'the default export';
    // A getter may throw.
    called(`${file}: ${position}`, 'reading it', () => readEntry(item, position, file, entries));
  }
  return entries;
}

function readEntry(
  item: unknown,
  position: string,
  file: string,
  entries: Mutable<PluginEntries>,
): void {
  const { kind, plugin } = Object(item) as Partial<Definition>;
  if (kind === undefined || !Object.hasOwn(schemas, kind)) {
    throw new UsageError(
      `${file}: ${position} is ${described(item)}, expected the result of one of ${makers.join(', ')}`,
    );
  }
  const name = Object(plugin).name;
  const where = `${file}: ${position} (${kind}${typeof name === 'string' ? ` "${name}"` : ''})`;
  const { findings } = validate(schemas[kind], plugin);
  if (findings.length > 0) {
    const all = findings.map(({ path, message }) => `${pathText(path)} ${message}`);
    throw new UsageError(`${where}: ${all.join('; ')}`);
  }
  const own = `${file}: ${kind} "${name}"`;
  if (kind === 'method') entries.methods.push(methodOf(plugin as MethodPlugin, own));
  else if (kind === 'activation') entries.activations.push(activationOf(plugin as never, own));
  else if (kind === 'loss') entries.losses.push(plugin as LossPlugin);
  else if (kind === 'layer') entries.layers.push(layerOf(plugin as LayerPlugin, own));
  else entries.datasets.push(datasetOf(plugin as DatasetPlugin, own));
}

type Mutable<T> = {
  -readonly [Key in keyof T]: T[Key] extends readonly (infer Item)[] ? Item[] : T[Key];
};

function described(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Promise) return 'a promise';
  return value === null || typeof value !== 'object' ? `${typeof value}` : 'an object';
}

const fn = z.custom((value) => typeof value === 'function', { error: 'must be a function' });
const optionalFn = fn.optional();
const isSchema = (value: unknown) => Object(Object(value)._zod).def !== undefined;
const field = z.custom(isSchema, {
  error: 'must be a zod schema, as in z.number().positive().default(0.1)',
});
const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,39}$/, 'must be lower-case letters, digits and "-", as in my-method');
const line = z.string().min(1);
const size = z.int().positive();

/** Fields that every method has. */
const common = ['name', 'label', 'preset', 'solver', ...Object.keys(fields.length)];
const methodFields = z.record(z.string(), field).superRefine((shape, context) => {
  for (const key of Object.keys(shape).filter((key) => common.includes(key))) {
    context.addIssue({ code: 'custom', path: [key], message: 'is a field of every method' });
  }
});

/** The forms of the definitions themselves. */
const schemas: Readonly<Record<PluginKind, z.ZodType>> = {
  method: z
    .strictObject({
      name,
      summary: line,
      fields: methodFields.optional(),
      perLayer: z.array(z.string()).optional(),
      fullBatch: z.boolean().optional(),
      presets: z.record(z.string(), z.union([fn, z.record(z.string(), z.unknown())])).optional(),
      defaults: optionalFn,
      check: optionalFn,
      columns: optionalFn,
      prepare: optionalFn,
      init: fn,
      step: fn,
      parameters: fn,
    })
    .superRefine(({ fields: shape = {}, perLayer = [], presets = {} }, context) => {
      const known = [...Object.keys(shape), ...Object.keys(fields.length)];
      const refuse = (path: (string | number)[], message: string) =>
        context.addIssue({ code: 'custom', path, message });
      for (const [i, key] of perLayer.entries()) {
        if (!known.includes(key)) refuse(['perLayer', i], `is "${key}", which is not in fields`);
      }
      for (const [preset, values] of Object.entries(presets)) {
        if (typeof values === 'function') continue;
        for (const [key, value] of Object.entries(values as object)) {
          const schema = (shape as Record<string, z.ZodType>)[key];
          if (!known.includes(key)) refuse(['presets', preset, key], 'is not in fields');
          else if (schema && !schema.safeParse(value).success) {
            refuse(
              ['presets', preset, key],
              `is ${JSON.stringify(value)}, which its schema refuses`,
            );
          }
        }
      }
    }),
  activation: z.strictObject({
    name,
    maxSlope: z.number().positive(),
    phi: fn,
    slope: fn,
    conjugate: fn,
    float64: z.strictObject({ F: fn, conjugate: fn }),
    proximal: z.strictObject({ operator: fn, preimage: fn }).optional(),
  }),
  loss: z.strictObject({ name, rows: fn, gradient: fn, curvature: z.number().positive() }),
  layer: z
    .strictObject({
      name: z
        .string()
        .regex(/^[a-z][A-Za-z0-9]{0,39}$/, 'must be letters and digits, as in myLayer'),
      summary: line,
      fields: z.record(z.string(), field),
      output: fn,
      map: fn,
    })
    .superRefine(({ name: own, fields: shape }, context) => {
      const refuse = (key: string, message: string) =>
        context.addIssue({ code: 'custom', path: ['fields', key], message });
      if (!Object.hasOwn(shape, own))
        refuse(own, 'is missing: the key that gives the layer its type');
      for (const key of ['dense', 'conv', 'averagePool', 'activation']) {
        if (Object.hasOwn(shape, key)) refuse(key, 'is a key of the built-in layers');
      }
    }),
  dataset: z.strictObject({
    name,
    title: line.optional(),
    shape: z.tuple([size, size, size]),
    classes: size.min(2).max(256),
    trainSize: size,
    testSize: size,
    load: fn,
  }),
};

/** Runs a function of a plugin while a config is checked: what it throws names the plugin. */
function called<T>(where: string, what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof FlnError) throw error;
    throw new UsageError(`${where}: ${what} failed: ${failureOf(error)}`, { cause: error });
  }
}

/** `TypeError: x is not a function (at my-method.mjs:12:3)` */
export function failureOf(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const stack = (error instanceof Error && error.stack) || '';
  const frame = stack
    .split('\n')
    .filter((row) => row.trim().startsWith('at '))
    .map((row) => /\(?(?:file:\/\/)?(\/?[^()\s]+:\d+:\d+)\)?$/.exec(row)?.[1])
    .find((place) => place !== undefined && !/node:|node_modules|\/dist\//.test(place));
  return frame === undefined ? text : `${text} (at ${frame})`;
}

function methodOf(plugin: MethodPlugin, where: string): MethodDefinition {
  const { summary, fullBatch, presets, perLayer = [] } = plugin;
  const names = Object.keys(presets ?? {});
  const schema = z.strictObject({
    name: z.literal(plugin.name),
    label: fields.label,
    ...(names.length > 0 && {
      preset: z.enum(names).optional().describe('settings from which the others are taken'),
    }),
    ...plugin.fields,
    ...fields.length,
  }) as unknown as z.ZodObject;
  const method = guarded(plugin, where);
  return {
    name: plugin.name,
    summary,
    fullBatch,
    schema,
    presets: Object.fromEntries(
      Object.entries(presets ?? {}).map(([preset, values]) => [
        preset,
        typeof values === 'function'
          ? (network) => called(where, `preset ${preset}`, () => values(network))
          : values,
      ]),
    ),
    defaults: (network) => called(where, 'defaults', () => plugin.defaults?.(network) ?? {}),
    check: (config, network) => [
      ...checkPerLayer(config, perLayer, network.layers.length, 'layer'),
      ...called(where, 'check', () => refusals(plugin.check?.(config as never, network) ?? [])),
    ],
    load: async () => method,
  };
}

function refusals(found: readonly unknown[]): ReturnType<NonNullable<MethodDefinition['check']>> {
  const form = z.array(
    z.object({ path: z.array(z.union([z.string(), z.number()])).min(1), message: z.string() }),
  );
  const { data } = form.safeParse(found);
  if (data === undefined) {
    throw new TypeError('it must return a list of { path: [FIELD], message: TEXT }');
  }
  return data;
}

/** The method with checks of what it returns, and errors that name it. A bug of a plugin fails its run alone. */
function guarded(plugin: MethodPlugin, where: string): Method {
  const guard = async <T>(what: string, work: () => T | Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw blamed(error, where, what);
    }
  };
  const columnsOf = (config: unknown) => plugin.columns?.(config as never) ?? [];
  return {
    columns: (config) => {
      try {
        return columnsOf(config);
      } catch (error) {
        throw blamed(error, where, 'columns');
      }
    },
    ...(plugin.prepare && {
      prepare: (context: MethodContext<unknown>) =>
        guard('prepare', () => plugin.prepare?.(context as never)),
    }),
    init: (context, constants) =>
      guard('init', async () => {
        const state = await plugin.init(context as never, constants);
        checkParameters(plugin.parameters(state));
        return state;
      }),
    step: (context, constants, state, batch) =>
      guard('step', async () => {
        const result = await plugin.step(context as never, constants, state, batch);
        checkStep(result, columnsOf(context.config));
        return result;
      }),
    parameters: (state) => plugin.parameters(state),
  };
}

function blamed(error: unknown, where: string, what: string): unknown {
  const isKnown =
    error instanceof FlnError ||
    (error instanceof Error && ['RuntimeError', 'NotPositiveDefiniteError'].includes(error.name));
  if (isKnown) return error;
  return new RunError(`${where}: ${what} failed: ${failureOf(error)}`, { cause: error });
}

function checkParameters(parameters: unknown): void {
  const isLayer = (layer: unknown) => {
    const { weights, bias } = Object(layer);
    return Object(weights).rank === 2 && Object(bias).rank === 1;
  };
  if (Array.isArray(parameters) && parameters.every(isLayer)) return;
  throw new TypeError('parameters must return a list of { weights: Tensor2D, bias: Tensor1D }');
}

function checkStep(result: unknown, columns: readonly string[]): void {
  const { state, metrics } = Object(result);
  const { loss, accuracy, extra = {} } = Object(metrics);
  if (state === undefined || typeof loss !== 'number' || typeof accuracy !== 'number') {
    throw new TypeError('step must return { state, metrics: { loss: number, accuracy: number } }');
  }
  const given = Object.keys(extra).join(', ');
  if (given !== columns.join(', ')) {
    throw new TypeError(
      `metrics.extra has the keys [${given}], expected those of columns, [${columns.join(', ')}]`,
    );
  }
}

function activationOf(plugin: ActivationPlugin, where: string): ActivationPlugin {
  const problem = called(where, 'float64', () => activationProblem(plugin));
  if (problem !== undefined) throw new UsageError(`${where}: ${problem}`);
  return plugin;
}

function layerOf(plugin: LayerPlugin, where: string): LayerType {
  const { name: own, summary } = plugin;
  return {
    name: own,
    summary,
    schema: z.strictObject({
      ...plugin.fields,
      activation: z.string().optional(),
    }) as unknown as z.ZodObject,
    output: (config, input) =>
      called(where, 'output', () => {
        const shape = plugin.output(config as never, input);
        const isShape =
          Array.isArray(shape) &&
          shape.length === 3 &&
          shape.every((side) => Number.isInteger(side) && side > 0);
        if (isShape || typeof shape === 'string') return shape;
        throw new TypeError('it must return [height, width, channels] or a sentence');
      }),
    map: (config, input, output) =>
      called(where, 'map', () => {
        const map = plugin.map(config as never, input, output);
        const [inputs, outputs] = [unitsIn(input), unitsIn(output)];
        if (map.inputs !== inputs || map.outputs !== outputs) {
          throw new TypeError(
            `it maps ${map.inputs} to ${map.outputs} units, expected ${inputs} to ${outputs}`,
          );
        }
        return map;
      }),
  };
}

function datasetOf(plugin: DatasetPlugin, where: string): DatasetDefinition {
  const { name: own, title = plugin.name, shape, classes, trainSize, testSize } = plugin;
  return {
    name: own,
    title,
    shape,
    classes,
    trainSize,
    testSize,
    folders: [],
    mirrors: [],
    load: async (rows, { dataDir, signal }) => {
      let loaded: unknown;
      try {
        loaded = await plugin.load(rows, { dataDir, signal });
      } catch (error) {
        if (signal?.aborted || error instanceof FlnError) throw error;
        throw new DataError(`${where}: load failed: ${failureOf(error)}`, { cause: error });
      }
      const { train, test } = Object(loaded);
      const splits = {
        train: splitOf(train, rows.train, plugin, `${where}: train`),
        test: splitOf(test, rows.test, plugin, `${where}: test`),
      };
      const hash = createHash('sha256');
      if (splits.train.images.constructor !== splits.test.images.constructor) {
        throw new DataError(`${where}: train and test must both have bytes or both have floats`);
      }
      for (const { images, labels } of Object.values(splits)) hash.update(images).update(labels);
      return { ...splits, sha256: { generated: hash.digest('hex') } };
    },
  };
}

function splitOf(split: unknown, least: number, plugin: DatasetPlugin, where: string): Split {
  const { images, labels } = Object(split) as Partial<PluginSplit>;
  const isPixels = images instanceof Uint8Array;
  if (!(isPixels || images instanceof Float32Array) || !(labels instanceof Uint8Array)) {
    throw new DataError(
      `${where} must be { images: Uint8Array or Float32Array, labels: Uint8Array }`,
    );
  }
  const features = unitsIn(plugin.shape);
  const count = labels.length;
  if (count < least) throw new DataError(`${where} has ${count} rows, and ${least} are needed`);
  if (images.length !== count * features) {
    throw new DataError(
      `${where}: images has ${images.length} ${isPixels ? 'bytes' : 'numbers'}, expected ${count} x ${features} for its labels`,
    );
  }
  const wrong = labels.find((label) => label >= plugin.classes);
  if (wrong !== undefined) {
    throw new DataError(
      `${where} has the label ${wrong}; the classes are 0 to ${plugin.classes - 1}`,
    );
  }
  const bad = isPixels ? -1 : images.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new DataError(
      `${where}: row ${Math.floor(bad / features)} has the value ${images[bad]}; all have to be finite`,
    );
  }
  // Numbers are preprocessed in place, and the plugin may return the same ones again.
  return { images: isPixels ? images : images.slice(), labels, count };
}
