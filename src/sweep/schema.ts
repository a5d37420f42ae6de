import { z } from 'zod';
import { experimentName, jsonSchemaText } from '../config/schema.js';

/** The value of an override: any YAML value. */
const value = z.json();

/** The values of one setting. */
export const ParameterSchema = z
  .union([
    z.array(value).min(1),
    z.strictObject({
      range: z
        .tuple([z.number(), z.number()])
        .describe('smallest and largest value; a random search draws between them'),
      scale: z.enum(['linear', 'log']).default('linear').describe('spacing of the values'),
      count: z
        .int()
        .min(2)
        .max(10_000)
        .default(5)
        .describe('number of values in a grid, both ends included'),
      integer: z.boolean().default(false).describe('round to whole numbers'),
    }),
  ])
  .describe('a list of values, or { range: [SMALLEST, LARGEST], scale, count, integer }');

/** Results by which trials can be ranked. */
export const metricColumns = [
  'validation_accuracy',
  'validation_loss',
  'test_accuracy',
  'test_loss',
  'train_loss',
] as const;

const metricOptions = z.strictObject({
  method: z
    .string()
    .optional()
    .describe('label of the method whose value counts; default: the best of any method'),
  column: z
    .enum(metricColumns)
    .optional()
    .describe(
      'final value, mean over the seeds; default validation_accuracy with a validation split, else test_accuracy',
    ),
  goal: z
    .enum(['maximize', 'minimize'])
    .optional()
    .describe('default: maximize for accuracies, minimize for losses'),
});

const metric = z.union([z.enum(metricColumns), metricOptions]);

const searchKinds = ['grid', 'random', 'halving'] as const;

const searchOptions = z.strictObject({
  kind: z
    .enum(searchKinds)
    .describe(
      'halving: train all trials for minEpochs, the best of them further, and only a few in full; ' +
        'the trials are a grid, or with trials: N as many draws',
    ),
  eta: z
    .int()
    .min(2)
    .optional()
    .describe('of halving: the best 1/eta of a rung is trained eta times as long; default 3'),
  minEpochs: z
    .int()
    .positive()
    .optional()
    .describe('of halving: epochs of the first rung; default 1'),
});

const search = z.union([z.enum(searchKinds), searchOptions]);

const slurm = z.strictObject({
  options: z
    .record(
      z.string().regex(/^[a-z][a-z0-9-]*$/, 'expected an sbatch option without its dashes'),
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
    .describe('seconds before the time limit at which a trial writes a checkpoint and is requeued'),
  maxRequeues: z
    .int()
    .nonnegative()
    .max(1000)
    .default(20)
    .describe('maximum number of requeues of a trial'),
  setup: z
    .array(z.string())
    .default([])
    .describe('shell lines to run before each trial: module load cuda, source env.sh, ...'),
});

export const SweepSchema = z.strictObject({
  $schema: z.string().optional().describe('schema of this file, for editors'),
  name: experimentName.describe('names the sweep directory, results/sweeps/NAME'),
  config: z.string().min(1).describe('config of the experiment; relative to this file'),
  search: search
    .default('grid')
    .describe(
      'grid: every combination; random: independent draws; halving, { kind: halving, eta, minEpochs }: ' +
        'stops early what is not among the best',
    ),
  trials: z
    .int()
    .positive()
    .max(100_000)
    .optional()
    .describe('number of draws of a random search, also of halving'),
  seed: z
    .int()
    .min(1)
    .max(2 ** 31 - 1)
    .default(1)
    .describe('random seed of the draws'),
  set: z.record(z.string(), value).default({}).describe('overrides for every trial: { epochs: 2 }'),
  parameters: z
    .record(z.string(), ParameterSchema)
    .default({})
    .describe('path of a config value -> its values'),
  zip: z
    .array(z.record(z.string(), z.array(value).min(1)))
    .default([])
    .describe('lists that vary together: the first value of each, then the second of each, ...'),
  metric: metric
    .default({})
    .describe('the result by which trials are ranked: a column, or { method, column, goal }'),
  stopAfter: z
    .int()
    .positive()
    .optional()
    .describe('stop the sweep when this many trials failed for the same reason'),
  slurm: slurm.prefault({}).describe('options of --launcher slurm'),
});

export type SweepConfig = z.output<typeof SweepSchema>;
/** The search of a sweep, with its defaults. */
export function searchOf({ search, trials }: Pick<SweepConfig, 'search' | 'trials'>) {
  const given: Partial<z.output<typeof searchOptions>> =
    typeof search === 'string' ? { kind: search } : search;
  const { kind = 'grid', eta = 3, minEpochs = 1 } = given;
  const isDrawn = kind === 'random' || (kind === 'halving' && trials !== undefined);
  return { kind, given, eta, minEpochs, isDrawn };
}

/** The metric of a sweep as an object. */
export const metricOf = ({
  metric,
}: Pick<SweepConfig, 'metric'>): z.output<typeof metricOptions> =>
  typeof metric === 'string' ? { column: metric } : metric;

export type Parameter = z.output<typeof ParameterSchema>;

/** What is wrong with a range. */
export function rangeProblem({
  range: [least, largest],
  scale,
}: Exclude<Parameter, unknown[]>): string | undefined {
  if (!(least < largest)) return 'expected the smaller value first';
  return scale === 'log' && least <= 0 ? 'expected values above 0 for scale: log' : undefined;
}

/** The JSON Schema of sweep files, as schemas/sweep.json contains it. */
export const sweepSchemaText = (): string =>
  jsonSchemaText(SweepSchema, 'fln sweep', 'A hyperparameter sweep over an experiment.');
