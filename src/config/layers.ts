import { z } from 'zod';
import type { DatasetInfo } from '../core/dataset.js';
import type { ActivationName } from '../core/network/names.js';
import {
  type ConvolutionWindow,
  convolvedSide,
  type ImageShape,
  type LayerShape,
  pooledShape,
  unitsIn,
} from '../core/network/shape.js';
import type { LayerType } from './plugins/entries.js';
import type { Registry } from './plugins/registry.js';
import { type Finding, validate } from './validate.js';

/** Wider layers do not fit any backend, and are more likely a mistake. */
const width = z.int().positive().max(100_000);
/** Larger than any image. */
const maxSide = 1000;
const side = z.int().positive().max(maxSide);

/** The keys of the built-in layers: a layer has one of dense, conv and averagePool. */
const builtInKeys = (activations: readonly string[]) => ({
  dense: width
    .optional()
    .describe('units of a fully connected layer; an image before it is flattened'),
  conv: width.optional().describe('channels of a convolution'),
  kernel: side.optional().describe('side of the window of a convolution'),
  stride: side.optional().describe('step between the windows of a convolution; 1 when absent'),
  padding: z
    .int()
    .nonnegative()
    .max(maxSide)
    .optional()
    .describe('zeros added on every side before a convolution; 0 when absent'),
  averagePool: side
    .min(2)
    .optional()
    .describe('averages windows of this side that do not overlap; part of the next layer'),
  activation: z
    .enum([...activations, 'identity'])
    .optional()
    .describe('needed by every layer with weights but the last, which has none (or identity)'),
});

type BuiltInLayer = z.output<z.ZodObject<ReturnType<typeof builtInKeys>>>;

/** One entry of `network.layers`; it may have the keys of a plugin's layer type. */
export type LayerInput = BuiltInLayer & Readonly<Record<string, unknown>>;

/** One entry of `network.layers`. The keys of plugins' layer types are checked later, by the type's own schema. */
export function layerSchema({ activations, layers }: Registry): z.ZodType<LayerInput> {
  const keys = builtInKeys(activations);
  const others = layers.flatMap(({ schema }) =>
    Object.entries(schema.shape)
      .filter(([key]) => !Object.hasOwn(keys, key))
      .map(([key, field]) => [
        key,
        z
          .unknown()
          .describe(field.description ?? '')
          .optional(),
      ]),
  );
  return z.strictObject({ ...keys, ...Object.fromEntries(others) });
}

/** All forms of a layer, for editors. */
export function layerVariants({ activations, layers }: Registry): z.ZodType {
  const keys = builtInKeys(activations);
  const ofPlugins = layers.map(({ schema, summary }) =>
    schema.extend({ activation: keys.activation }).describe(summary),
  );
  const own = z.strictObject(keys);
  return ofPlugins.length === 0 ? own : z.union([own, ...ofPlugins]);
}

/** A layer of the resolved config, with its defaults filled in. */
export type ResolvedLayer = Readonly<Omit<LayerInput, 'activation'>> & {
  readonly activation?: ActivationName;
};

const typeOf = (layer: LayerInput, types: readonly LayerType[]): LayerType | undefined =>
  types.find(({ name }) => layer[name] !== undefined);

/** Fills in the defaults of a convolution or a plugin's type, and removes the identity of the last layer. */
export function resolveLayer(
  { activation, ...input }: LayerInput,
  types: readonly LayerType[],
): ResolvedLayer {
  const type = typeOf(input, types);
  if (type !== undefined) {
    const linear = activation === undefined || activation === 'identity';
    return { ...type.schema.parse(input), ...(!linear && { activation }) };
  }
  const { stride, padding, ...layer } = input as BuiltInLayer;
  return {
    ...layer,
    ...(layer.conv !== undefined && { stride: stride ?? 1, padding: padding ?? 0 }),
    ...(activation !== undefined && activation !== 'identity' && { activation }),
  };
}

/**
 * Computes the shapes from the data set's images to the outputs.
 * @param dataset undefined when it is not known: sizes are not checked then
 * @returns the linear maps, complete only without findings, and what is wrong with the layers
 */
export function readLayers(
  inputs: readonly LayerInput[],
  dataset: Pick<DatasetInfo, 'name' | 'shape' | 'classes' | 'isRegression'> | undefined,
  { layers: types, activations: known }: Pick<Registry, 'layers' | 'activations'>,
): { layers: LayerShape[]; activations: ActivationName[]; findings: Finding[] } {
  const findings: Finding[] = [];
  const refuse = (path: readonly (string | number)[], message: string) => {
    findings.push({ path: ['network', 'layers', ...path], message, at: 'value' });
  };
  const layers: LayerShape[] = [];
  const activations: ActivationName[] = [];
  let shape: ImageShape | undefined = dataset?.shape;
  let isImage = true;
  let pool: number | undefined;
  for (const [l, layer] of inputs.entries()) {
    const isLast = l === inputs.length - 1;
    const own = typeOf(layer, types);
    const kind = kindOf(layer, types, (message) => refuse([l], message));
    if (kind === undefined) {
      shape = undefined;
      continue;
    }
    const inOwn = own ? validate(own.schema, layer) : undefined;
    for (const found of inOwn?.findings ?? []) {
      findings.push({ ...found, path: ['network', 'layers', l, ...found.path] });
    }
    for (const [key, message] of own ? [] : misplaced(layer, kind)) refuse([l, key], message);
    if (kind === 'averagePool') {
      if (!isImage) refuse([l], 'averages an image, but comes after a dense layer');
      if (pool !== undefined) refuse([l], 'follows another averagePool; use one larger window');
      if (isLast) refuse([l], 'must be followed by a layer with weights: the last layer is dense');
      pool = layer.averagePool!;
      if (shape && isImage && Math.min(shape[0], shape[1]) < pool) {
        refuse([l, 'averagePool'], `is ${pool}, but the image there is ${sides(shape)}`);
        shape = undefined;
      }
      continue;
    }
    const problem = activationProblem(layer, isLast, known);
    if (problem !== undefined) refuse([l, 'activation'], problem);
    else if (!isLast) activations.push(layer.activation as ActivationName);
    const seen: ImageShape | undefined = shape && pooledShape(shape, pool ?? 1);
    const { kernel = 1, stride = 1, padding = 0 } = layer;
    const window = kind === 'conv' ? { kernel, stride, padding } : undefined;
    if (kind === 'conv' && layer.kernel === undefined) {
      refuse([l, 'kernel'], 'is missing (side of the window of the convolution)');
    }
    if (kind === 'conv' && !isImage) {
      refuse([l], 'convolves an image, but comes after a dense layer');
    }
    if (kind === 'conv' && isLast) {
      refuse([l], 'cannot be the last layer: add a dense layer with one unit per class');
    }
    if (own) {
      const config = inOwn?.value;
      const output = seen && config && own.output(config, seen);
      if (typeof output === 'string') {
        refuse([l, own.name], output);
        shape = undefined;
      } else if (seen && shape && config && output) {
        const map = () => own.map(config, seen, output);
        layers.push({ input: shape, output, pool: pool ?? 1, own: { type: own.name, map } });
        shape = output;
        isImage = output[0] * output[1] > 1;
        if (isLast && dataset && unitsIn(output) !== dataset.classes) {
          const { classes, name } = dataset;
          refuse(
            [l, own.name],
            `gives ${unitsIn(output)} units, but the last layer has one unit for each of the ${classes} classes of ${name}; add a dense layer of ${classes}`,
          );
        }
      } else shape = undefined;
      pool = undefined;
      continue;
    }
    const output = seen && outputOf(layer, seen, window);
    if (output && Math.min(output[0], output[1]) < 1) {
      const fit = `is ${layer.kernel}, but the image there is ${sides(seen)}`;
      refuse([l, 'kernel'], `${fit}; use a smaller window, or padding`);
      shape = undefined;
    } else if (shape && output) {
      layers.push({ input: shape, output, pool: pool ?? 1, ...(window && { window }) });
      shape = output;
    }
    if (kind === 'dense') isImage = false;
    pool = undefined;
    if (isLast && dataset && kind === 'dense' && layer.dense !== dataset.classes) {
      const { classes, name } = dataset;
      const units = dataset.isRegression ? 'targets' : 'classes';
      const message = `is ${layer.dense}, but the last layer has one unit for each of the ${classes} ${units} of ${name}; write ${classes}, or add a layer of ${classes}`;
      refuse([l, 'dense'], message);
    }
  }
  return { layers, activations, findings };
}

type Kind = 'dense' | 'conv' | 'averagePool' | 'own';

/** `own` for a type of a plugin. */
function kindOf(
  layer: LayerInput,
  types: readonly LayerType[],
  refuse: (message: string) => void,
): Kind | undefined {
  const own = types.map(({ name }) => name);
  const kinds = ['dense', 'conv', 'averagePool', ...own];
  const given = kinds.filter((kind) => layer[kind] !== undefined);
  if (given.length === 1) return own.includes(given[0]) ? 'own' : (given[0] as Kind);
  if (given.length > 1) refuse(`has ${given.join(' and ')}: write one layer for each`);
  else refuse(`has no layer type: set one of ${kinds.join(', ')}`);
  return undefined;
}

/** Keys that this kind of layer does not have. */
function misplaced(layer: LayerInput, kind: Kind): [string, string][] {
  const ofConvolutions = (['kernel', 'stride', 'padding'] as const)
    .filter((key) => kind !== 'conv' && layer[key] !== undefined)
    .map((key): [string, string] => [key, 'belongs to a convolution (conv: CHANNELS)']);
  const message = 'averaging has no activation: the layer before it has one';
  const activation: [string, string][] =
    kind === 'averagePool' && layer.activation !== undefined ? [['activation', message]] : [];
  return [...ofConvolutions, ...activation];
}

function activationProblem(
  { activation }: LayerInput,
  isLast: boolean,
  known: readonly string[],
): string | undefined {
  const names = known.join(', ');
  if (isLast) {
    const isLinear = activation === undefined || activation === 'identity';
    return isLinear ? undefined : 'the last layer is linear: remove its activation';
  }
  if (activation === undefined) return `is missing: a hidden layer needs one of ${names}`;
  if (activation === 'identity')
    return `must not be identity in a hidden layer; use one of ${names}`;
  return undefined;
}

function outputOf(
  { dense, conv }: BuiltInLayer,
  [height, width]: ImageShape,
  window: ConvolutionWindow | undefined,
): ImageShape {
  if (window === undefined) return [1, 1, dense!];
  return [convolvedSide(height, window), convolvedSide(width, window), conv!];
}

function sides(shape: ImageShape | undefined): string {
  return shape ? `${shape[0]} x ${shape[1]}` : '';
}
