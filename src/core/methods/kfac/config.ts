import { z } from 'zod';
import * as fields from '../fields.js';
import { preconditionedFields } from '../preconditioned/config.js';

export const KfacConfig = z.strictObject({
  name: z.literal('kfac'),
  label: fields.label,
  stepRule: z
    .enum(['kl-clip', 'normalised'])
    .default('kl-clip')
    .describe(
      'length of steps: kl-clip, learningRate with a bound on the change of the predictions; normalised, as of foof, each layer changes its pre-activations by rmsChange',
    )
    .meta({ tune: ['kl-clip', 'normalised'] }),
  learningRate: fields.learningRate
    .meta({ tune: { range: [0.02, 0.5], scale: 'log' } })
    .default(0.1)
    .describe('step size at the full rate of the schedule; for stepRule: kl-clip'),
  klClip: fields.positive
    .default(0.003)
    .describe(
      'bound of learningRate^2 <D, G> of a step D before momentum, about twice the change of the predictions in KL divergence; for stepRule: kl-clip',
    )
    .meta({ whenDiverging: 'smaller', tune: { range: [3e-4, 0.03], scale: 'log' } }),
  rmsChange: preconditionedFields.rmsChange.describe(
    "root mean square change of a layer's pre-activations by one step; for stepRule: normalised",
  ),
  damping: fields.positive
    .default(0.01)
    .describe(
      'd, added to the Fisher matrix: sqrt(d) pi to its input factor, sqrt(d) / pi to its output factor; absolute, in units of the loss',
    )
    .meta({
      whenDiverging: 'larger',
      whenSingular: 'larger',
      tune: { range: [3e-4, 0.1], scale: 'log' },
    }),
  momentum: z
    .number()
    .min(0)
    .lt(1)
    .default(0.9)
    .describe(
      'factor, per batch, of the sum of steps (kl-clip), or of their exponential average (normalised)',
    )
    .meta({ tune: [0.5, 0.9] }),
  weightDecay: fields.nonNegative
    .default(0)
    .describe(
      'weights shrink by learningRate or rmsChange x weightDecay a step, apart from the gradient; biases do not',
    )
    .meta({ tune: [0, 0.005, 0.02] }),
  covarianceDecay: preconditionedFields.covarianceDecay.describe(
    'factor, per batch, of the exponential averages of both Kronecker factors',
  ),
  covarianceInterval: preconditionedFields.covarianceInterval.describe(
    'batches between updates of the Kronecker factors, each with newly sampled labels, and of their inverses; at first fewer: 1 more every 25 batches',
  ),
  covarianceImages: preconditionedFields.covarianceImages.describe(
    'images of the batch whose patches enter the input factor of a convolution',
  ),
  inputRank: z
    .int()
    .positive()
    .default(64)
    .describe(
      'leading eigenvectors kept of the input factor of a fully connected first layer, which is that of 2,000 evenly spaced training images; the other eigenvalues are replaced by their mean; from as many as inputs + 1 on, all are kept',
    ),
  schedule: preconditionedFields.schedule,
  warmup: preconditionedFields.warmup,
  labelSmoothing: preconditionedFields.labelSmoothing,
  weightAverage: preconditionedFields.weightAverage,
  smoothing: preconditionedFields.smoothing,
  initializer: preconditionedFields.initializer,
  bias: preconditionedFields.bias,
  ...fields.hardware,
});

export type KfacConfig = z.output<typeof KfacConfig>;
