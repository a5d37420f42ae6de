import { z } from 'zod';
import { hasConvolution } from '../../../network/shape.js';
import * as fields from '../../fields.js';
import type { NetworkShape } from '../../method.js';
import { layerValue } from '../../per-layer.js';

/** Faithful Fenchel (Algorithm 2): every block is minimised to a stated tolerance. */
export const FenchelExactConfig = z.strictObject({
  name: z.literal('fenchel'),
  solver: z.literal('exact'),
  preset: z
    .literal('paper')
    .optional()
    .describe("the settings of the authors' own code, where it differs from the paper's text too"),
  label: fields.label,
  lambda: fields
    .perLayer(fields.positive)
    .default(1)
    .describe('dual variable of each biconvex constraint; a list has one value a hidden layer')
    .meta({ tune: { range: [0.3, 3], scale: 'log' } }),
  rho: fields
    .perLayer(fields.nonNegative)
    .default(0)
    .describe('ridge rho ||W||^2; a list has one value a layer')
    .meta({ whenSingular: 'larger' }),
  gamma: fields
    .perLayer(fields.nonNegative)
    .default(10)
    .describe(
      "proximal weight gamma ||W - W^0||^2 to the previous batch's weights; a list has one value a layer",
    )
    .meta({
      whenDiverging: 'larger',
      whenSingular: 'larger',
      tune: { range: [1, 300], scale: 'log' },
    }),
  gammaUnit: z
    .enum(['absolute', 'gram'])
    .default('absolute')
    .describe(
      "unit of gamma: absolute, or half the weight of the layer's term times the mean diagonal of its inputs' Gram matrix on the batch",
    ),
  proximalBias: z.boolean().default(true).describe('whether the proximal term includes the biases'),
  lossWeight: fields.positive
    .default(1)
    .describe('factor of the loss in X-updates only (1 keeps one objective for all blocks)')
    .meta({ whenDiverging: 'smaller', tune: { range: [1, 20], scale: 'log' } }),
  penaltyScale: fields.positive
    .default(1)
    .describe("factor of every penalty B (the authors' code uses 2 B)"),
  schedule: fields.schedule
    .default('constant')
    .describe('factor over the run: the loss weight is multiplied by it, gamma is divided by it'),
  momentum: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe(
      'extrapolation of the proximal centre: W^0 + factor (W^0 - W^-1), factor min(momentum, t / (t + 5))',
    ),
  lossReduction: z
    .enum(['mean', 'sum'])
    .default('sum')
    .describe('whether loss and penalties are divided by the batch size'),
  alternations: z
    .int()
    .positive()
    .default(1)
    .describe('K: number of times that all X and all W are updated on a batch'),
  order: z
    .enum(['activations-first', 'interleaved'])
    .default('activations-first')
    .describe(
      'block order: all X from the output down, then all W (Algorithm 2); or each W before the X below it',
    ),
  xSolve: z
    .enum(['blocks', 'joint'])
    .default('blocks')
    .describe(
      'X-updates: blocks, each X_l to the tolerance in turn (Algorithm 2); joint, all X_l together, in passes over the network',
    ),
  jointStep: z
    .number()
    .positive()
    .max(1)
    .default(0.5)
    .describe('theta, the damping of a joint pass: 1 takes whole steps, which may cycle')
    .meta({ whenDiverging: 'smaller', usedWith: { xSolve: 'joint' } }),
  jointPasses: z
    .int()
    .positive()
    .default(20)
    .describe(
      'a joint X-update that needs more passes than this stops there; its residual is reported',
    )
    .meta({ usedWith: { xSolve: 'joint' } }),
  weightUpdate: z
    .enum(['solve', 'gradient-step'])
    .default('solve')
    .describe('whether W-updates are solved, or take one gradient step'),
  gradientStep: fields.positive
    .default(1)
    .describe(
      'length of a gradient step; 1 minimises a quadratic bound along the gradient, below 2 the objective never rises',
    ),
  tolerance: fields.positive
    .default(1e-2)
    .describe('largest relative optimality residual at which a sub-problem counts as solved'),
  maxIterations: z
    .int()
    .positive()
    .default(500)
    .describe(
      'a sub-problem that needs more iterations than this stops there; its residual is reported',
    ),
  weightAverage: fields.weightAverage.default(0),
  initializer: fields.initializer.default('he'),
  bias: fields.bias.default(0),
});

export type FenchelExactConfig = z.output<typeof FenchelExactConfig>;

/** Weights with neither a ridge nor a proximal term have no unique minimiser on a batch. */
export function checkHeld(
  { rho, gamma }: { rho: number | readonly number[]; gamma: number | readonly number[] },
  layers: number,
): { path: string[]; message: string }[] {
  // A list of another length is checkPerLayer's to report.
  if ([rho, gamma].some((value) => typeof value !== 'number' && value.length !== layers)) return [];
  for (let l = 0; l < layers; l++) {
    if (layerValue(rho, l) > 0 || layerValue(gamma, l) > 0) continue;
    const message = `layer ${l + 1} has rho = 0 and gamma = 0, so its weights have no unique minimiser; give one of them a positive value`;
    return [{ path: ['gamma'], message }];
  }
  return [];
}

/** A joint X-update has all X in one block: no W can be updated between them. */
export function checkJointOrder({
  xSolve,
  order,
}: Pick<FenchelExactConfig, 'xSolve' | 'order'>): { path: string[]; message: string }[] {
  if (xSolve === 'blocks' || order === 'activations-first') return [];
  const message =
    'joint updates all X together, and order: interleaved updates weights between them; set order: activations-first, or xSolve: blocks';
  return [{ path: ['xSolve'], message }];
}

/** Settings of the authors' code for all networks. */
const authors = {
  lambda: 1,
  rho: 0,
  proximalBias: true,
  penaltyScale: 2,
  lossReduction: 'sum',
  alternations: 1,
  bias: 0.1,
};

export const exactPresets = {
  /** The authors' settings, of their MLP or of LeNet-5. */
  paper: ({ layers }: NetworkShape) =>
    hasConvolution(layers)
      ? {
          ...authors,
          gamma: [1e-4, 1e-2, 1, 1, 10],
          lossWeight: 5,
          initializer: layers.map(({ window }) => (window ? 'truncated-normal' : 'xavier')),
        }
      : { ...authors, gamma: [10, 100], lossWeight: 10, initializer: 'xavier' },
};

/** Fields that deviate from the paper's Algorithm 2 unless they have these values. */
const departures = {
  order: 'activations-first',
  xSolve: 'blocks',
  gammaUnit: 'absolute',
  momentum: 0,
  schedule: 'constant',
  weightUpdate: 'solve',
  weightAverage: 0,
};

export function exactVariant(config: Readonly<Record<string, unknown>>): string {
  const departs = Object.entries(departures).some(
    ([field, value]) => config[field] !== undefined && config[field] !== value,
  );
  return departs ? 'Algorithm 2, modified' : 'Algorithm 2';
}
