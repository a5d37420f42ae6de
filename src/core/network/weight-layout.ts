import { type LayerShape, pooledShape } from './shape.js';

/**
 * The layout of weights in model files, which is PyTorch's: [outputs, channels, height, width] for a
 * convolution and [outputs, channels * height * width] for a fully connected layer, whose input is flattened
 * channels first. The program has [height * width * channels, outputs], channels last, for both: a fully
 * connected layer is a convolution whose window is the whole input. The values are moved, never changed.
 * A layer type of a plugin has [outputs, patch], the transpose of its own weights.
 */

/** The two files of a trained model, in the folder LABEL-sSEED of its run. */
export const weightsName = 'model.safetensors';
export const descriptionName = 'model.json';

/** What the weights of an output see: the window of a convolution, or the whole input of a fully connected layer. */
function windowOf({ input, pool, window, own }: LayerShape): [number, number, number] {
  if (own) return [1, 1, own.map().weightShape[0]];
  const [height, width, channels] = pooledShape(input, pool);
  return window ? [window.kernel, window.kernel, channels] : [height, width, channels];
}

const outputsOf = ({ output, own }: LayerShape): number =>
  own ? own.map().weightShape[1] : output[2];

/** The shape of a layer's weights in a model file. */
export function storedShape(layer: LayerShape): number[] {
  const [height, width, channels] = windowOf(layer);
  const outputs = outputsOf(layer);
  return layer.window ? [outputs, channels, height, width] : [outputs, channels * height * width];
}

/** Names and shapes of the arrays of layer `l`, from 0, in a model file. */
export const storedArrays = (layer: LayerShape, l: number) => ({
  weight: { name: `layers.${l}.weight`, shape: storedShape(layer) },
  bias: { name: `layers.${l}.bias`, shape: [outputsOf(layer)] },
  // Mean and variance of each channel, with which a batch norm computes at test time.
  ...(layer.norm === 'batch' && {
    mean: { name: `layers.${l}.norm.mean`, shape: [outputsOf(layer)] },
    variance: { name: `layers.${l}.norm.variance`, shape: [outputsOf(layer)] },
  }),
});

/** The program's weights [patch, outputs], row-major, as a model file has them. */
export function toStored(weights: Float32Array, layer: LayerShape): Float32Array {
  const stored = new Float32Array(weights.length);
  eachWeight(layer, (own, there) => {
    stored[there] = weights[own];
  });
  return stored;
}

/** The inverse of {@link toStored}. */
export function fromStored(stored: Float32Array, layer: LayerShape): Float32Array {
  const weights = new Float32Array(stored.length);
  eachWeight(layer, (own, there) => {
    weights[own] = stored[there];
  });
  return weights;
}

/** Calls `move` with the index of each weight in the program and in a model file. */
function eachWeight(layer: LayerShape, move: (own: number, stored: number) => void): void {
  const [height, width, channels] = windowOf(layer);
  const outputs = outputsOf(layer);
  const patch = height * width * channels;
  for (let position = 0, own = 0; position < height * width; position++) {
    for (let channel = 0; channel < channels; channel++) {
      const column = channel * height * width + position;
      for (let output = 0; output < outputs; output++, own++) move(own, output * patch + column);
    }
  }
}
