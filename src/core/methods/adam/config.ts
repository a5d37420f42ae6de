import { z } from 'zod';
import * as fields from '../fields.js';

export const AdamConfig = z.strictObject({
  name: z.literal('adam'),
  label: fields.label,
  learningRate: fields.learningRate
    .meta({ tune: { range: [3e-4, 1e-2], scale: 'log' } })
    .default(0.001),
  beta1: z.number().min(0).lt(1).default(0.9).describe('decay of the gradient average'),
  beta2: z
    .number()
    .min(0)
    .lt(1)
    .default(0.999)
    .describe('decay of the squared-gradient average')
    .meta({ tune: [0.99, 0.999] }),
  epsilon: fields.positive
    .default(1e-7)
    .describe('added to the root of the squared-gradient average'),
  ...fields.backPropagation,
  weightDecay: fields.backPropagation.weightDecay.meta({ tune: [0, 0.01, 0.1] }),
});

export type AdamConfig = z.output<typeof AdamConfig>;
