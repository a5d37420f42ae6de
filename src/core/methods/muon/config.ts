import { z } from 'zod';
import * as fields from '../fields.js';
import type { NetworkShape } from '../method.js';

/** Defaults of the public code (github.com/KellerJordan/Muon). */
export const MuonConfig = z.strictObject({
  name: z.literal('muon'),
  label: fields.label,
  learningRate: fields.learningRate
    .describe('step size of the hidden matrices at the full rate of the schedule')
    .meta({ tune: { range: [0.005, 0.2], scale: 'log' } })
    .default(0.02),
  momentum: z
    .number()
    .min(0)
    .lt(1)
    .default(0.95)
    .describe('factor, per batch, of the exponential average of gradients')
    .meta({ tune: [0.6, 0.85, 0.95] }),
  nesterov: z
    .boolean()
    .default(true)
    .describe("orthogonalise Nesterov's average, one step ahead, in place of the average itself"),
  newtonSchulzSteps: z
    .int()
    .min(1)
    .max(50)
    .default(5)
    .describe('Newton-Schulz iterations that orthogonalise a step'),
  firstLayer: z
    .enum(['muon', 'adam'])
    .default('muon')
    .describe('rule of the weights of the first layer, where there are hidden layers'),
  weightNorm: z
    .enum(['free', 'fixed'])
    .optional()
    .describe(
      'size of hidden weights before a norm, which removes it: free (when absent), or fixed to a Frobenius norm of sqrt(channels) before each step, so that steps keep their relative size',
    ),
  adamLearningRate: fields.learningRate
    .describe(
      "step size of Adam, which trains biases and the output layer, at the schedule's full rate",
    )
    .meta({ tune: { range: [3e-4, 1e-2], scale: 'log' } })
    .default(3e-4),
  adamBeta1: z.number().min(0).lt(1).default(0.9).describe("decay of Adam's gradient average"),
  adamBeta2: z
    .number()
    .min(0)
    .lt(1)
    .default(0.95)
    .describe("decay of Adam's squared-gradient average"),
  adamEpsilon: fields.positive
    .default(1e-10)
    .describe("added to the root of Adam's squared-gradient average"),
  ...fields.backPropagation,
  weightDecay: fields.backPropagation.weightDecay.meta({ tune: [0, 0.01, 0.1] }),
});

export type MuonConfig = z.output<typeof MuonConfig>;

/** A fixed norm where no weights stand before a norm. */
export function checkWeightNorm({ weightNorm }: MuonConfig, { layers }: NetworkShape) {
  if (weightNorm !== 'fixed' || layers.some(({ norm }) => norm !== undefined)) return [];
  const message = 'fixed is for layers with a norm, and the network has none; remove it';
  return [{ path: ['weightNorm'], message }];
}
