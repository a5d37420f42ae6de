import { z } from 'zod';
import * as fields from '../fields.js';

/** Lau et al. 2018; the defaults are those of the authors' public code. */
export const LauConfig = z.strictObject({
  name: z.literal('lau-bcd'),
  preset: z
    .enum(['paper', 'tuned'])
    .optional()
    .describe(
      "paper: the authors' public code; tuned: gamma = rho = 0.1, not fully compared with it",
    ),
  label: fields.label,
  gamma: fields.positive
    .default(1)
    .describe('weight of gamma/2 ||V - phi(U)||^2, which ties activations to pre-activations')
    .meta({ whenDiverging: 'larger', whenSingular: 'larger' }),
  rho: fields.positive
    .default(1)
    .describe('weight of rho/2 ||U - V W - b||^2, which ties pre-activations to the layer below')
    .meta({ whenSingular: 'larger' }),
  alpha: fields.positive
    .default(0.01)
    .describe('proximal weight alpha/2 ||. - old||^2 of V_L, the hidden U, W and b'),
  weightScale: fields.positive
    .default(0.01)
    .describe('standard deviation of the normal initial weights')
    .meta({ whenStartedFromModel: 'unused' }),
  bias: fields.bias.default(0.1),
});

export type LauConfig = z.output<typeof LauConfig>;

export const lauPresets = {
  paper: { epochs: 100, gamma: 1, rho: 1, alpha: 0.01, weightScale: 0.01, bias: 0.1 },
  tuned: { epochs: 100, gamma: 0.1, rho: 0.1, alpha: 0.01, weightScale: 0.01, bias: 0.1 },
};
