import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { type Experiment, experimentHash, type ResolvedMethod } from '../../config/experiment.js';
import { ConfigError } from '../../config/issues.js';
import { loadExperiment } from '../../config/load.js';
import type { Override } from '../../config/overrides.js';
import { resolvedYaml } from '../../config/print.js';
import { splitSizes } from '../../data/load.js';
import { UsageError } from '../../errors.js';
import { select } from '../../experiment/plan.js';
import { checkOutputDirectory } from '../../files/folder.js';
import { plural } from '../../shared/text.js';
import { type Sweep, sweepOf } from '../load.js';
import { isSweepDirectory } from '../paths.js';
import { drawTrials, readSpaces, type Space, spaceOf } from './space.js';

/**
 * Equal tuning: each method of an experiment gets the same number of trials from its own search space, of the same
 * length and on the same split. One sweep (docs/sweeps.md) per method; the test set is not used.
 */

export interface TuneOptions {
  readonly trials: number;
  /** Labels of the methods to tune; all when absent. */
  readonly only?: readonly string[];
  /** Of each trial; those of the experiment when absent. */
  readonly epochs?: number;
  readonly seeds?: readonly number[];
  /** Training images to hold out, instead of the experiment's or the default number. */
  readonly validation?: number;
  /** Stop trials early by successive halving, with this reduction factor. */
  readonly eta?: number;
  /** File of search spaces. */
  readonly space?: string;
  /** Default `results/tune/NAME` in the current directory. */
  readonly outDir?: string;
}

export interface TunedMethod {
  readonly label: string;
  readonly method: ResolvedMethod;
  readonly space: Space;
  readonly sweep: Sweep;
  /** The sweep directory. */
  readonly directory: string;
}

export interface Tuning {
  readonly name: string;
  /** Absolute path. */
  readonly directory: string;
  /** The experiment as the trials train it: validation split, epochs and seeds, without test set. */
  readonly experiment: Experiment;
  /** The file with the overrides of the command, before defaults. */
  readonly written: Readonly<Record<string, unknown>>;
  readonly trials: number;
  readonly epochs: number;
  /** Of successive halving. */
  readonly eta?: number;
  readonly methods: readonly TunedMethod[];
  /** Numbers of images; `isDefault` where neither the experiment nor the command sets the split. */
  readonly split: {
    readonly train: number;
    readonly validation: number;
    readonly isDefault: boolean;
  };
  readonly warnings: readonly string[];
}

/** The files of a tuning directory, beside one sweep directory per label. */
export const tunePaths = (directory: string) => ({
  manifest: join(directory, 'tune.json'),
  experiment: join(directory, 'experiment.yaml'),
  lock: join(directory, 'lock'),
  record: join(directory, 'tuning.csv'),
  tuned: join(directory, 'tuned.yaml'),
  sweep: (label: string) => join(directory, label),
});

/** Images that are held out where nothing says how many: a tenth, at most this number. */
const mostValidation = 5000;

/**
 * Decides on the trials of each method; writes nothing.
 * @param overrides `path=value`, also part of the tuned experiment
 * @throws UsageError, ConfigError
 */
export function planTuning(
  file: string,
  overrides: readonly string[],
  options: TuneOptions,
): Tuning {
  const { trials, only, seeds, space } = options;
  const given = loadExperiment(file, overrides);
  const { experiment: original, written } = given;
  if (original.network.isRegression) {
    throw new UsageError(
      'fln tune ranks trials by their validation accuracy, which a regression does not have. ' +
        'Search each method with fln sweep and metric: validation_loss (docs/sweeps.md)',
    );
  }
  const labels = [...new Set(select(original, { only }).map(({ label }) => label))];
  const chosen = original.methods.filter(({ label }) => labels.includes(label));
  const epochs = options.epochs ?? commonLength(chosen);
  const spaces = space === undefined ? {} : readSpaces(space, original.methods);

  const validation = options.validation ?? original.dataset.validation;
  const available = splitSizes(original.data, { ...original.dataset, validation: undefined }).train;
  const held = validation ?? Math.max(1, Math.min(mostValidation, Math.floor(available / 10)));
  const fixed: Override[] = [
    { path: 'expect', value: {} },
    ...(original.tuning ? [{ path: 'tuning', value: {} }] : []),
    ...(options.validation !== undefined || validation === undefined
      ? [{ path: 'dataset.validation', value: held }]
      : []),
    { path: 'evaluate.test', value: 'never' },
    ...(seeds ? [{ path: 'seeds', value: seeds }] : []),
    { path: 'epochs', value: epochs },
    ...chosen
      .filter(({ config }) => config.epochs !== undefined)
      .map(({ label }) => ({ path: `methods.${label}.epochs`, value: epochs })),
  ];
  const { experiment } = loadExperiment(file, [...overrides, ...fixed]);
  if (options.eta !== undefined && epochs < 2) {
    throw new UsageError(
      '--halving compares trials before they end, and they have 1 epoch: train more, or leave it out',
    );
  }

  const name = original.name;
  const directory = resolve(options.outDir ?? join('results', 'tune', name));
  checkDirectory(directory, labels);
  const methods = experiment.methods.filter(({ label }) => labels.includes(label));
  const searched = methods.map((method) => ({ method, space: spaceOf(method, spaces) }));
  refuseWithoutSpace(searched);
  const base = resolvedYaml(experiment);
  const entries = experiment.resolved.methods as readonly Readonly<Record<string, unknown>>[];
  const entryOf = (label: string) => entries.find((entry) => entry.label === label) ?? {};
  const { train } = splitSizes(experiment.data, experiment.dataset);
  return {
    name,
    directory,
    experiment,
    written,
    trials,
    epochs,
    ...(options.eta !== undefined && { eta: options.eta }),
    methods: searched.map(({ method, space }) => {
      const { label } = method;
      const settings = drawTrials(space, method, trials);
      const text = sweepText(label, entryOf(label), settings, options.eta);
      const file = join(tunePaths(directory).sweep(label), 'sweep.yaml');
      const sweep = accepted(label, () => sweepOf({ file, text }, [], () => base));
      return { label, method, space, sweep, directory: tunePaths(directory).sweep(label) };
    }),
    split: { train, validation: available - train, isDefault: validation === undefined },
    warnings: [...given.warnings, ...unequalBatches(searched)],
  };
}

interface Searched {
  readonly method: ResolvedMethod;
  readonly space: Space;
}

/** @throws UsageError where the methods have several lengths: their budgets would differ */
function commonLength(methods: readonly ResolvedMethod[]): number {
  const [epochs, ...others] = new Set(methods.map((method) => method.epochs));
  if (others.length === 0) return epochs;
  const each = methods.map((method) => `${method.label} ${method.epochs}`).join(', ');
  throw new UsageError(
    `the methods have different numbers of epochs (${each}), and each is to get the same budget: ` +
      'set that of the trials with --epochs E, or choose methods with --only',
  );
}

function unequalBatches(searched: readonly Searched[]): string[] {
  const sizes = searched.map(({ method, space }) =>
    'batchSize' in space ? 'searched' : String(method.batchSize),
  );
  if (new Set(sizes).size <= 1 && sizes[0] !== 'searched') return [];
  const each = searched.map(({ method }, i) => `${method.label} ${sizes[i]}`).join(', ');
  return [
    `batch sizes differ (${each}): the methods get the same epochs, but not the same number of batches`,
  ];
}

/** @throws UsageError that names every method that declares nothing to search */
function refuseWithoutSpace(searched: readonly Searched[]): void {
  const empty = searched.flatMap(({ method, space }) =>
    Object.keys(space).length === 0 ? [method] : [],
  );
  if (empty.length === 0) return;
  const [{ label, definition }] = empty;
  const fields = Object.keys(definition.schema.shape);
  const field = ['learningRate', 'damping', 'gamma', 'mu'].find((one) => fields.includes(one));
  const example = `${label}: { ${field ?? 'FIELD'}: { range: [0.01, 1], scale: log } }`;
  const labels = empty.map((method) => method.label).join(', ');
  throw new UsageError(
    `nothing is searched of ${labels}: ${empty.length === 1 ? 'this method declares' : 'these methods declare'} no search space. ` +
      `Write one in a file for --space, as in ${example}, or choose other methods with --only (docs/tuning.md)`,
  );
}

/** @throws UsageError where the directory is that of something else */
function checkDirectory(directory: string, labels: readonly string[]): void {
  checkOutputDirectory(directory, 'tuning directory');
  const other = existsSync(join(directory, 'run.json'))
    ? 'the run directory of an experiment'
    : isSweepDirectory(directory)
      ? 'a sweep directory'
      : undefined;
  if (other !== undefined) {
    throw new UsageError(
      `${directory} is ${other}; choose another tuning directory with --out DIR`,
    );
  }
  const { sweep, ...files } = tunePaths(directory);
  const taken = labels.find((label) => Object.values(files).includes(sweep(label)));
  if (taken !== undefined) {
    throw new UsageError(
      `the label ${taken} is the name of a file that fln tune writes; change it`,
    );
  }
  // tune.json is the first file that a tuning writes.
  if (existsSync(files.manifest)) return;
  const { experiment, record, tuned } = files;
  const foreign = [experiment, record, tuned, ...labels.map(sweep)].find((path) =>
    existsSync(path),
  );
  if (foreign !== undefined) {
    throw new UsageError(
      `${foreign} would be overwritten, and is not of a tuning: ${directory} has no ${basename(files.manifest)}. ` +
        'Choose another tuning directory with --out DIR',
    );
  }
}

/** @throws UsageError, without the place in a file that is not written, for settings that are not valid together */
function accepted(label: string, read: () => Sweep): Sweep {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const start = `methods.${label}.`;
    const reasons = error.issues.map(({ path, message }) => {
      const setting = String(path.at(-1) ?? '');
      return `\n  ${setting.startsWith(start) ? setting.slice(start.length) : setting}: ${message}`;
    });
    throw new UsageError(
      `the search space of ${label} has settings that the experiment does not accept:${reasons.join('')}`,
    );
  }
}

/**
 * The trials of a method as a sweep whose lists vary together: the i-th values of the lists are the settings of trial
 * i. The file can be used with `fln sweep` as well.
 */
function sweepText(
  label: string,
  entry: Readonly<Record<string, unknown>>,
  settings: readonly Readonly<Record<string, unknown>>[],
  eta: number | undefined,
): string {
  const lists = Object.keys(settings[0]).map((field) => [
    `methods.${label}.${field}`,
    settings.map((trial) => trial[field]),
  ]);
  const sweep = {
    name: label.toLowerCase(),
    config: '../experiment.yaml',
    search: eta === undefined ? 'grid' : { kind: 'halving', eta },
    set: { methods: [entry] },
    zip: [Object.fromEntries(lists)],
    metric: { method: label, column: 'validation_accuracy' },
  };
  const count = plural(settings.length, 'trial');
  return `# Written by fln tune: ${count} of ${label}, the first with the settings of the experiment.\n${stringify(sweep, { aliasDuplicateObjects: false })}`;
}

/** What must not change between the commands of one tuning, beside the number of trials. */
export function settingsOf({ experiment, epochs, eta, methods }: Tuning) {
  return {
    /** Everything but the methods. */
    experiment: experimentHash({ ...experiment.resolved, methods: [] }),
    epochs,
    eta,
    methods: Object.fromEntries(
      methods.map(({ label, method, space }) => [label, { config: method.config, space }]),
    ),
  };
}
