import { basename } from 'node:path';
import { z } from 'zod';
import { devices } from '../backend/backend.js';
import { backendNames } from '../backend/registry.js';
import type { ArraySource, Preprocessing } from '../core/dataset.js';
import { arraysName } from '../data/arrays/definition.js';
import { layerSchema, layerVariants } from './layers.js';
import { builtIn, type Registry } from './plugins/registry.js';
import { readyNetworkNames } from './ready-networks.js';

/** Also the name of a folder. */
export const experimentName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,63}$/,
    'must be 1 to 64 lower-case letters, digits, ".", "_" or "-", and start with a letter or a digit: it names the results folder',
  );

/**
 * The experiment file: the single source of its keys, types, defaults and descriptions. Checks of
 * several keys together are in checks.ts.
 *
 * @param registry names that the config may use
 * @param method schema of one entry of `methods`
 * @param layer schema of one layer
 */
function experimentSchema<Method extends z.ZodType, Layer extends z.ZodType>(
  { losses, datasets }: Registry,
  method: Method,
  layer: Layer,
) {
  return z.strictObject({
    $schema: z
      .string()
      .optional()
      .describe('address of the JSON Schema, for editors; otherwise unused'),
    name: experimentName.describe('name of the experiment and of its results folder'),
    plugins: z
      .array(PluginSchema)
      .optional()
      .describe(
        'modules with own methods, activations, layers, data sets or losses; they run as code',
      ),
    dataset: datasetSchema(datasets).describe('what to train on'),
    network: z
      .strictObject({
        name: z
          .enum(readyNetworkNames)
          .optional()
          .describe('a ready network, in place of layers (docs/networks.md)'),
        layers: z
          .array(layer)
          .min(1)
          .optional()
          .describe(
            'from the input to the output; the last one is linear and has one unit per class',
          ),
      })
      .describe('the network that every method trains'),
    init: InitSchema.optional().describe(
      'start from the weights of a trained model instead of random ones',
    ),
    loss: z.enum(losses).default('cross-entropy').describe('training loss'),
    epochs: z.int().positive().describe('passes over the training images'),
    batchSize: z
      .union([z.int().positive(), z.literal('full')])
      .describe('images per training step; full takes all of them in every step'),
    seeds: SeedsSchema,
    evaluate: EvaluateSchema.prefault({}).describe('when the test set is used'),
    backend: z
      .enum(['auto', ...backendNames])
      .default('auto')
      .describe('tensor backend; auto takes the fastest that loads'),
    device: z
      .enum(devices)
      .optional()
      .describe(
        'device to compute on; cuda: an NVIDIA GPU, else an error; when absent, the backend chooses',
      ),
    convolutionPrecision: z
      .enum(['float32', 'bfloat16'])
      .optional()
      .describe(
        'what convolutions of training steps multiply: float32 (when absent), or bfloat16 with float32 sums, on processors that have it (docs/speed.md)',
      ),
    methods: z.array(method).min(1).describe('training methods, each run once for every seed'),
    expect: z
      .record(z.string(), ExpectationSchema)
      .default({})
      .describe('per label, the test accuracy that was published and the one to reach'),
    tuning: z
      .record(z.string(), TuningSchema)
      .optional()
      .describe('per label, what its settings cost to find; written by `fln tune`'),
  });
}

const count = z.int().positive();
const share = z.number().min(0).max(1);

const preprocessings = ['scale', 'standardize', 'none'] as const satisfies readonly Preprocessing[];

const file = z.string().min(1, 'is empty; expected a path');

/** The fields of which a source has one. */
export const sourceKinds = ['npz', 'x', 'csv', 'images'] as const;

const SourceSchema = z
  .strictObject({
    npz: file.optional().describe('NumPy archive (np.savez, np.savez_compressed)'),
    x: file
      .optional()
      .describe('.npy or IDX file of the inputs; with npz, the name of their array'),
    y: file
      .optional()
      .describe('.npy or IDX file of the labels; with npz, the name of their array'),
    csv: file.optional().describe('CSV file with a header'),
    label: z.string().optional().describe('column of a CSV file with the classes'),
    target: z
      .string()
      .optional()
      .describe('column of a CSV file to predict as a number (loss: mse)'),
    images: file.optional().describe('folder with one folder of PNG images for each class'),
  })
  .superRefine(({ npz, x, y, csv, label, target, images }, context) => {
    const refuse = (message: string, ...path: string[]) =>
      context.addIssue({ code: 'custom', message, path });
    const given = [npz, csv, images, npz === undefined ? x : undefined];
    const count = given.filter((value) => value !== undefined).length;
    if (count === 0) refuse('names no data: set one of npz, csv, images, or x and y');
    if (count > 1) refuse('has several of npz, csv, images and x: write one');
    if (csv === undefined && label !== undefined) refuse('is for csv', 'label');
    if (csv === undefined && target !== undefined) refuse('is for csv', 'target');
    if (label !== undefined && target !== undefined)
      refuse('is instead of label: write one', 'target');
    if (y !== undefined && (csv ?? images) !== undefined) refuse('is for npz, or beside x', 'y');
  })
  .transform((source) => source as ArraySource);

const source = z.union([file, SourceSchema]);

export const PluginSchema = z.union([
  z.string().min(1).describe('path of the module, relative to this file'),
  z.strictObject({
    file: z.string().min(1).describe('path of the module, relative to this file'),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits')
      .optional()
      .describe('version of the module; another one is an error'),
  }),
]);

const InitSchema = z.strictObject({
  from: file.describe(
    'run directory, folder LABEL-sSEED of one, or model.safetensors file; relative to this file',
  ),
  seed: z
    .union([z.literal('same'), z.int().positive()])
    .optional()
    .describe(
      'of a run directory: seed of the model; same, or absent: each run starts from the model of its own seed',
    ),
  label: z
    .string()
    .optional()
    .describe('of a run directory: label of the model; may be absent where there is only one'),
  sha256: z
    .record(
      z.string().regex(/^[1-9]\d*$/, 'must be a seed'),
      z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits'),
    )
    .optional()
    .describe('per seed, version of the model file; another one is an error'),
});

const AugmentSchema = z.strictObject({
  flip: z
    .enum(['none', 'alternating', 'random'])
    .optional()
    .describe(
      'mirror images left and right: alternating, half of the images in each epoch, each image in every second one; random, each with probability 1/2',
    ),
  translate: z
    .int()
    .nonnegative()
    .optional()
    .describe(
      'shift by at most this many pixels in both directions, with the border reflected; 0 for none',
    ),
  cutout: z
    .int()
    .nonnegative()
    .optional()
    .describe(
      'side in pixels of a square at a random place that is set to 0 after preprocessing; 0 for none',
    ),
});

const StreamSchema = z.strictObject({
  taskSize: count
    .optional()
    .describe(
      'training images of a task, drawn anew for each and seen once; all of them when absent',
    ),
  permute: z
    .enum(['pixels'])
    .default('pixels')
    .describe(
      'what differs between tasks: pixels, all images of a task have their pixels permuted in the same way',
    ),
});

const datasetSchema = (datasets: Registry['datasets']) =>
  z.strictObject({
    name: z
      .enum([...datasets.map(({ name }) => name), arraysName])
      .describe('data set; arrays is your own data'),
    train: source
      .optional()
      .describe(
        'own data: training split, as a .npz file, a folder of images, or { x, y }, { csv, label }',
      ),
    test: z
      .union([z.number().gt(0).lt(1), file, SourceSchema])
      .optional()
      .describe('own data: test split, or the share of the training rows to hold out for it'),
    channels: z
      .enum(['last', 'first'])
      .optional()
      .describe(
        'own data: position of the channels in images of four dimensions; last when absent',
      ),
    limit: count
      .optional()
      .describe('use only the first training images, before the validation split is taken'),
    testLimit: count.optional().describe('use only the first test images'),
    validation: z
      .union([count, file, SourceSchema])
      .optional()
      .describe(
        'validation split: number of training images to hold out (the last ones; of own data, a fixed random choice), or own data',
      ),
    preprocessing: z
      .enum(preprocessings)
      .default('scale')
      .describe(
        'scale: 8-bit pixels / 255, other numbers as they are; standardize: zero mean and unit variance per channel or feature of the training split; none: as they are',
      ),
    augment: AugmentSchema.optional().describe(
      'random changes of the training images, new ones in each epoch; they depend on seed, epoch and image alone',
    ),
    stream: StreamSchema.optional().describe(
      'continually changing data: each epoch is a task, which depends on seed and epoch alone, and epochs counts tasks',
    ),
  });

const maxSeed = 2 ** 31 - 1;

const SeedsSchema = z
  .array(
    z
      .int()
      .min(1, {
        error: ({ input }) =>
          input === 0
            ? `must not be 0: the tensor library takes seed 0 as "unseeded", so the run would not be reproducible; use 1 to ${maxSeed}`
            : undefined,
      })
      .max(maxSeed),
  )
  .min(1)
  .describe('each method is trained once with every seed');

const EvaluateSchema = z.strictObject({
  every: count.default(10).describe('batches between evaluations, besides the first and the last'),
  test: z
    .enum(['every', 'last', 'never'])
    .default('every')
    .describe('last and never keep the test set untouched while settings are tuned'),
  flips: z
    .boolean()
    .optional()
    .describe(
      'measure accuracies a second time, by the mean of the outputs for an image and its mirror image; in columns of their own',
    ),
  predict: z
    .enum(['feed-forward', 'lifted'])
    .optional()
    .describe(
      'how an image is classified: by the forward pass (when absent), or by the lifted model, whose penalty weighs lambda (eq. 12)',
    ),
  lambda: z
    .number()
    .positive()
    .optional()
    .describe('penalty weight of predict: lifted, for the last hidden layer; 1 when absent'),
});

const ExpectationSchema = z
  .strictObject({
    paper: share.optional().describe('test accuracy in the paper, for comparison'),
    atLeast: share.optional().describe('least mean test accuracy over the seeds'),
    atMost: share.optional().describe('largest mean test accuracy over the seeds'),
  })
  .superRefine(({ paper, atLeast, atMost }, context) => {
    if (paper === undefined && atLeast === undefined && atMost === undefined) {
      context.addIssue({ code: 'custom', message: 'is empty: set paper, atLeast or atMost' });
    }
    if (atLeast !== undefined && atMost !== undefined && atLeast > atMost) {
      const message = `is more than atMost, ${atMost}: no accuracy can meet both`;
      context.addIssue({ code: 'custom', path: ['atLeast'], message });
    }
  });

const TuningSchema = z.strictObject({
  trials: count.describe('settings that were tried'),
  batches: z.int().nonnegative().describe('training steps of all trials and seeds'),
  seconds: z.number().nonnegative().describe('training time of all trials and seeds'),
  validationAccuracy: share
    .optional()
    .describe('validation accuracy of the best trial, mean over its seeds'),
  record: file
    .optional()
    .describe('where its trials are recorded: a path for readers, never opened'),
});

/** Methods are not validated here, but each by the schema of its name and solver. */
export const ExperimentSchema = experimentSchema(builtIn, z.unknown(), layerSchema(builtIn));

/** The schema of configs that may also use the entries of plugins. */
export const schemaWith = (registry: Registry): typeof ExperimentSchema =>
  registry.plugins.length === 0
    ? ExperimentSchema
    : experimentSchema(registry, z.unknown(), layerSchema(registry));

export type ExperimentOutput = z.output<typeof ExperimentSchema>;
export type InitConfig = z.output<typeof InitSchema>;
export type Expectation = z.output<typeof ExpectationSchema>;
/** What it cost to find the settings of a method. */
export type TuningCost = z.output<typeof TuningSchema>;

/** The JSON Schema of the experiment file, as schemas/experiment.json contains it. */
export function experimentSchemaText(registry: Registry = builtIn): string {
  const variants = registry.methods.map((method) =>
    method.schema.describe(method.summary + originOf(method, registry)),
  );
  return jsonSchemaText(
    experimentSchema(registry, z.union(variants), layerVariants(registry)),
    'fln experiment',
    'An experiment of fln: methods trained on one data set with one network.',
  );
}

/** ` (my-method.mjs)` for a method of a plugin. */
function originOf(method: Registry['methods'][number], { plugins }: Registry): string {
  const plugin = plugins.find(({ entries }) => entries.methods.includes(method));
  return plugin === undefined ? '' : ` (${basename(plugin.file)})`;
}

/** The JSON Schema (draft 7) of a kind of file, for completion and checks in editors. */
export function jsonSchemaText(schema: z.ZodType, title: string, description: string): string {
  const { $schema, ...rest } = jsonSchemaOf(schema, (node) => {
    // Advice for failed runs and for tuning, of no use to an editor.
    for (const key of Object.keys(node)) {
      if (key.startsWith('when') || key === 'tune' || key === 'usedWith') delete node[key];
    }
  });
  return `${JSON.stringify({ $schema, title, description, ...rest }, null, 2)}\n`;
}

/**
 * The JSON Schema (draft 7) of what a file may contain, before defaults are filled in.
 * @param edit changes the node of each schema, metadata of fields included
 */
export function jsonSchemaOf(
  schema: z.ZodType,
  edit: (node: Record<string, unknown>) => void = () => {},
): Record<string, unknown> {
  return z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-7',
    // Fields of plugins may be anything.
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      // zod adds it to every integer; it is of no use to a reader.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      edit(jsonSchema);
      if (zodSchema === SeedsSchema) allowRanges(jsonSchema);
    },
  }) as Record<string, unknown>;
}

/** Ranges of seeds, which are expanded before the file is validated: `1-5`, `[1, 3-5]`. */
function allowRanges(seeds: Record<string, unknown>): void {
  const { description, ...list } = seeds;
  const range = { type: 'string', pattern: '^\\s*\\d+\\s*([,-]\\s*\\d+\\s*)*$' };
  for (const key of Object.keys(list)) delete seeds[key];
  Object.assign(seeds, {
    anyOf: [{ ...list, items: { anyOf: [list.items, range] } }, range],
    description: `${description}; a list, or ranges as in 1-5 and 1,3-5`,
  });
}
