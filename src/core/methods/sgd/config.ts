import { z } from 'zod';
import * as fields from '../fields.js';
import type { NetworkShape } from '../method.js';

export const SgdConfig = z.strictObject({
  name: z.literal('sgd'),
  label: fields.label,
  learningRate: fields.learningRate.default(0.1),
  momentum: z.number().min(0).lt(1).default(0).describe('heavy-ball momentum'),
  ...fields.backPropagation,
});

export type SgdConfig = z.output<typeof SgdConfig>;

/** The squared error is summed over outputs and curves four times as much as the cross-entropy can. */
export function sgdDefaults({ loss }: NetworkShape): Record<string, unknown> {
  return loss === 'mse' ? { learningRate: 0.02 } : {};
}
