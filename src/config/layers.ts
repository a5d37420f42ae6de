import { z } from 'zod';
import type { DatasetInfo } from '../core/dataset.js';
import { type ActivationName, activationNames } from '../core/network/names.js';
import {
  type ConvolutionWindow,
  convolvedSide,
  type ImageShape,
  type LayerShape,
  pooledShape,
} from '../core/network/shape.js';
import type { Finding } from './validate.js';

/** Wider layers do not fit any backend, and are more likely a mistake. */
const width = z.int().positive().max(100_000);
/** Larger than any image. */
const maxSide = 1000;
const side = z.int().positive().max(maxSide);

/** One entry of `network.layers`: it has one of dense, conv and averagePool. */
export const LayerSchema = z.strictObject({
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
    .enum([...activationNames, 'identity'])
    .optional()
    .describe('needed by every layer with weights but the last, which has none (or identity)'),
});

export type LayerInput = z.output<typeof LayerSchema>;

/** A layer of the resolved config, with its defaults filled in. */
export type ResolvedLayer = Readonly<Omit<LayerInput, 'activation'>> & {
  readonly activation?: ActivationName;
};

/** Fills in the defaults of a convolution, and removes the identity of the last layer. */
export function resolveLayer({ activation, stride, padding, ...layer }: LayerInput): ResolvedLayer {
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
  dataset: Pick<DatasetInfo, 'name' | 'shape' | 'classes'> | undefined,
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
    const kind = kindOf(layer, (message) => refuse([l], message));
    if (kind === undefined) {
      shape = undefined;
      continue;
    }
    for (const [key, message] of misplaced(layer, kind)) refuse([l, key], message);
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
    const problem = activationProblem(layer, isLast);
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
      const message = `is ${layer.dense}, but the last layer has one unit for each of the ${classes} classes of ${name}; write ${classes}, or add a layer of ${classes}`;
      refuse([l, 'dense'], message);
    }
  }
  return { layers, activations, findings };
}

type Kind = 'dense' | 'conv' | 'averagePool';
const kinds: readonly Kind[] = ['dense', 'conv', 'averagePool'];

function kindOf(layer: LayerInput, refuse: (message: string) => void): Kind | undefined {
  const given = kinds.filter((kind) => layer[kind] !== undefined);
  if (given.length === 1) return given[0];
  if (given.length > 1) refuse(`has ${given.join(' and ')}: write one layer for each`);
  else refuse('has no layer type: set one of dense, conv, averagePool');
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

function activationProblem({ activation }: LayerInput, isLast: boolean): string | undefined {
  const names = activationNames.join(', ');
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
  { dense, conv }: LayerInput,
  [height, width]: ImageShape,
  window: ConvolutionWindow | undefined,
): ImageShape {
  if (window === undefined) return [1, 1, dense!];
  return [convolvedSide(height, window), convolvedSide(width, window), conv!];
}

function sides(shape: ImageShape | undefined): string {
  return shape ? `${shape[0]} x ${shape[1]}` : '';
}
