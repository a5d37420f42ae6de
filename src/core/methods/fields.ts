import { z } from 'zod';
import { initializerNames } from '../network/names.js';
import { scheduleNames } from './schedule.js';

/**
 * Config fields that several methods share, so that one name means one thing everywhere, with one search space
 * (`tune`). Fields whose useful values differ between methods get theirs from the method.
 */

/** Values that `fln tune` tries: a list, or a range from which it draws uniformly, or log-uniformly. */
export type SearchedValues =
  | readonly unknown[]
  | {
      /** Smallest and largest value. */
      readonly range: readonly [number, number];
      /** `linear` when absent. */
      readonly scale?: 'linear' | 'log';
      /** Whether draws are rounded to whole numbers. */
      readonly integer?: boolean;
    };

/** Metadata of a field: which values to try in tuning, and which change when training fails. */
export interface FieldAdvice {
  /** Search space of `fln tune`; a field without one keeps its value. */
  readonly tune?: SearchedValues;
  /** A step size, or what shortens steps. */
  readonly whenDiverging?: 'smaller' | 'larger';
  /** Added to the diagonal of a matrix. */
  readonly whenSingular?: 'larger';
  /** Of no effect where a training starts from the weights of a model. */
  readonly whenStartedFromModel?: 'unused';
  /** Helps together with a change of the others. */
  readonly whenUnstable?: 'longer';
  /** Values of other fields without which it has no effect: it is then neither tuned nor part of any advice. */
  readonly usedWith?: Readonly<Record<string, unknown>>;
}

declare module 'zod' {
  interface GlobalMeta extends FieldAdvice {}
}

/** Metadata of a field, which may be optional or have a default. */
export function adviceOf(field: z.ZodType): FieldAdvice {
  const own: FieldAdvice = field.meta() ?? {};
  const isWrapped = field instanceof z.ZodDefault || field instanceof z.ZodOptional;
  return isWrapped ? { ...adviceOf(field.unwrap() as z.ZodType), ...own } : own;
}

/** Whether a field has an effect, given the values of the others; a method may lack these. */
export const isUsed = (
  { usedWith = {} }: FieldAdvice,
  config: Readonly<Record<string, unknown>>,
): boolean =>
  Object.entries(usedWith).every(
    ([field, value]) => config[field] === undefined || config[field] === value,
  );

export const label = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$/,
    'a label is 1 to 40 letters, digits, ".", "_" or "-", and starts with a letter or a digit',
  )
  .optional()
  .describe('name in figures, tables and file names; the method name when absent');

/** Fields by which a method entry overrides the experiment. */
export const length = {
  epochs: z
    .int()
    .positive()
    .optional()
    .describe(
      "passes over the training images, or iterations of a full-batch method; the experiment's when absent",
    ),
  batchSize: z
    .union([z.int().positive(), z.literal('full')])
    .optional()
    .describe("images per step of this method; the experiment's when absent"),
};

/** Products of larger numbers overflow float32. */
const largest = 1e30;

export const positive = z.number().positive().max(largest);
export const nonNegative = z.number().nonnegative().max(largest);

/** One value for all layers, or a list with one value a layer. */
export const perLayer = (value: z.ZodType<number>) => z.union([value, z.array(value).min(1)]);

export const learningRate = positive.meta({
  description: 'step size at the full rate of the schedule',
  whenDiverging: 'smaller',
});

export const schedule = z
  .enum(scheduleNames)
  .describe(
    'step-size factor over the run: constant; linear to 0; cosine to 0; hold-linear (full to halfway, then linear to 0)',
  )
  .meta({ tune: ['linear', 'hold-linear'] });

export const warmup = z
  .int()
  .nonnegative()
  .describe('batches over which the step size rises linearly to its full value')
  .meta({ whenUnstable: 'longer' });

export const labelSmoothing = z
  .number()
  .min(0)
  .lt(1)
  .describe(
    'training targets are (1 - s) y + s / classes; reported losses use the true labels; not for a regression',
  )
  .meta({ tune: [0, 0.05, 0.1] });

const weightDecay = nonNegative.describe(
  'weights shrink by learning rate x weightDecay a step, apart from the gradient; biases do not',
);

export const smoothing = z
  .union([
    z.literal('none'),
    z.strictObject({
      from: positive.describe('epsilon of the first batch'),
      to: positive.describe('epsilon of the last batch'),
    }),
  ])
  .describe(
    'of sign and step in the learning signals: hard tanh of width epsilon in their place, whose epsilon changes geometrically over the run; none: sign and step themselves, which all forward passes use',
  );

export const weightAverage = z
  .number()
  .min(0)
  .lt(1)
  .describe(
    'test with an exponential moving average of the weights, factor min(w, t / (t + 10)); 0 tests the weights themselves',
  )
  .meta({ tune: [0.98, 0.99] });

export const initializer = z
  .union([z.enum(initializerNames), z.array(z.enum(initializerNames)).min(1)])
  .describe(
    'initial weights: he N(0, 2/fan_in); xavier U(+-sqrt(6/(fan_in + fan_out))); lecun N(0, 1/fan_in); truncated-normal N(0, 0.01) within two standard deviations; dirac copies the input channels to the first output channels, and U(+-1/sqrt(fan_in)) elsewhere; a list has one a layer',
  )
  .meta({ whenStartedFromModel: 'unused' });

export const bias = z
  .number()
  .min(-largest)
  .max(largest)
  .describe('initial value of every bias')
  .meta({ whenStartedFromModel: 'unused' });

/** How a finite difference of activations is taken: from the activations to one side, or centred. */
export const nudges = ['one-sided', 'two-sided'] as const;
export type Nudge = (typeof nudges)[number];

const sigma = (tensor: string) =>
  z
    .number()
    .min(0)
    .max(100)
    .default(0)
    .describe(
      `standard deviation of the noise on ${tensor}, in units of the root mean square of the tensor`,
    );

const bits = (tensor: string) =>
  z.int().min(1).max(16).optional().describe(`bits of ${tensor}; not rounded when absent`);

/** Fields that simulate imperfect hardware in training (hardware.ts). */
export const hardware = {
  noise: z
    .strictObject({
      signal: sigma('the learning signal of each layer'),
      read: sigma('every activation that the learning rule reads'),
      activation: sigma('the activations of the forward pass'),
    })
    .optional()
    .describe(
      'simulates analog hardware: Gaussian noise in training; evaluation has none (docs/hardware.md)',
    ),
  quantize: z
    .strictObject({
      activations: bits(
        'the activations, in the forward pass and when the learning rule reads them',
      ),
      signals: bits('the learning signals'),
    })
    .optional()
    .describe(
      'simulates converters: values are rounded to as many bits in training; evaluation has no rounding (docs/hardware.md)',
    ),
};

/** Fields of all methods that train by back-propagation. */
export const backPropagation = {
  schedule: schedule.default('constant'),
  warmup: warmup.default(0),
  labelSmoothing: labelSmoothing.default(0),
  weightDecay: weightDecay.default(0),
  weightAverage: weightAverage.default(0),
  initializer: initializer.default('xavier'),
  bias: bias.default(0),
  ...hardware,
};
