import { z } from 'zod';
import * as fields from '../fields.js';
import type { NetworkShape } from '../method.js';

export const SgdConfig = z.strictObject({
  name: z.literal('sgd'),
  label: fields.label,
  learningRate: fields.learningRate.meta({ tune: { range: [0.01, 1], scale: 'log' } }).default(0.1),
  momentum: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe('momentum: factor, per batch, of the sum of gradients')
    .meta({ tune: [0.5, 0.9, 0.95] }),
  nesterov: z
    .boolean()
    .default(false)
    .describe("Nesterov's momentum, one step ahead, in place of the heavy ball's"),
  ...fields.backPropagation,
  weightDecay: fields.backPropagation.weightDecay.meta({ tune: [0, 1e-4, 1e-3] }),
});

export type SgdConfig = z.output<typeof SgdConfig>;

/** The squared error is summed over outputs and curves four times as much as the cross-entropy can. */
export function sgdDefaults({ loss }: NetworkShape): Record<string, unknown> {
  return loss === 'mse' ? { learningRate: 0.02 } : {};
}

export function checkNesterov({
  nesterov,
  momentum,
}: SgdConfig): { path: string[]; message: string }[] {
  if (!nesterov || momentum > 0) return [];
  return [{ path: ['nesterov'], message: 'needs momentum, which is 0: set momentum, as in 0.9' }];
}
