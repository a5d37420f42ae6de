import { z } from 'zod';
import * as fields from '../fields.js';

/** Carreira-Perpinan and Wang 2014. */
export const MacConfig = z.strictObject({
  name: z.literal('mac'),
  label: fields.label,
  mu: fields.positive
    .default(1)
    .describe('weight of mu/2 ||Z - relu(X W + b)||^2, the quadratic penalty'),
  rho: fields.nonNegative
    .default(300)
    .describe('ridge rho ||W||^2 of the output layer')
    .meta({ whenSingular: 'larger' }),
  damping: fields.positive
    .default(2000)
    .describe(
      "added to the diagonal of the inputs' Gram matrix, the preconditioner of the hidden layer's steps",
    )
    .meta({ whenDiverging: 'larger', whenSingular: 'larger' }),
  steps: z
    .int()
    .positive()
    .default(3)
    .describe('Gauss-Newton steps on the hidden layer in an iteration, each two large products'),
  initializer: fields.initializer.default('he'),
  bias: fields.bias.default(0),
});

export type MacConfig = z.output<typeof MacConfig>;
