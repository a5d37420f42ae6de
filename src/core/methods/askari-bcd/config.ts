import { z } from 'zod';
import * as fields from '../fields.js';

/** Askari et al. 2018; the defaults are those of the Fenchel paper's comparison. */
export const AskariConfig = z.strictObject({
  name: z.literal('askari-bcd'),
  preset: z.literal('paper').optional().describe('the settings of the Fenchel paper'),
  label: fields.label,
  lambda: fields.positive.default(1).describe('weight of ||Z - X W - b||^2'),
  rho: fields.positive
    .default(1e-3)
    .describe('ridge rho ||W||^2 of both layers')
    .meta({ whenSingular: 'larger' }),
  tolerance: fields.positive
    .default(1e-5)
    .describe('largest relative optimality residual at which a Z-update counts as solved'),
  maxIterations: z.int().positive().default(50).describe('Newton steps of a Z-update at most'),
  initializer: fields.initializer.default('xavier'),
  bias: fields.bias.default(0.1),
});

export type AskariConfig = z.output<typeof AskariConfig>;

export const askariPresets = {
  paper: { epochs: 20, lambda: 1, rho: 1e-3, initializer: 'xavier', bias: 0.1 },
};
