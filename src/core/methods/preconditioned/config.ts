import { z } from 'zod';
import { isDiscontinuous } from '../../network/names.js';
import * as fields from '../fields.js';
import type { NetworkShape } from '../method.js';
import type { Smoothing } from '../schedule.js';

/** Fields that the steps of one norm alone have. */
const ofCovariance = { usedWith: { stepNorm: 'covariance' } } as const;
const ofOperator = { usedWith: { stepNorm: 'operator' } } as const;
const ofAverage = { usedWith: { inputCovariance: 'average' } } as const;

/** Fields of the methods whose steps are preconditioned by the covariance of each layer's inputs. */
export const preconditionedFields = {
  stepNorm: z
    .enum(['covariance', 'operator'])
    .default('covariance')
    .describe(
      "norm of the W-steps of hidden layers, operator by default in networks with a norm: covariance, that of the layer's inputs, in which the gradient is preconditioned; operator, the largest singular value: orthogonalised momentum as in muon, of the length relativeChange. The output layer always takes the first",
    ),
  rmsChange: fields.positive
    .default(0.025)
    .describe(
      "root mean square change of a layer's pre-activations by one W-step; for stepNorm: covariance",
    )
    .meta({
      ...ofCovariance,
      whenDiverging: 'smaller',
      tune: { range: [0.01, 0.1], scale: 'log' },
    }),
  maxChange: fields.positive
    .optional()
    .describe(
      "largest root mean square change of a layer's pre-activations on the batch by one W-step, relative to that of the pre-activations themselves: longer steps are shortened; no limit when absent; for steps preconditioned by a covariance",
    ),
  relativeChange: fields.positive
    .default(0.2)
    .describe(
      "root mean square change of a hidden layer's pre-activations by one W-step, relative to their standard deviation on the batch; for stepNorm: operator",
    )
    .meta({
      ...ofOperator,
      whenDiverging: 'smaller',
      tune: { range: [0.05, 0.4], scale: 'log' },
    }),
  outputChange: fields.positive
    .default(0.1)
    .describe(
      'root mean square change of the outputs by one step of the output layer; for stepNorm: operator',
    )
    .meta({ ...ofOperator, whenDiverging: 'smaller', tune: { range: [0.02, 0.2], scale: 'log' } }),
  biasStep: fields.nonNegative
    .default(0.03)
    .describe(
      'step size of the biases of hidden layers, which take steps of Adam; for stepNorm: operator',
    )
    .meta({ ...ofOperator, tune: { range: [0.005, 0.1], scale: 'log' } }),
  newtonSchulzSteps: z
    .int()
    .min(1)
    .max(50)
    .default(3)
    .describe('Newton-Schulz iterations that orthogonalise a step; for stepNorm: operator')
    .meta(ofOperator),
  lengthImages: z
    .int()
    .positive()
    .default(16)
    .describe('images of the batch on which relativeChange is measured; for stepNorm: operator')
    .meta(ofOperator),
  damping: fields.positive
    .default(0.03)
    .describe("ridge added to each layer's input covariance, relative to its mean diagonal entry")
    .meta({
      whenDiverging: 'larger',
      whenSingular: 'larger',
      tune: { range: [0.001, 0.3], scale: 'log' },
    }),
  momentum: z
    .number()
    .min(0)
    .lt(1)
    .default(0.5)
    .describe(
      'factor, per batch, of the exponential average of W-steps; with stepNorm: operator, whose default is 0.6, of gradients',
    )
    .meta({ tune: [0, 0.5, 0.9] }),
  weightDecay: fields.nonNegative
    .default(0.02)
    .describe(
      'weights shrink by rmsChange x weightDecay a step, biases do not; with stepNorm: operator, whose default is 0, by relativeChange x weightDecay, those of the output layer by outputChange x weightDecay',
    )
    .meta({ tune: [0, 0.02, 0.1] }),
  inputCovariance: z
    .enum(['average', 'batch'])
    .default('average')
    .describe(
      "covariance of each layer's inputs: average, an exponential average over batches (of a fully connected first layer, whose inputs do not change except with dataset.stream, that of inputRank); batch, of the current batch alone, which costs a factorisation in every step",
    ),
  covarianceDecay: z
    .number()
    .min(0)
    .lt(1)
    .default(0.95)
    .describe("factor, per batch, of the exponential average of the layers' input covariances")
    .meta(ofAverage),
  covarianceInterval: z
    .int()
    .positive()
    .default(8)
    .describe(
      'batches between updates of the input covariances and of their inverses; at first fewer: 1 more every 25 batches',
    )
    .meta(ofAverage),
  covarianceImages: z
    .int()
    .positive()
    .default(16)
    .describe('images of the batch whose patches enter the input covariance of a convolution'),
  inputRank: z
    .int()
    .positive()
    .default(8)
    .describe(
      'leading eigenvectors kept of the input covariance of a fully connected first layer, which is that of 2,000 evenly spaced training images; with dataset.stream that layer is as the others',
    )
    .meta(ofAverage),
  smoothing: fields.smoothing.default('none'),
  schedule: fields.schedule.default('linear'),
  warmup: fields.warmup.default(0),
  labelSmoothing: fields.labelSmoothing.default(0.05),
  weightAverage: fields.weightAverage.default(0.99),
  initializer: fields.initializer.default('he'),
  bias: fields.bias.default(0),
  ...fields.hardware,
};

export type PreconditionedConfig = z.output<z.ZodObject<typeof preconditionedFields>>;

/**
 * Initial weights: he makes up for the ReLU, which halves the mean square of a layer's inputs, as step does. The mean
 * square of phi(u), u standard normal, is .5 of leaky-relu and hard-tanh, .4 of tanh and gelu, .36 of silu. lecun is for
 * inputs that are data, signs or softplus (.92), and for the output layer, whose logits start smaller. Smoothed targets
 * would bias a regression.
 * @param smoothing of activations that jump
 * @param given fields that have a value
 */
export function preconditionedDefaults(
  { layers, activations, isRegression }: NetworkShape,
  smoothing: Smoothing,
  given: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const hasNorm = layers.some(({ norm }) => norm !== undefined);
  const stepNorm = given.stepNorm ?? (hasNorm ? 'operator' : 'covariance');
  const last = layers.length - 1;
  const isPlain = (l: number) =>
    l === 0 || l === last || ['sign', 'softplus'].includes(activations[l - 1]);
  return {
    initializer: layers.map((_, l) => (isPlain(l) ? 'lecun' : 'he')),
    ...(activations.some(isDiscontinuous) && { smoothing }),
    ...(isRegression && { labelSmoothing: 0 }),
    ...(stepNorm === 'operator' && { stepNorm, momentum: 0.6, weightDecay: 0 }),
  };
}

/** Without hidden layers no step is in the operator norm; and a bias that is added after a norm has no input covariance. */
export function checkStepNorm(
  { stepNorm }: { readonly stepNorm: PreconditionedConfig['stepNorm'] },
  { activations, layers }: NetworkShape,
): { path: string[]; message: string }[] {
  const l = layers.findIndex(({ norm }) => norm !== undefined);
  if (stepNorm === 'covariance' && l >= 0) {
    const message = `covariance is for layers whose bias is a part of the map, and that of layer ${l + 1} is added after a norm; remove it, or set operator`;
    return [{ path: ['stepNorm'], message }];
  }
  if (stepNorm === 'covariance' || activations.length > 0) return [];
  const message =
    'is for the weights of hidden layers, and the network has none; remove it, or set covariance';
  return [{ path: ['stepNorm'], message }];
}
