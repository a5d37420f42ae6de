import { dirname, isAbsolute, resolve } from 'node:path';
import type { Experiment } from '../config/experiment.js';
import { ConfigError, type ConfigIssue, formatIssues, type Source } from '../config/issues.js';
import { parseExperiment, toIssue } from '../config/load.js';
import { readConfigFile } from '../config/read-file.js';
import { type Block, type Path, placeOf, plain, type Setting } from '../config/tree.js';
import { type Finding, validate } from '../config/validate.js';
import { parseBlock } from '../config/yaml.js';
import { plural } from '../shared/text.js';
import { rungEpochs } from './halving/scheduler.js';
import { metricOf, rangeProblem, type SweepConfig, SweepSchema, searchOf } from './schema.js';
import { gridSize, type Overrides, searchSpace } from './search.js';

/** One experiment of a sweep. */
export interface Trial {
  /** Hash of its resolved config. */
  readonly id: string;
  /** The settings that vary between trials. */
  readonly overrides: Overrides;
  readonly experiment: Experiment;
}

export interface Sweep {
  readonly file: string;
  readonly text: string;
  readonly config: SweepConfig;
  /** Without duplicates, in the order of the search. */
  readonly trials: readonly Trial[];
  /** Number of duplicates that were left out. */
  readonly duplicates: number;
  /** With search: halving: its reduction factor, the epochs of its rungs, and the seeds of each trial. */
  readonly halving?: { readonly eta: number; readonly epochs: number[]; readonly seeds: number };
  /** About renamed settings in the experiment, the overrides and the sweep file. */
  readonly warnings: readonly string[];
}

/** A larger grid is taken for a mistake. */
const maxTrials = 100_000;

/**
 * Reads a sweep file and its experiment, and validates the config of every trial.
 * @param overrides `path=value`, applied to the experiment before those of the sweep file
 * @throws ConfigError with all errors; UsageError when a file cannot be read
 */
export function loadSweep(file: string, overrides: readonly string[] = []): Sweep {
  return sweepOf({ file, text: readConfigFile(file).replace(/^\uFEFF/, '') }, overrides);
}

/**
 * {@link loadSweep} of a text that need not have been written.
 * @param read gives the text of the experiment
 */
export function sweepOf(
  source: Source,
  overrides: readonly string[] = [],
  read: (file: string) => string = readConfigFile,
): Sweep {
  const { file } = source;
  const { tree, config } = parseSweep(source);
  const base = isAbsolute(config.config) ? config.config : resolve(dirname(file), config.config);
  const text = read(base);
  const { kind } = searchOf(config);
  // Errors of the experiment itself are reported once.
  const { experiment, warnings: old } = parseExperiment(text, base, overrides);
  const fixed = [
    // The expectations of the experiment do not apply to its variants, nor what it cost to tune it.
    { path: 'expect', value: {} },
    ...(experiment.tuning ? [{ path: 'tuning', value: {} }] : []),
    ...(kind === 'halving' ? [{ path: 'evaluate.test', value: 'never' }] : []),
    ...overrides,
    ...settingsOf(config.set),
  ];
  const warnings = [...old];
  if (kind === 'halving' && experiment.evaluate.test !== 'never') {
    warnings.push(
      `search: halving never uses the test set: every trial has evaluate.test: never instead of ${experiment.evaluate.test}`,
    );
  }

  const renames = new Map<string, ConfigIssue>();
  const issues = new Map<string, ConfigIssue>();
  const trials = new Map<string, Trial>();
  const space = searchSpace(config);
  for (const varied of space) {
    try {
      const all = [...fixed, ...settingsOf(varied)];
      const { experiment, renames: old } = parseExperiment(text, base, all);
      for (const issue of old) {
        const own = inSweep(issue, tree, config);
        if (own?.place.from !== 'file') continue;
        renames.set(own.path.join('.'), { ...own, message: issue.message });
      }
      const { hash: id } = experiment;
      if (!trials.has(id)) trials.set(id, { id, overrides: varied, experiment });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const issue of error.issues) {
        const own = inSweep(issue, tree, config);
        // Not caused by an override: an error in the experiment file.
        if (own === undefined) throw error;
        issues.set(`${own.path.join('.')} ${own.message}`, own);
      }
    }
  }
  if (issues.size > 0) throw new ConfigError(source, [...issues.values()]);
  let halving: Sweep['halving'];
  if (kind === 'halving') {
    const { value, findings } = halvingOf(config, [...trials.values()]);
    if (findings.length > 0) {
      throw new ConfigError(
        source,
        findings.map((finding) => toIssue(finding, tree)),
      );
    }
    halving = value;
  }
  return {
    file,
    text: source.text,
    config,
    trials: [...trials.values()],
    halving,
    duplicates: space.length - trials.size,
    warnings: [...warnings, ...[...renames.values()].map((own) => formatIssues(source, [own]))],
  };
}

const settingsOf = (overrides: Overrides): Setting[] =>
  Object.entries(overrides).map(([path, value]) => ({ path, value }));

function parseSweep(source: Source): { tree: Block; config: SweepConfig } {
  const { tree, issues } = parseBlock(source, 'a sweep', Object.keys(SweepSchema.shape));
  const { value, findings } = validate(SweepSchema, plain(tree));
  const wrong = [...findings, ...(value ? checkSweep(value) : [])];
  const all = [...issues, ...wrong.map((finding) => toIssue(finding, tree))];
  if (all.length > 0 || !value) throw new ConfigError(source, all);
  return { tree, config: value };
}

/** Constraints between fields. */
function checkSweep(config: SweepConfig): Finding[] {
  const { parameters, zip, trials } = config;
  const { kind, given, isDrawn } = searchOf(config);
  const findings: Finding[] = [];
  const report = (path: Path, message: string) => findings.push({ path, message, at: 'value' });
  if (Object.keys(parameters).length + zip.length === 0) {
    report(['parameters'], 'nothing varies: add parameters or zip');
  }
  if (kind === 'random' && trials === undefined) {
    report(['trials'], 'is required for a random search: the number of draws');
  }
  if (kind === 'grid' && trials !== undefined) {
    report(
      ['trials'],
      'is for a random search, and a grid has every combination; remove it, or set search: random',
    );
  }
  for (const field of ['eta', 'minEpochs'] as const) {
    if (kind !== 'halving' && given[field] !== undefined) {
      report(['search', field], `is for kind: halving, and this is a ${kind} search; remove it`);
    }
  }
  const { column } = metricOf(config);
  if (kind === 'halving' && column?.startsWith('test_')) {
    report(
      typeof config.metric === 'string' ? ['metric'] : ['metric', 'column'],
      'search: halving never uses the test set: expected validation_accuracy, validation_loss or train_loss',
    );
  }
  for (const [path, parameter] of Object.entries(parameters)) {
    if (Array.isArray(parameter)) continue;
    const wrong = rangeProblem(parameter);
    if (wrong !== undefined) report(['parameters', path, 'range'], wrong);
  }
  const seen = new Set(Object.keys(parameters));
  for (const [i, group] of zip.entries()) {
    const lengths = new Set(Object.values(group).map((values) => values.length));
    if (lengths.size > 1) {
      const each = Object.entries(group).map(([path, values]) => `${path} has ${values.length}`);
      report(['zip', i], `expected lists of the same length: ${each.join(', ')}`);
    }
    for (const path of Object.keys(group)) {
      if (seen.has(path))
        report(['zip', i, path], 'varies twice: it is in parameters or zip above');
      seen.add(path);
    }
  }
  for (const path of Object.keys(config.set)) {
    if (seen.has(path))
      report(['set', path], 'is set for all trials and also varied: remove one of them');
  }
  if (findings.length === 0 && !isDrawn && gridSize(config) > maxTrials) {
    report(
      ['parameters'],
      `the grid has ${gridSize(config)} trials, the maximum is ${maxTrials}. ${kind === 'grid' ? 'Use search: random' : 'Set trials'} to sample some of them`,
    );
  }
  return findings;
}

/** What search: halving needs of the trials, each of which has a valid config. */
function halvingOf(
  config: SweepConfig,
  trials: readonly Trial[],
): { value: NonNullable<Sweep['halving']>; findings: Finding[] } {
  const { eta, minEpochs, given } = searchOf(config);
  const { column = 'validation_accuracy' } = metricOf(config);
  const findings: Finding[] = [];
  const report = (path: Path, message: string) => findings.push({ path, message, at: 'value' });
  const experiments = trials.map(({ experiment }) => experiment);
  const isTested = experiments.find(({ evaluate }) => evaluate.test !== 'never')?.evaluate.test;
  if (isTested !== undefined) {
    report(
      ['search'],
      `halving never uses the test set, and evaluate.test is set to ${isTested} for its trials; remove that`,
    );
  }
  if (column.startsWith('validation_') && experiments.some(({ dataset }) => !dataset.validation)) {
    report(
      ['search'],
      `halving compares trials by their ${column}, and the data set holds out no validation split: add ` +
        'dataset.validation: 5000 to set, or dataset.validation=5000 to the command',
    );
  }
  const several = experiments.find(({ methods }) => methods.length > 1);
  if (several !== undefined) {
    const labels = several.methods.map(({ label }) => label).join(', ');
    report(
      ['search'],
      `halving trains one method, and the experiment has ${several.methods.length} (${labels}): keep one with ` +
        `methods in set, and search each method in a sweep of its own`,
    );
  }
  const lengths = [...new Set(experiments.map(({ methods: [{ epochs }] }) => epochs))];
  const [epochs] = lengths;
  if (lengths.length > 1) {
    report(
      ['search'],
      `halving compares trials of the same length, and these have ${lengths.slice(0, 5).join(', ')} epochs: do not vary epochs`,
    );
  } else if (minEpochs >= epochs) {
    const where = given.minEpochs === undefined ? ['search'] : ['search', 'minEpochs'];
    report(
      where,
      `the first rung has ${minEpochs} and a whole training ${plural(epochs, 'epoch')}: ` +
        'halving needs fewer in the first rung',
    );
  }
  const { seeds } = experiments[0];
  const value = { eta, epochs: rungEpochs(minEpochs, epochs, eta), seeds: seeds.length };
  return { value, findings };
}

/** The position in the sweep file of the override that causes an issue; undefined where none does. */
function inSweep(issue: ConfigIssue, tree: Block, config: SweepConfig): ConfigIssue | undefined {
  if (issue.place.from !== 'command line') return undefined;
  const { setting } = issue.place;
  if (setting === undefined) return issue;
  const { path, value } = setting;
  const place = placeIn(path, config);
  if (place === undefined) return issue;
  // Where the value is a mapping, the key at fault.
  const at = issue.path.join('.');
  const inner = at === '' || at.startsWith(path) ? '' : ` (${at})`;
  const message = `${JSON.stringify(value)}${inner}: ${issue.message}`;
  return { path: place, message, place: placeOf(tree, place) };
}

function placeIn(path: string, { set, parameters, zip }: SweepConfig): Path | undefined {
  if (Object.hasOwn(parameters, path)) return ['parameters', path];
  const group = zip.findIndex((lists) => Object.hasOwn(lists, path));
  if (group >= 0) return ['zip', group, path];
  return Object.hasOwn(set, path) ? ['set', path] : undefined;
}
