import { z } from 'zod';
import * as fields from '../fields.js';

/** Taylor et al. 2016; the defaults are the published algorithm. */
export const TaylorConfig = z.strictObject({
  name: z.literal('taylor-admm'),
  preset: z
    .enum(['paper', 'tuned'])
    .optional()
    .describe(
      'paper: the public code that the Fenchel paper compared with, deviations from its paper included; tuned: the best settings found',
    ),
  label: fields.label,
  beta: fields.positive.default(5).describe('weight of beta/2 ||Z - A W||^2'),
  gamma: fields.positive
    .default(5)
    .describe('weight of gamma/2 ||A - phi(Z)||^2')
    .meta({ whenDiverging: 'larger', whenSingular: 'larger' }),
  dualWarmup: z
    .int()
    .nonnegative()
    .default(10)
    .describe('first iterations, in which the Lagrange multiplier is not updated'),
  initialMultiplier: fields.nonNegative
    .default(0)
    .describe('every entry of the Lagrange multiplier at the start (the public code: 1)'),
  dual: z
    .enum(['accumulate', 'replace'])
    .default('accumulate')
    .describe(
      'multiplier after an iteration: lambda + beta (Z_L - A W), or beta (Z_L - A W) alone (the public code)',
    ),
  branchWeight: z
    .enum(['gamma', 'gamma2'])
    .default('gamma')
    .describe(
      'weight of (a - relu(z))^2 where the two sides of a z-update are compared; gamma2 is the public code: it squares gamma',
    ),
  biases: z.boolean().default(true).describe('whether layers have biases (the public code: none)'),
  ridge: fields.positive
    .default(1)
    .describe(
      'ridge of the least-squares weight updates; a tiny one approximates the pseudo-inverse',
    )
    .meta({ whenSingular: 'larger' }),
});

export type TaylorConfig = z.output<typeof TaylorConfig>;

export const taylorPresets = {
  paper: {
    epochs: 25,
    beta: 5,
    gamma: 5,
    dualWarmup: 10,
    initialMultiplier: 1,
    dual: 'replace',
    branchWeight: 'gamma2',
    biases: false,
    ridge: 1e-6,
  },
  tuned: {
    epochs: 25,
    beta: 5,
    gamma: 5,
    dualWarmup: 10,
    initialMultiplier: 0,
    dual: 'accumulate',
    branchWeight: 'gamma',
    biases: true,
    ridge: 1,
  },
};
