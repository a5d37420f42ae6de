import { z } from 'zod';
import * as fields from '../../fields.js';
import { preconditionedFields } from '../../preconditioned/config.js';

/**
 * Fenchel, one step per block, preconditioned by the covariance of each layer's inputs. The same fields,
 * with the same defaults, serve fully connected and convolution networks.
 */
export const FenchelPreconditionedConfig = z.strictObject({
  name: z.literal('fenchel'),
  solver: z.literal('preconditioned').default('preconditioned'),
  label: fields.label,
  nudge: z
    .enum(fields.nudges)
    .default('two-sided')
    .describe(
      "learning signal of a hidden layer, from the step r of its activations' block: one-sided, phi(U) - phi(U - r); " +
        'two-sided, (phi(U + r) - phi(U - r)) / 2, whose mean a large r hardly moves, for one more evaluation of phi',
    ),
  targetStep: fields.positive
    .default(0.02)
    .describe(
      'c: step size of the X-update of the last hidden layer, in units of the loss gradient',
    )
    .meta({ whenDiverging: 'smaller', tune: { range: [0.005, 0.2], scale: 'log' } }),
  ...preconditionedFields,
});

export type FenchelPreconditionedConfig = z.output<typeof FenchelPreconditionedConfig>;

/** Names of earlier versions, whose solver `gram` had two sets of fields. */
export const preconditionedRenames = {
  values: { solver: { gram: 'preconditioned' } },
  fields: {
    activationStep: 'targetStep',
    change: 'rmsChange',
    gramAverage: 'covarianceDecay',
    gramRefresh: 'covarianceInterval',
    gramImages: 'covarianceImages',
  },
  removed: {
    stepSize: 'set rmsChange, the root mean square change of pre-activations by one step',
    headStepSize: 'rmsChange holds for every layer',
    trustRegion: 'steps have the length rmsChange, and none is longer',
    headDamping:
      'damping, relative to the mean diagonal entry of the covariance, holds for every layer',
    inputMetric: 'set inputRank; from as many eigenvectors as inputs on, the inverse is exact',
  },
};
