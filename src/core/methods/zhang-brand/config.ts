import { z } from 'zod';
import * as fields from '../fields.js';

/** Zhang and Brand 2017. */
export const ZhangBrandConfig = z.strictObject({
  name: z.literal('zhang-brand'),
  label: fields.label,
  gamma: fields
    .perLayer(fields.positive)
    .default(1)
    .describe(
      'weight of gamma/2 ||V - U||^2, V >= 0, of the hidden layers; a list has one value a hidden layer',
    ),
  rho: fields.positive
    .default(1)
    .describe('Tikhonov regularisation rho/2 ||W||^2 of all layers')
    .meta({ whenSingular: 'larger' }),
  alpha: fields.nonNegative
    .default(0.25)
    .describe('proximal weight alpha/2 ||. - old||^2 of every block'),
  relaxation: z
    .number()
    .gt(0)
    .max(1)
    .default(0.5)
    .describe('share of the way to its minimiser that every block goes'),
  tolerance: fields.positive
    .default(1e-2)
    .describe('largest relative optimality residual at which a V-update counts as solved'),
  maxIterations: z
    .int()
    .positive()
    .default(100)
    .describe('projected gradient steps of a V-update at most'),
  initializer: fields.initializer.default('he'),
  bias: fields.bias.default(0),
});

export type ZhangBrandConfig = z.output<typeof ZhangBrandConfig>;
