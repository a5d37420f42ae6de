import { z } from 'zod';
import { experimentName, jsonSchemaText } from '../config/schema.js';

/** A value that an override writes: whatever YAML can say. */
const value = z.json();

const parameter = z
  .union([
    z.array(value).min(1),
    z.strictObject({
      range: z
        .tuple([z.number(), z.number()])
        .describe('least and largest value; a random search draws between them'),
      scale: z.enum(['linear', 'log']).default('linear').describe('how values are spaced'),
      count: z.int().min(2).max(10_000).default(5).describe('values of a grid, both ends included'),
      integer: z.boolean().default(false).describe('round to whole numbers'),
    }),
  ])
  .describe('a list of values, or { range: [LEAST, LARGEST], scale, count, integer }');

/** Results that trials are ranked by. */
export const metricColumns = [
  'validation_accuracy',
  'validation_loss',
  'test_accuracy',
  'test_loss',
  'train_loss',
] as const;

const metric = z.strictObject({
  method: z
    .string()
    .optional()
    .describe('label of the method it is taken of; the best when absent'),
  column: z
    .enum(metricColumns)
    .optional()
    .describe(
      'final value, mean over seeds; validation_accuracy where there is a validation split, else test_accuracy',
    ),
  goal: z
    .enum(['maximize', 'minimize'])
    .optional()
    .describe('maximize for accuracies and minimize for losses when absent'),
});

const slurm = z.strictObject({
  options: z
    .record(
      z.string().regex(/^[a-z][a-z0-9-]*$/, 'an sbatch option without its dashes'),
      z.union([z.string(), z.number(), z.literal(true)]),
    )
    .default({})
    .describe(
      'sbatch options without their dashes: { partition: gpu, time: "4:00:00", gres: "gpu:1", mem: 8G }',
    ),
  warnSeconds: z
    .int()
    .min(5)
    .max(3600)
    .default(120)
    .describe(
      'seconds before the time limit at which a trial is told to write a checkpoint and be queued again',
    ),
  maxRequeues: z
    .int()
    .nonnegative()
    .max(1000)
    .default(20)
    .describe('times that a trial is queued again'),
  setup: z
    .array(z.string())
    .default([])
    .describe('shell lines that run before each trial: module load cuda, source env.sh, ...'),
});

export const SweepSchema = z.strictObject({
  $schema: z.string().optional().describe('schema of this file, for editors'),
  name: experimentName.describe('names the sweep directory, results/sweeps/NAME'),
  config: z.string().min(1).describe('the experiment that is varied; relative to this file'),
  search: z
    .enum(['grid', 'random'])
    .default('grid')
    .describe('grid: every combination; random: independent draws'),
  trials: z.int().positive().max(100_000).optional().describe('draws of a random search'),
  seed: z
    .int()
    .min(1)
    .max(2 ** 31 - 1)
    .default(1)
    .describe('of the draws of a random search'),
  set: z
    .record(z.string(), value)
    .default({})
    .describe('overrides of every trial, as in { epochs: 2 }'),
  parameters: z
    .record(z.string(), parameter)
    .default({})
    .describe('what varies: path of a config value -> its values'),
  zip: z
    .array(z.record(z.string(), z.array(value).min(1)))
    .default([])
    .describe('lists that go together: the first value of each, the second of each, ...'),
  metric: metric.default({}).describe('what the best trial is best in'),
  stopAfter: z
    .int()
    .positive()
    .optional()
    .describe('stop the sweep when this many trials failed for the same reason'),
  slurm: slurm.prefault({}).describe('how trials run with --launcher slurm'),
});

export type SweepConfig = z.output<typeof SweepSchema>;
export type Parameter = z.output<typeof parameter>;

/** The JSON Schema of sweep files, as schemas/sweep.json contains it. */
export const sweepSchemaText = (): string =>
  jsonSchemaText(SweepSchema, 'fln sweep', 'Overrides of an experiment that fln tries out.');
