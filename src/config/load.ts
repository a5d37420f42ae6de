import { dirname, resolve as resolvePath } from 'node:path';
import type { DatasetInfo } from '../core/dataset.js';
import { type ArrayData, arraysName } from '../data/arrays/definition.js';
import { DataError, UsageError } from '../errors.js';
import {
  augmentation,
  checkAugment,
  checkConvolutionPrecision,
  checkExpected,
  checkFullBatch,
  checkLabelsOf,
  checkStreamed,
  checkTogether,
  type Lookup,
  layersOf,
  readNetwork,
} from './checks.js';
import {
  type Experiment,
  experimentHash,
  type PinnedInit,
  type ResolvedMethod,
} from './experiment.js';
import { checkInit, pinModels, randomStart } from './initial-weights.js';
import { ConfigError, type ConfigIssue, formatIssues, type Source } from './issues.js';
import { resolveLayer } from './layers.js';
import { homeOfField, type MethodResolution, resolveMethod } from './methods.js';
import { applyOverrides, type Override } from './overrides.js';
import { configuredData, resolvePaths } from './own-data.js';
import { loadPlugin } from './plugins/load.js';
import { builtIn, listOfEntries, type Registry, withPlugin } from './plugins/registry.js';
import { readConfigFile } from './read-file.js';
import { replaceOldNames } from './renamed.js';
import { type ExperimentOutput, ExperimentSchema, type InitConfig, schemaWith } from './schema.js';
import { valueAt } from './schema-walk.js';
import { expandSeeds } from './seeds.js';
import { type Block, find, type Path, pathText, placeOf, plain, type Tree } from './tree.js';
import { type Finding, validate } from './validate.js';
import { parseBlock } from './yaml.js';

/** A validated experiment and where each of its values comes from. */
export interface LoadedExperiment {
  readonly experiment: Experiment;
  readonly file: string;
  /** The file with the overrides, before defaults: old names replaced, paths absolute, seeds a list. */
  readonly written: Readonly<Record<string, unknown>>;
  /** Dotted path of each value of `experiment.resolved` -> `file:line`, `command line`, `preset paper`, `default`, ... */
  readonly origins: Readonly<Record<string, string>>;
  /** Each with its place: old names, and expectations and tuning of methods that are absent. */
  readonly warnings: readonly string[];
  /** The warnings about old names. */
  readonly renames: readonly ConfigIssue[];
}

export interface LoadOptions {
  /** The shape of own data, which is then not read: of earlier results. */
  readonly info?: Omit<DatasetInfo, 'name' | 'title'>;
  /** The file was written into a run directory by the program: no warnings about old names in it. */
  readonly ofRunDirectory?: boolean;
  /** Plugins besides those of the config: paths relative to the current folder. They run as code. */
  readonly plugins?: readonly string[];
}

/**
 * Reads an experiment from a YAML or JSON file, with `path=value` overrides.
 * Loads no tensor library, unless a plugin needs it. Runs the plugins of the config (docs/plugins.md).
 *
 * @throws ConfigError with everything that is wrong; UsageError when the file cannot be read
 */
export function loadExperiment(
  file: string,
  overrides: readonly Override[] = [],
  options: LoadOptions = {},
): LoadedExperiment {
  return parseExperiment(readConfigFile(file), file, overrides, options);
}

/** `loadExperiment` for text that was already read; `file` is its name in messages. */
export function parseExperiment(
  text: string,
  file: string,
  overrides: readonly Override[] = [],
  { ofRunDirectory = false, plugins = [], info }: LoadOptions = {},
): LoadedExperiment {
  const source = { file, text: text.replace(/^\uFEFF/, '') };
  const { tree, issues } = parseBlock(source, 'a config', Object.keys(ExperimentSchema.shape));
  const unwritable = applyOverrides(tree, overrides);
  const { registry, issues: inPlugins } = readPlugins(tree, file, plugins);
  // The names that a plugin defines are not known without it.
  if (inPlugins.length > 0) throw new ConfigError(source, [...issues, ...inPlugins]);
  const old = replaceOldNames(tree, registry.methods);
  const renames = old.warnings.filter(({ place }) => !(ofRunDirectory && place.from === 'file'));
  const earlier = [...issues, ...unwritable, ...old.issues, ...expandSeeds(tree)];
  resolvePaths(tree, file);
  return resolve(tree, source, earlier, renames, registry, { info });
}

/** Loads the plugins that a config names, and those that its caller adds to it. */
function readPlugins(
  tree: Block,
  file: string,
  others: readonly string[],
): { registry: Registry; issues: ConfigIssue[] } {
  const given = tree.entries.get('plugins')?.value;
  const { value = [], findings } = validate(ExperimentSchema.shape.plugins, given && plain(given));
  const issues = findings.map(({ path, ...rest }) =>
    toIssue({ ...rest, path: ['plugins', ...path] }, tree),
  );
  if (issues.length > 0) return { registry: builtIn, issues };
  const folder = /^\/(dev|proc)\//.test(resolvePath(file)) ? '.' : dirname(file);
  const wanted = [
    ...value.map((entry) => {
      const { file: path, sha256 } = typeof entry === 'string' ? { file: entry } : entry;
      return { file: resolvePath(folder, path), sha256 };
    }),
    ...others.map((path) => ({ file: resolvePath(path), sha256: undefined })),
  ];
  let registry = builtIn;
  for (const [i, { file: path, sha256 }] of wanted.entries()) {
    try {
      registry = withPlugin(registry, loadPlugin(path, changedSince(sha256)));
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      if (i >= value.length) throw error;
      const { message } = error;
      issues.push(toIssue({ path: ['plugins', i], message, at: 'value' }, tree));
    }
  }
  return { registry, issues };
}

/** Refuses another version than that of the config. */
const changedSince = (expected: string | undefined) => (sha256: string) =>
  expected === undefined || expected === sha256
    ? undefined
    : `has changed: its sha256 is ${sha256}, and this config is for ${expected}. Restore that version, ` +
      'or remove sha256 to use the file as it is now, which is another experiment';

function resolve(
  tree: Block,
  source: Source,
  earlier: readonly ConfigIssue[],
  renames: readonly ConfigIssue[],
  registry: Registry,
  given: Parameters<typeof configuredData>[2],
): LoadedExperiment {
  const data = plain(tree);
  const parsed = validate(schemaWith(registry), data);
  const unread = new PathSet(earlier.map(({ path }) => path).filter((path) => path.length > 0));
  const wrong = new PathSet(parsed.findings.map(({ path }) => path));
  const get = ((...path: Path) =>
    unread.touches(path) || wrong.touches(path) ? undefined : valueAt(data, path)) as Lookup;

  const own = configuredData(get, registry.datasets, given);
  const { network, findings: inLayers } = readNetwork(get, own.definition, registry);
  const entries = get<unknown[]>('methods') ?? [];
  const methods = entries.map((entry, i): MethodResolution => {
    const path = ['methods', i];
    try {
      return resolveMethod(entry, path, network, registry);
    } catch (error) {
      // A function of a plugin failed.
      if (!(error instanceof UsageError)) throw error;
      const findings = [{ path, message: error.message, at: 'value' as const }];
      return { findings, fallback: () => 'default' };
    }
  });
  const inMethods = methods.flatMap((method) => method.findings);
  for (const { path } of inMethods) wrong.add(path);
  const lengths = { seeds: lengthOf(valueAt(data, ['seeds'])), methods: entries.length };
  const start = get<InitConfig>('init');
  const pinned = start && pinModels(start, get<number[]>('seeds') ?? [], network);
  const together = checkTogether(get, lengths, own.definition, network, registry);
  const labelsOf = (block: string) => Object.keys(valueAt(data, [block]) ?? {});
  const unexpected = own.definition?.isRegression ? checkExpected(labelsOf('expect')) : [];
  const stray = (['expect', 'tuning'] as const)
    .filter((block) => block === 'tuning' || unexpected.length === 0)
    .flatMap((block) => checkLabelsOf(block, get, entries.length, labelsOf(block)))
    .map((found) => toIssue(found, tree));
  // Entries for a method that was removed from the file are allowed, but not on the command line.
  const leftOver = stray.filter(({ place }) => place.from === 'file');
  const issues = [
    ...earlier,
    ...stray.filter((issue) => !leftOver.includes(issue)),
    ...[
      ...unexpected,
      ...parsed.findings.map((finding) => placed(finding, entries, registry)),
      ...inMethods,
      ...inLayers,
      ...own.findings.filter((finding) => !isMisspelt(finding, parsed.findings)),
      ...together,
      ...checkFullBatch(get, methods),
      ...checkAugment(get, own.definition, methods),
      ...checkStreamed(get, methods),
      ...checkConvolutionPrecision(get, network, methods),
      ...(start ? checkInit(entries, methods) : []),
      ...(pinned?.findings ?? []),
    ]
      .filter(({ path }) => !unread.touches(path))
      .map((finding) => toIssue(finding, tree)),
  ];
  const unreadable = own.unreadable.map((finding) => toIssue(finding, tree));
  // Without any other mistake it is an error of the data.
  if (issues.length === 0 && unreadable.length > 0) {
    throw new DataError(formatIssues(source, unreadable));
  }
  if (issues.length > 0 || !parsed.value) throw new ConfigError(source, [...issues, ...unreadable]);
  const known = <T>(block: string, byLabel: Readonly<Record<string, T>>) => {
    const unknown = leftOver.flatMap(({ path: [of, label] }) => (of === block ? [label] : []));
    return Object.fromEntries(
      Object.entries(byLabel).filter(([label]) => !unknown.includes(label)),
    );
  };
  const { expect, tuning } = parsed.value;
  const config = {
    ...parsed.value,
    expect: known('expect', expect),
    ...(tuning && { tuning: known('tuning', tuning) }),
  };
  const withData = (data: ArrayData): Experiment =>
    resolve(tree, source, earlier, renames, registry, { data }).experiment;
  const missing = {
    path: ['dataset', 'train'],
    message: noData,
    place: placeOf(tree, ['dataset']),
  };
  const experiment = build(config, methods, registry, {
    network,
    definition: own.definition,
    init: pinned?.init,
    ...(config.dataset.name === arraysName && { withData }),
    missing: new ConfigError(source, [missing]),
  });
  const origins = {
    ...traceOrigins(experiment.resolved, tree, source.file, methods),
    ...originsOfPlugins(tree, source.file, registry),
    ...pinned?.origins,
  };
  const warnings = [...renames, ...leftOver].map((issue) => formatIssues(source, [issue]));
  const { plugins } = experiment.resolved;
  const written = {
    ...(data as Record<string, unknown>),
    ...(plugins !== undefined && { plugins }),
  };
  return { experiment, file: source.file, written, origins, warnings, renames };
}

/** Where each plugin is named, and what it defines. */
function originsOfPlugins(
  tree: Block,
  file: string,
  { plugins }: Registry,
): Record<string, string> {
  const origins = plugins.flatMap((plugin, i) => {
    const found = find(tree, ['plugins', i]);
    const place = found ? placesOf(found.node, file) : 'added by the caller';
    const text = `${place}, defines ${listOfEntries(plugin)}`;
    return [[`plugins.${i}.file`, text] as const, [`plugins.${i}.sha256`, text] as const];
  });
  return Object.fromEntries(origins);
}

/** Whether an absent key of the data set is there under a name that another finding corrects. */
const isMisspelt = ({ path: [block, key] }: Finding, others: readonly Finding[]): boolean =>
  others.some(
    ({ path, at, message }) =>
      at === 'key' && path[0] === block && message.includes(`did you mean "${key}"`),
  );

/** A field of a method that was given to the experiment: where it belongs. */
function placed(finding: Finding, entries: readonly unknown[], registry: Registry): Finding {
  const [key, ...rest] = finding.path;
  if (finding.at !== 'key' || rest.length > 0) return finding;
  const home = homeOfField(String(key), entries, registry);
  return home === undefined ? finding : { ...finding, message: home };
}

function lengthOf(value: unknown): number {
  return Array.isArray(value) ? value.length : 0;
}

export function toIssue({ path, message, at }: Finding, tree: Block): ConfigIssue {
  const key = at === 'key' ? find(tree, path)?.key : undefined;
  return { path, message, place: key ?? placeOf(tree, path) };
}

const noData =
  'is missing: name the files, as in { name: arrays, train: train.npz, test: test.npz } (docs/data.md); in the library, give runExperiment(experiment, { data })';

/** What an experiment knows once its data is known. */
interface OnData extends Pick<Experiment, 'withData'> {
  readonly network: Experiment['network'] | undefined;
  readonly definition: Experiment['data'] | undefined;
  readonly init: PinnedInit | undefined;
  /** Thrown where it is used before. */
  readonly missing: ConfigError;
}

function build(
  config: ExperimentOutput,
  resolutions: readonly MethodResolution[],
  registry: Registry,
  { network, definition, init, missing, withData }: OnData,
): Experiment {
  const methods = resolutions.flatMap(({ method }): ResolvedMethod[] => {
    if (method === undefined) return [];
    const { epochs = config.epochs, batchSize = config.batchSize } = method.config as Partial<
      Pick<ResolvedMethod, 'epochs' | 'batchSize'>
    >;
    return [{ ...method, epochs, batchSize }];
  });
  const inputs = layersOf(config.network, definition) ?? [];
  const layers = inputs.map((layer) => resolveLayer(layer, registry.layers));
  const { $schema: _, plugins: __, name, ...written } = config;
  const settings = {
    ...(written as Omit<typeof written, 'init'>),
    dataset: resolveDataset(config.dataset),
    ...(init && { init }),
    evaluate: resolveEvaluate(config.evaluate),
  };
  const plugins = registry.plugins.map(({ file, sha256 }) => ({ file, sha256 }));
  const resolved = {
    name,
    ...(plugins.length > 0 && { plugins }),
    ...settings,
    network: { layers },
    methods: methods.map(({ definition, config }) => {
      // Of no effect, and refused beside `init`.
      const unused = init ? randomStart(definition) : [];
      return Object.fromEntries(Object.entries(config).filter(([key]) => !unused.includes(key)));
    }),
  };
  return {
    name,
    ...settings,
    layers,
    get network() {
      if (network === undefined) throw missing;
      return network;
    },
    get data() {
      if (definition === undefined) throw missing;
      return definition;
    },
    ...(withData && { withData }),
    methods,
    plugins: registry.plugins,
    resolved,
    hash: experimentHash(resolved),
  };
}

/** An augmentation that is switched off is left out. */
function resolveDataset({
  augment,
  ...dataset
}: ExperimentOutput['dataset']): Experiment['dataset'] {
  const changes = augmentation(augment);
  return changes ? { ...dataset, augment: changes } : dataset;
}

/** Feed-forward prediction without mirror images is the default, and left out. */
function resolveEvaluate({
  flips,
  predict,
  lambda = 1,
  ...when
}: ExperimentOutput['evaluate']): Experiment['evaluate'] {
  const plain = { ...when, ...(flips && { flips }) };
  return predict === 'lifted' ? { ...plain, predict, lambda } : plain;
}

/** The origin of each value of a resolved config, by dotted path; a list of plain values is one value. */
function traceOrigins(
  resolved: Readonly<Record<string, unknown>>,
  written: Tree,
  file: string,
  methods: readonly Pick<MethodResolution, 'fallback'>[],
): Record<string, string> {
  const origins: [string, string][] = leaves(resolved, []).map((path) => {
    const found = find(written, path);
    if (found) return [pathText(path), placesOf(found.node, file)];
    const [root, index, field] = path;
    const isMethod = root === 'methods' && typeof index === 'number';
    return [pathText(path), isMethod ? methods[index].fallback(String(field)) : 'default'];
  });
  return Object.fromEntries(origins);
}

/** Paths of the values, in order. */
function leaves(value: unknown, path: Path): Path[] {
  if (Array.isArray(value)) {
    const isPlain = value.every((item) => typeof item !== 'object');
    return isPlain ? [path] : value.flatMap((item, i) => leaves(item, [...path, i]));
  }
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]));
}

/** `file:line`, `command line`, or both for a list that was overridden in part. */
function placesOf(node: Tree, file: string): string {
  const own = node.place.from === 'file' ? `${file}:${node.place.line}` : 'command line';
  if (node.kind !== 'list') return own;
  const overridden = node.items.some(({ place }) => place.from === 'command line');
  return overridden && own !== 'command line' ? `${own}, command line` : own;
}

/** Paths of values that must not be used, since they are wrong or not known. */
class PathSet {
  readonly #members = new Set<string>();
  readonly #around = new Set<string>();

  constructor(paths: Iterable<Path> = []) {
    for (const path of paths) this.add(path);
  }

  add(path: Path): void {
    this.#members.add(JSON.stringify(path));
    for (const prefix of prefixes(path)) this.#around.add(prefix);
  }

  /** Whether the value at `path` is a member, lies inside one, or has one inside. */
  touches(path: Path): boolean {
    const own = prefixes(path);
    return own.some((prefix) => this.#members.has(prefix)) || this.#around.has(own[path.length]);
  }
}

/** From the root to the path itself. */
function prefixes(path: Path): string[] {
  return Array.from({ length: path.length + 1 }, (_, end) => JSON.stringify(path.slice(0, end)));
}
