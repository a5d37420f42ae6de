import { basename } from 'node:path';
import { z } from 'zod';
import { devices } from '../backend/backend.js';
import { backendNames } from '../backend/registry.js';
import type { Preprocessing } from '../core/dataset.js';
import { layerSchema, layerVariants } from './layers.js';
import { builtIn, type Registry } from './plugins/registry.js';

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
        layers: z
          .array(layer)
          .min(1)
          .describe(
            'from the input to the output; the last one is linear and has one unit per class',
          ),
      })
      .describe('the network that every method trains'),
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
    methods: z.array(method).min(1).describe('training methods, each run once for every seed'),
    expect: z
      .record(z.string(), ExpectationSchema)
      .default({})
      .describe('per label, the test accuracy that was published and the one to reach'),
  });
}

const count = z.int().positive();
const share = z.number().min(0).max(1);

const preprocessings = ['scale', 'standardize'] as const satisfies readonly Preprocessing[];

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

const datasetSchema = (datasets: Registry['datasets']) =>
  z.strictObject({
    name: z.enum(datasets.map(({ name }) => name)).describe('data set'),
    limit: count
      .optional()
      .describe('use only the first training images, before the validation split is taken'),
    testLimit: count.optional().describe('use only the first test images'),
    validation: count
      .optional()
      .describe('hold out this many training images, the last ones, as a validation split'),
    preprocessing: z
      .enum(preprocessings)
      .default('scale')
      .describe('scale: pixels / 255; standardize: zero mean and unit variance per channel'),
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

/** Methods are not validated here, but each by the schema of its name and solver. */
export const ExperimentSchema = experimentSchema(builtIn, z.unknown(), layerSchema(builtIn));

/** The schema of configs that may also use the entries of plugins. */
export const schemaWith = (registry: Registry): typeof ExperimentSchema =>
  registry.plugins.length === 0
    ? ExperimentSchema
    : experimentSchema(registry, z.unknown(), layerSchema(registry));

export type ExperimentOutput = z.output<typeof ExperimentSchema>;
export type Expectation = z.output<typeof ExpectationSchema>;

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
    // Advice for failed runs, of no use to an editor.
    for (const key of Object.keys(node)) if (key.startsWith('when')) delete node[key];
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
