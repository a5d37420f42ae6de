import { z } from 'zod';
import type { ActivationName } from '../../../network/names.js';
import * as fields from '../../fields.js';
import type { NetworkShape } from '../../method.js';

/**
 * Fast Fenchel: one linearised proximal step per block, in the metric of the layer's averaged input
 * Gram. This form is for fully connected networks.
 */
export const FenchelGramConfig = z.strictObject({
  name: z.literal('fenchel'),
  solver: z.literal('gram').default('gram'),
  label: fields.label,
  activationStep: fields.positive
    .default(0.2)
    .describe('c: length of the X-step on the last hidden layer, in units of the loss gradient')
    .meta({ whenDiverging: 'smaller' }),
  stepSize: fields
    .perLayer(fields.positive)
    .default(200)
    .describe(
      'eta of the hidden layers: length of the W-step in the Gram metric; a list has one value a hidden layer',
    )
    .meta({ whenDiverging: 'smaller' }),
  damping: fields
    .perLayer(fields.positive)
    .default(2)
    .describe('delta of the hidden layers: ridge added to the averaged Gram matrix')
    .meta({ whenDiverging: 'larger', whenSingular: 'larger' }),
  headStepSize: fields.positive
    .default(0.5)
    .describe('eta of the output layer')
    .meta({ whenDiverging: 'smaller' }),
  headDamping: fields.positive
    .default(0.05)
    .describe('delta of the output layer')
    .meta({ whenDiverging: 'larger', whenSingular: 'larger' }),
  inputMetric: z
    .enum(['low-rank', 'exact'])
    .default('low-rank')
    .describe(
      'how the inverse Gram matrix of the input layer is applied: low-rank (leading eigenvectors of the Gram matrix of 2,000 evenly spaced training images, a few percent of a step) or exact (the Gram matrix of all training images, one more large matrix product a step)',
    ),
  inputRank: z.int().positive().default(48).describe('eigenvectors kept by inputMetric: low-rank'),
  gramAverage: z
    .number()
    .min(0)
    .lt(1)
    .default(0.95)
    .describe("factor, per batch, of the exponential average of the hidden layers' Gram matrices"),
  gramRefresh: z
    .int()
    .positive()
    .default(8)
    .describe('batches between updates of the Gram averages'),
  trustRegion: fields.positive
    .default(0.25)
    .describe("largest relative change of a layer's pre-activations that a W-step may aim at")
    .meta({ whenDiverging: 'smaller' }),
  schedule: fields.schedule.default('hold-linear'),
  warmup: fields.warmup.default(0),
  labelSmoothing: fields.labelSmoothing.default(0.1),
  weightAverage: fields.weightAverage.default(0.98),
  initializer: fields.initializer.default('he'),
  bias: fields.bias.default(0),
});

export type FenchelGramConfig = z.output<typeof FenchelGramConfig>;

/** The form for networks with convolutions: every layer's step has a normalised length. */
export const FenchelConvolutionConfig = z.strictObject({
  name: z.literal('fenchel'),
  solver: z.literal('gram').default('gram'),
  label: fields.label,
  activationStep: fields.positive
    .default(0.02)
    .describe('c: length of the X-step on the last hidden layer, in units of the loss gradient')
    .meta({ whenDiverging: 'smaller' }),
  change: fields.positive
    .default(0.025)
    .describe("root mean square change of a layer's pre-activations by one W-step")
    .meta({ whenDiverging: 'smaller' }),
  damping: fields.positive
    .default(0.03)
    .describe("ridge added to each layer's metric, relative to its mean diagonal entry")
    .meta({ whenDiverging: 'larger', whenSingular: 'larger' }),
  momentum: z
    .number()
    .min(0)
    .lt(1)
    .default(0.5)
    .describe('factor, per batch, of the exponential average of W-steps'),
  weightDecay: fields.nonNegative
    .default(0.02)
    .describe('weights shrink by change x weightDecay a step, biases do not'),
  gramAverage: z
    .number()
    .min(0)
    .lt(1)
    .default(0.95)
    .describe("factor, per batch, of the exponential average of the layers' Gram matrices"),
  gramRefresh: z
    .int()
    .positive()
    .default(1)
    .describe('batches between updates of the Gram averages'),
  gramImages: z
    .int()
    .positive()
    .default(16)
    .describe('images of the batch whose patches enter the Gram matrix of a convolution'),
  schedule: fields.schedule.default('linear'),
  warmup: fields.warmup.default(0),
  labelSmoothing: fields.labelSmoothing.default(0.05),
  weightAverage: fields.weightAverage.default(0.99),
  initializer: fields.initializer.default('he'),
  bias: fields.bias.default(0),
});

export type FenchelConvolutionConfig = z.output<typeof FenchelConvolutionConfig>;

/** The first and the last layer have no ReLU's loss of half the variance to make up for. */
export function convolutionDefaults({ layers }: NetworkShape): Record<string, unknown> {
  const last = layers.length - 1;
  return { initializer: layers.map((_, l) => (l === 0 || l === last ? 'lecun' : 'he')) };
}

/** Settings that depend on the network, chosen on a validation split of MNIST. */
export function gramDefaults(network: NetworkShape): Record<string, unknown> {
  const byActivation: Partial<Record<ActivationName, Record<string, unknown>>> = {
    sigmoid: { stepSize: 150, activationStep: 0.5, headStepSize: 0.3, initializer: 'lecun' },
    tanh: { stepSize: 60, activationStep: 0.2, headStepSize: 0.5, initializer: 'lecun' },
  };
  return byActivation[network.activations[0]] ?? {};
}
