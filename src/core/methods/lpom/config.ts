import { z } from 'zod';
import * as fields from '../fields.js';

/** Li, Fang and Lin 2019. */
export const LpomConfig = z.strictObject({
  name: z.literal('lpom'),
  label: fields.label,
  mu: fields
    .perLayer(fields.positive)
    .default(1)
    .describe("weight of each layer's proximal penalty; a list has one value a layer"),
  rho: fields.positive
    .default(10)
    .describe('ridge rho ||W||^2 of the hidden layers')
    .meta({ whenSingular: 'larger' }),
  headRho: fields.positive
    .default(120)
    .describe('ridge rho ||W||^2 of the output layer')
    .meta({ whenSingular: 'larger' }),
  activationSteps: z
    .int()
    .positive()
    .default(5)
    .describe('fixed-point iterations of each activation update'),
  weightSteps: z
    .int()
    .positive()
    .default(3)
    .describe(
      'accelerated steps of each weight update; each takes two large products in the first layer',
    ),
  initializer: fields.initializer.default('he'),
  bias: fields.bias.default(0),
});

export type LpomConfig = z.output<typeof LpomConfig>;
