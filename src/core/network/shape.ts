import type { LinearMap } from './maps/linear-map.js';
import type { NormName } from './names.js';

/** Height, width and channels of a layer's values; a vector of n units is [1, 1, n]. */
export type ImageShape = readonly [height: number, width: number, channels: number];

/** Window of a convolution, the same in both directions. */
export interface ConvolutionWindow {
  readonly kernel: number;
  readonly stride: number;
  /** Zeros added on every side. */
  readonly padding: number;
}

/**
 * One layer as plain data: everything that its size and its cost depend on. What it does, in this order: average pooling,
 * the linear map, max-pooling, the norm, the bias, the skip connection, the activation, dropout, max-pooling again.
 */
export interface LayerShape {
  /** Of the layer's input, before pooling. */
  readonly input: ImageShape;
  /** Of the linear map's output. */
  readonly output: ImageShape;
  /** Side of the windows that are averaged before the weights; 1 is no pooling. */
  readonly pool: number;
  /** Absent in a fully connected layer. */
  readonly window?: ConvolutionWindow;
  /** A layer type of a plugin. */
  readonly own?: {
    readonly type: string;
    /** Its map of the pooled input. */
    readonly map: () => LinearMap;
  };
  /** Side of the windows whose maximum is taken of the map's output; absent is none. */
  readonly maxPool?: number;
  readonly norm?: NormName;
  /** The layer whose input is added to the pre-activations: of a residual block, its first one. */
  readonly skipFrom?: number;
  /** Share of the activations that dropout sets to 0 in training. */
  readonly dropout?: number;
  /** Side of the windows whose maximum is taken of the activations; absent is none. */
  readonly outerPool?: number;
  /** The weights are the eigenvectors of patches of the training images, and are not trained. */
  readonly whiten?: boolean;
}

/** The shape of what a layer's activation sees. */
export const activationShape = ({ output, maxPool = 1 }: LayerShape): ImageShape =>
  pooledShape(output, maxPool);

/** Whether a layer does more than its map and its activation. */
export const hasStages = (layer: LayerShape): boolean =>
  layer.maxPool !== undefined ||
  layer.norm !== undefined ||
  layer.skipFrom !== undefined ||
  layer.dropout !== undefined ||
  layer.outerPool !== undefined ||
  layer.whiten === true;

/** Units in a shape. */
export function unitsIn([height, width, channels]: ImageShape): number {
  return height * width * channels;
}

/** Shape after pooling over windows of `side` that do not overlap; what does not fill a window is dropped. */
export function pooledShape([height, width, channels]: ImageShape, side: number): ImageShape {
  return [Math.floor(height / side), Math.floor(width / side), channels];
}

/** Side of a convolution's output along an input side; less than 1 when the window does not fit. */
export function convolvedSide(side: number, { kernel, stride, padding }: ConvolutionWindow) {
  return Math.floor((side + 2 * padding - kernel) / stride) + 1;
}

/** Why a skip connection between these shapes is not possible; undefined where it is. */
export function skipProblem(input: ImageShape, output: ImageShape): string | undefined {
  const [height, width] = [input[0] / output[0], input[1] / output[1]];
  if (!Number.isInteger(height) || height !== width) {
    return `turns ${input[0]} x ${input[1]} into ${output[0]} x ${output[1]}: the skip connection needs sides that are divided by a whole number, or padding: same`;
  }
  if (output[2] < input[2]) {
    return `has ${output[2]} channels at its end and ${input[2]} at its start: the skip connection needs at least as many`;
  }
  return undefined;
}

/** Fully connected layers between the widths, input first: 784-300-10 is [784, 300, 10]. */
export function denseLayers(widths: readonly number[]): LayerShape[] {
  return widths.slice(1).map((outputs, l) => ({
    input: [1, 1, widths[l]],
    output: [1, 1, outputs],
    pool: 1,
  }));
}

/** Units of each layer, input first. */
export function widthsOf(layers: readonly LayerShape[]): number[] {
  return [unitsIn(layers[0].input), ...layers.map((layer) => unitsIn(activationShape(layer)))];
}

/** e.g. `784-300-10`, `28x28x1-6@28x28-pool2-16@10x10-pool2-120-84-10`, or `...-64@16x16-max2-batch-...`. */
export function describeLayers(layers: readonly LayerShape[]): string {
  const [height, width, channels] = layers[0].input;
  const input =
    hasConvolution(layers) && height * width > 1
      ? `${height}x${width}x${channels}`
      : `${unitsIn(layers[0].input)}`;
  return [
    input,
    ...layers.flatMap((layer) => {
      const { output, pool, window, own, whiten, maxPool, norm, skipFrom, outerPool } = layer;
      const type = own ? `${own.type} ` : whiten ? 'whiten' : '';
      const size = window || output[0] * output[1] > 1 ? `@${output[0]}x${output[1]}` : '';
      return [
        ...(pool > 1 ? [`pool${pool}`] : []),
        `${type}${output[2]}${size}`,
        ...(maxPool ? [`max${maxPool}`] : []),
        ...(norm ? [norm] : []),
        ...(skipFrom === undefined ? [] : ['skip']),
        ...(outerPool ? [`max${outerPool}`] : []),
      ];
    }),
  ].join('-');
}

/** Whether any layer is not fully connected: a convolution, pooling, or a type of a plugin. */
export function hasConvolution(layers: readonly LayerShape[]): boolean {
  return layers.some(
    ({ window, pool, own }) => window !== undefined || pool > 1 || own !== undefined,
  );
}
