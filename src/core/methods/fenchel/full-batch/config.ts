import { z } from 'zod';
import * as fields from '../../fields.js';

/** Fenchel on all training images at once (Algorithm 1), for one hidden layer of ReLUs and squared error. */
export const FenchelFullBatchConfig = z.strictObject({
  name: z.literal('fenchel'),
  solver: z.literal('full-batch'),
  preset: z
    .literal('paper')
    .optional()
    .describe(
      "Algorithm 1 as in the paper's text: no momentum, activations and weights solved for, the hidden weights in at most four steps; lambda and rho are this project's",
    ),
  label: fields.label,
  variant: z
    .enum(['accelerated', 'plain'])
    .default('accelerated')
    .describe(
      'accelerated: a forward pass in every iteration, momentum on the weights; plain: Algorithm 1',
    ),
  lambda: fields.positive.default(1).describe('dual variable of the biconvex constraint'),
  rho: fields
    .perLayer(fields.positive)
    .default([1e-6, 5e-4])
    .describe('ridge rho ||W||^2; a list has one value a layer')
    .meta({ whenSingular: 'larger' }),
  damping: fields.positive
    .default(0.1)
    .describe(
      "ridge added to the inputs' covariance in the preconditioner of the hidden layer's steps",
    )
    .meta({ whenDiverging: 'larger', whenSingular: 'larger' }),
  stepSize: fields.positive
    .default(4)
    .describe(
      'accelerated: step size of the preconditioned steps of the hidden layer; up to 1 it minimises a bound of the objective',
    )
    .meta({ whenDiverging: 'smaller' }),
  momentum: z
    .number()
    .min(0)
    .lt(1)
    .default(0.98)
    .describe('accelerated: largest factor of the extrapolation'),
  activationSteps: z
    .int()
    .positive()
    .default(3)
    .describe('accelerated: proximal gradient steps of an X-update'),
  weightSteps: z
    .int()
    .positive()
    .default(1)
    .describe(
      'plain: steps of a W-update of the hidden layer, at most where it is solved; two large products each',
    ),
  weightUpdate: z
    .enum(['majorised-steps', 'solve'])
    .default('majorised-steps')
    .describe(
      'plain: the W-update of the hidden layer: steps that each minimise a quadratic bound, or conjugate gradients until it is solved',
    ),
  weightTolerance: fields.positive
    .default(0.1)
    .describe(
      'plain: relative optimality residual at which the W-update of the hidden layer counts as solved',
    )
    .meta({ usedWith: { weightUpdate: 'solve' } }),
  tolerance: fields.positive
    .default(1e-5)
    .describe('plain: largest relative optimality residual at which an X-update counts as solved'),
  maxIterations: z
    .int()
    .positive()
    .default(50)
    .describe('plain: Newton steps of an X-update at most'),
  initializer: fields.initializer.default('he'),
  bias: fields.bias.default(0),
});

export type FenchelFullBatchConfig = z.output<typeof FenchelFullBatchConfig>;

export const fullBatchPresets = {
  paper: {
    variant: 'plain',
    lambda: 0.05,
    rho: [1e-6, 1e-2],
    damping: 1e-3,
    weightUpdate: 'solve',
    weightSteps: 4,
  },
};

export function fullBatchVariant({
  variant,
  weightUpdate,
}: Readonly<Record<string, unknown>>): string {
  if (variant !== 'plain') return 'Algorithm 1, accelerated';
  return weightUpdate === 'solve' ? 'Algorithm 1' : 'Algorithm 1, inexact';
}
