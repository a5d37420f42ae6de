import { checkExpected, checkTogether, type Lookup, networkShape } from './checks.js';
import type { Experiment } from './experiment.js';
import { experimentHash } from './hash.js';
import { ConfigError, type ConfigIssue, formatIssues, type Source } from './issues.js';
import { resolveLayer } from './layers.js';
import { checkFullBatch, lengthOfTraining } from './length.js';
import { homeOfField, type MethodResolution, resolveMethod } from './methods.js';
import { traceOrigins } from './origins.js';
import { applyOverrides, type Override } from './overrides.js';
import { readConfigFile } from './read-file.js';
import { replaceOldNames } from './renamed.js';
import { type ExperimentOutput, ExperimentSchema } from './schema.js';
import { valueAt } from './schema-walk.js';
import { expandSeeds } from './seeds.js';
import { type Block, find, type Path, placeOf, plain, type Tree } from './tree.js';
import { type Finding, validate } from './validate.js';
import { parseYaml } from './yaml.js';

/** A validated experiment and where each of its values comes from. */
export interface LoadedExperiment {
  readonly experiment: Experiment;
  readonly file: string;
  /** Dotted path of each value of `experiment.resolved` -> `file:line`, `command line`, `preset paper`, `default`, ... */
  readonly origins: Readonly<Record<string, string>>;
  /** Each with its place: old names in use, and expectations of methods that it does not have. */
  readonly warnings: readonly string[];
  /** Those of `warnings` that tell of old names. */
  readonly renames: readonly ConfigIssue[];
}

export interface LoadOptions {
  /** The file is what the program wrote into a run directory: that names in it are old is nobody's slip. */
  readonly ofRunDirectory?: boolean;
}

/**
 * Reads an experiment from a YAML or JSON file, with `path=value` overrides written over it.
 * Loads no tensor library.
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

/** `loadExperiment` for text that was read already; `file` is what messages call it. */
export function parseExperiment(
  text: string,
  file: string,
  overrides: readonly Override[] = [],
  { ofRunDirectory = false }: LoadOptions = {},
): LoadedExperiment {
  const source = { file, text: text.replace(/^\uFEFF/, '') };
  const { tree, issues } = parseYaml(source.text);
  if (tree?.kind !== 'block') {
    const message = `a config is a block of keys: ${Object.keys(ExperimentSchema.shape).slice(1).join(', ')}${isGlued(tree) ? '; write a space after each colon' : ''}`;
    const wrongRoot = tree ? [{ path: [], message, place: tree.place }] : [];
    throw new ConfigError(source, [...issues, ...wrongRoot]);
  }
  const unwritable = applyOverrides(tree, overrides);
  const old = replaceOldNames(tree);
  const isTold = ({ place }: ConfigIssue) => !(ofRunDirectory && place.from === 'file');
  return resolve(
    tree,
    source,
    [...issues, ...unwritable, ...old.issues, ...expandSeeds(tree)],
    old.warnings.filter(isTold),
  );
}

function resolve(
  tree: Block,
  source: Source,
  earlier: readonly ConfigIssue[],
  renames: readonly ConfigIssue[],
): LoadedExperiment {
  const data = plain(tree);
  const parsed = validate(ExperimentSchema, data);
  const unread = new PathSet(earlier.map(({ path }) => path).filter((path) => path.length > 0));
  const wrong = new PathSet(parsed.findings.map(({ path }) => path));
  const get = ((...path: Path) =>
    unread.touches(path) || wrong.touches(path) ? undefined : valueAt(data, path)) as Lookup;

  const network = networkShape(get);
  const entries = get<unknown[]>('methods') ?? [];
  const methods = entries.map((entry, i) => resolveMethod(entry, ['methods', i], network));
  const inMethods = methods.flatMap((method) => method.findings);
  for (const { path } of inMethods) wrong.add(path);
  const together = checkTogether(get, {
    seeds: lengthOf(valueAt(data, ['seeds'])),
    methods: entries.length,
  });
  const expected = Object.keys(valueAt(data, ['expect']) ?? {});
  // Whoever takes a method out of a file may leave what was expected of it; on the command line it is a slip.
  const [slips, leftOver] = partition(
    checkExpected(get, entries.length, expected).map((finding) => toIssue(finding, tree)),
    ({ place }) => place.from === 'command line',
  );
  const issues = [
    ...earlier,
    ...slips,
    ...[
      ...parsed.findings.map((finding) => placed(finding, entries)),
      ...inMethods,
      ...together,
      ...checkFullBatch(get, methods),
    ]
      .filter(({ path }) => !unread.touches(path))
      .map((finding) => toIssue(finding, tree)),
  ];
  if (issues.length > 0 || !parsed.value || !network) throw new ConfigError(source, issues);
  const unknown = leftOver.map(({ path }) => String(path[1]));
  const experiment = build(withoutExpected(parsed.value, unknown), network, methods);
  const origins = traceOrigins(experiment.resolved, tree, source.file, methods);
  const warnings = [...renames, ...leftOver].map((issue) => formatIssues(source, [issue]));
  return { experiment, file: source.file, origins, warnings, renames };
}

function partition<T>(items: readonly T[], belongs: (item: T) => boolean): [T[], T[]] {
  return [items.filter(belongs), items.filter((item) => !belongs(item))];
}

function withoutExpected(config: ExperimentOutput, labels: readonly string[]): ExperimentOutput {
  const expect = Object.entries(config.expect).filter(([label]) => !labels.includes(label));
  return { ...config, expect: Object.fromEntries(expect) };
}

/** A field of a method that was given to the experiment: where it belongs. */
function placed(finding: Finding, entries: readonly unknown[]): Finding {
  const [key, ...rest] = finding.path;
  if (finding.at !== 'key' || rest.length > 0) return finding;
  const home = homeOfField(String(key), entries);
  return home === undefined ? finding : { ...finding, message: home };
}

/** `name:x` is one word of text in YAML. */
function isGlued(tree: Tree | undefined): boolean {
  return tree?.kind === 'scalar' && /^\w+:\S/.test(String(tree.value));
}

function lengthOf(value: unknown): number {
  return Array.isArray(value) ? value.length : 0;
}

export function toIssue({ path, message, at }: Finding, tree: Block): ConfigIssue {
  const key = at === 'key' ? find(tree, path)?.key : undefined;
  return { path, message, place: key ?? placeOf(tree, path) };
}

function build(
  config: ExperimentOutput,
  network: Experiment['network'],
  resolutions: readonly MethodResolution[],
): Experiment {
  const methods = resolutions.flatMap(({ method }) =>
    method === undefined ? [] : { ...method, ...lengthOfTraining(method.config, config) },
  );
  const layers = config.network.layers.map(resolveLayer);
  const { $schema: _, ...written } = config;
  const settings = { ...written, evaluate: resolveEvaluate(config.evaluate) };
  const resolved = {
    ...settings,
    network: { layers },
    methods: methods.map((method) => method.config),
  };
  return {
    ...settings,
    layers,
    network,
    methods,
    resolved,
    hash: experimentHash(resolved),
  };
}

/** Feed-forward prediction is what an experiment that says nothing of it means. */
function resolveEvaluate({
  predict,
  lambda = 1,
  ...when
}: ExperimentOutput['evaluate']): Experiment['evaluate'] {
  return predict === 'lifted' ? { ...when, predict, lambda } : when;
}

/** Paths of values that must not be relied on. */
export class PathSet {
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
