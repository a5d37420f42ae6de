import { z } from 'zod';
import * as fields from '../fields.js';

/** Defaults of the public code (github.com/nikhilvyas/SOAP). */
export const SoapConfig = z.strictObject({
  name: z.literal('soap'),
  label: fields.label,
  learningRate: fields.learningRate
    .meta({ tune: { range: [0.001, 0.05], scale: 'log' } })
    .default(0.003),
  beta1: z
    .number()
    .min(0)
    .lt(1)
    .default(0.95)
    .describe('decay of the gradient average')
    .meta({ tune: [0.9, 0.95] }),
  beta2: z
    .number()
    .min(0)
    .lt(1)
    .default(0.95)
    .describe('decay of the squared-gradient average, in the eigenbasis')
    .meta({ tune: [0.95, 0.99] }),
  shampooBeta: z
    .number()
    .min(0)
    .lt(1)
    .default(0.95)
    .describe('decay of the averages of G G^T and G^T G'),
  epsilon: fields.positive
    .default(1e-8)
    .describe('added to the root of the squared-gradient average'),
  preconditionFrequency: z
    .int()
    .positive()
    .default(10)
    .describe('batches between refinements of the eigenbases'),
  maxDimension: z
    .int()
    .positive()
    .default(10_000)
    .describe('sides of a weight matrix that are longer keep their basis: the identity'),
  ...fields.backPropagation,
  weightDecay: fields.backPropagation.weightDecay.meta({ tune: [0, 0.01, 0.1] }).default(0.01),
});

export type SoapConfig = z.output<typeof SoapConfig>;
