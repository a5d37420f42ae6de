import { z } from 'zod';
import { type ActivationName, normNames } from '../core/network/names.js';
import type { LayerType } from './plugins/entries.js';
import type { Registry } from './plugins/registry.js';
import type { Path } from './tree.js';

/** Wider layers do not fit any backend, and are more likely a mistake. */
const width = z.int().positive().max(100_000);
/** Larger than any image. */
const maxSide = 1000;
const side = z.int().positive().max(maxSide);

/** The keys of the built-in layers with weights, and of pooling: an entry has one of {@link kinds}. */
const layerKeys = (activations: readonly string[]) => ({
  dense: width
    .optional()
    .describe('units of a fully connected layer; an image before it is flattened'),
  conv: width.optional().describe('channels of a convolution'),
  kernel: side.optional().describe('side of the window of a convolution'),
  stride: side.optional().describe('step between the windows of a convolution; 1 when absent'),
  padding: z
    .union([z.int().nonnegative().max(maxSide), z.literal('same')])
    .optional()
    .describe(
      'zeros added on every side before a convolution, 0 when absent; same: (kernel - 1) / 2, which keeps the size',
    ),
  whiten: side
    .optional()
    .describe(
      'first layer, not trained: a convolution with windows of this side, whose filters are the eigenvectors of the patches of ' +
        'training images over the root of their eigenvalues, with both signs',
    ),
  filters: width
    .multipleOf(2)
    .optional()
    .describe('channels of a whitening layer, of the largest eigenvalues; all when absent'),
  averagePool: side
    .min(2)
    .optional()
    .describe('averages windows of this side that do not overlap; part of the next layer'),
  maxPool: side
    .min(2)
    .optional()
    .describe(
      'the largest value of windows of this side that do not overlap: as an entry, of the activations of the layer before; ' +
        'as a field of a convolution, of its output, before norm and activation',
    ),
  globalPool: z
    .enum(['average', 'max'])
    .optional()
    .describe('average or largest value of each channel over the whole image'),
  norm: z
    .enum(normNames)
    .optional()
    .describe(
      'normalisation before the activation, without a scale: batch, of each channel over the batch; rms, of each position ' +
        'over its channels. The bias of the layer is added after it',
    ),
  dropout: z
    .number()
    .gt(0)
    .lt(1)
    .optional()
    .describe('share of the activations that are set to 0 in each training step'),
  activation: z
    .enum([...activations, 'identity'])
    .optional()
    .describe('needed by every layer with weights but the last, which has none (or identity)'),
});

type LayerKeys = z.output<z.ZodObject<ReturnType<typeof layerKeys>>>;

/** One entry of a list of layers that is not a block; it may have the keys of a plugin's layer type. */
type SimpleLayer = LayerKeys & Readonly<Record<string, unknown>>;

/** One entry of `network.layers`: a layer, pooling, or a block of them. */
export type LayerInput = SimpleLayer & {
  readonly residual?: readonly SimpleLayer[];
  readonly repeat?: number;
  readonly layers?: readonly (SimpleLayer & { readonly residual?: readonly SimpleLayer[] })[];
};

const blockKeys = (simple: z.ZodType) => {
  const residual = z
    .array(simple)
    .min(1)
    .optional()
    .describe(
      'a residual block: its input is added to the pre-activations of its last layer, whose activation is that of this entry. ' +
        'Where the block changes the shape, the input is averaged over windows and filled with channels of zeros',
    );
  const inner = simple instanceof z.ZodObject ? simple.extend({ residual }) : simple;
  return {
    residual,
    repeat: z
      .int()
      .positive()
      .max(1000)
      .optional()
      .describe(
        'how many times the entries of layers follow each other, each time with weights of their own',
      ),
    layers: z.array(inner).min(1).optional().describe('the entries that repeat repeats'),
  };
};

/** One entry of `network.layers`. The keys of plugins' layer types are checked later, by the type's own schema. */
export function layerSchema({ activations, layers }: Registry): z.ZodType<LayerInput> {
  const keys = layerKeys(activations);
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
  const simple = z.strictObject({ ...keys, ...Object.fromEntries(others) });
  return simple.extend(blockKeys(simple)) as unknown as z.ZodType<LayerInput>;
}

/** All forms of a layer, for editors. */
export function layerVariants({ activations, layers }: Registry): z.ZodType {
  const keys = layerKeys(activations);
  const ofPlugins = layers.map(({ schema, summary }) =>
    schema.extend({ activation: keys.activation }).describe(summary),
  );
  const simple = z.strictObject(keys);
  const own = simple.extend(blockKeys(simple));
  return ofPlugins.length === 0 ? own : z.union([own, ...ofPlugins]);
}

/** A layer of the resolved config, with its defaults filled in. */
export type ResolvedLayer = Readonly<Omit<LayerInput, 'activation'>> & {
  readonly activation?: ActivationName;
};

/** The type of a plugin that an entry has, if any. */
export const typeOf = (layer: LayerInput, types: readonly LayerType[]): LayerType | undefined =>
  types.find(({ name }) => layer[name] !== undefined);

/** Zeros on every side of a convolution; what is not a number is found wrong elsewhere. */
export const paddingOf = ({ padding = 0, kernel = 1 }: LayerInput): number =>
  padding === 'same' ? (kernel - 1) / 2 : padding;

/** Fills in the defaults of a convolution or a plugin's type, and removes the identity of the last layer. */
export function resolveLayer(
  { activation, ...input }: LayerInput,
  types: readonly LayerType[],
): ResolvedLayer {
  const { residual, layers } = input;
  const own = activation !== undefined && activation !== 'identity' && { activation };
  const inside = (entries: readonly LayerInput[]) =>
    entries.map((entry) => resolveLayer(entry, types));
  if (residual) return { ...input, residual: inside(residual), ...own } as ResolvedLayer;
  if (layers) return { ...input, layers: inside(layers), ...own } as ResolvedLayer;
  const type = typeOf(input, types);
  if (type !== undefined) return { ...type.schema.parse(input), ...own };
  const { stride, padding: _, ...layer } = input as LayerKeys;
  return {
    ...layer,
    ...(layer.conv !== undefined && { stride: stride ?? 1, padding: paddingOf(input) }),
    ...(layer.whiten !== undefined && stride !== undefined && stride > 1 && { stride }),
    ...own,
  };
}

/** An entry that is not a block, in its place in the network. */
export interface PlacedLayer {
  readonly layer: LayerInput;
  /** From `network.layers`. */
  readonly path: Path;
  /** Of the last layer of a residual block: the number of the block's first entry. */
  readonly skipFrom?: number;
}

/** The entries of all blocks in turn, as the network has them. */
export function flattened(
  inputs: readonly LayerInput[],
  refuse: (path: Path, message: string) => void,
  base: Path = [],
  placed: PlacedLayer[] = [],
): readonly PlacedLayer[] {
  for (const [i, layer] of inputs.entries()) {
    const path = [...base, i];
    const { residual, repeat, layers, activation } = layer;
    const others = Object.keys(layer).filter(
      (key) =>
        layer[key] !== undefined && !['residual', 'repeat', 'layers', 'activation'].includes(key),
    );
    if (residual === undefined && repeat === undefined && layers === undefined) {
      placed.push({ layer, path });
    } else if (others.length > 0 || (residual && (repeat ?? layers) !== undefined)) {
      const name = residual ? 'residual' : 'repeat';
      refuse(path, `has ${[name, ...others].join(' and ')}: write one entry for each`);
    } else if (residual) {
      const start = placed.length;
      flattened(residual, refuse, [...path, 'residual'], placed);
      const { layer: first, path: firstPath } = placed[start];
      if (isMaximum(first) && !hasWeights(first)) {
        refuse(
          firstPath,
          'must not be the first entry of a residual block: it pools the input that the block adds too; write it before the block',
        );
      }
      const last = placed[placed.length - 1];
      if (!hasWeights(last.layer)) {
        refuse(
          last.path,
          'must not be the last entry of a residual block, to whose pre-activations the input is added',
        );
      } else if (last.layer.activation !== undefined) {
        refuse(
          [...last.path, 'activation'],
          'is that of the last layer of a residual block; write it beside residual, after whose sum it is',
        );
      }
      placed[placed.length - 1] = {
        layer: { ...last.layer, activation },
        path: last.layer.activation === undefined ? path : last.path,
        skipFrom: start,
      };
    } else if (repeat === undefined || layers === undefined) {
      const missing = repeat === undefined ? 'repeat (how often)' : 'layers (what is repeated)';
      refuse(path, `needs ${missing}`);
    } else {
      if (activation !== undefined) {
        refuse([...path, 'activation'], 'belongs to the layers that are repeated');
      }
      for (let n = 0; n < repeat; n++) flattened(layers, refuse, [...path, 'layers'], placed);
    }
  }
  return placed;
}

const hasWeights = ({ averagePool, globalPool, maxPool, conv }: LayerInput): boolean =>
  averagePool === undefined &&
  globalPool === undefined &&
  (maxPool === undefined || conv !== undefined);

const isMaximum = ({ maxPool, globalPool }: LayerInput): boolean =>
  maxPool !== undefined || globalPool === 'max';
