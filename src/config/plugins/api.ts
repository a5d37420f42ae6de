/**
 * What a plugin is written with: the argument of its default export, and part of the package's exports. The
 * tensor library is the program's own.
 */
export * as tf from '@tensorflow/tfjs';
export { z } from 'zod';
export { compiled } from '../../core/compile.js';
export type { Split } from '../../core/dataset.js';
export {
  type BackPropagationConfig,
  backPropagation,
  type UpdateRule,
} from '../../core/methods/back-propagation.js';
export * as fields from '../../core/methods/fields.js';
export type {
  Batch,
  Method,
  MethodContext,
  NetworkShape,
  StepMetrics,
  TrainingData,
} from '../../core/methods/method.js';
export { layerValue } from '../../core/methods/per-layer.js';
export { scalars } from '../../core/methods/scalars.js';
export { scheduleFactor } from '../../core/methods/schedule.js';
export { type Activation, xlogx } from '../../core/network/activations/activation.js';
export { initializeParameters } from '../../core/network/initialize.js';
export {
  accuracyValue,
  type Loss,
  losses,
  lossValue,
  smoothLabels,
} from '../../core/network/loss.js';
export type { LinearMap } from '../../core/network/maps/linear-map.js';
export { forwardLayers, type Layers, type Network, predict } from '../../core/network/network.js';
export type { LayerParameters, Parameters } from '../../core/network/parameters.js';
export { penalty } from '../../core/network/penalty.js';
export type { ImageShape } from '../../core/network/shape.js';
export { splitBias, stackBias, withOnes } from '../../core/network/stacked.js';
export { Random } from '../../core/random.js';
export type { State } from '../../core/tree.js';
export { RunError } from '../../errors.js';
export {
  type ActivationPlugin,
  type DatasetPlugin,
  type Definition,
  defineActivation,
  defineDataset,
  defineLayer,
  defineLoss,
  defineMethod,
  type LayerPlugin,
  type LossPlugin,
  type MethodPlugin,
} from './define.js';
