import { dirname, isAbsolute, resolve } from 'node:path';
import type { Experiment } from '../config/experiment.js';
import { ConfigError, type ConfigIssue, formatIssues, type Source } from '../config/issues.js';
import { parseExperiment, toIssue } from '../config/load.js';
import { readConfigFile } from '../config/read-file.js';
import { type Block, type Path, placeOf, plain, type Setting } from '../config/tree.js';
import { type Finding, validate } from '../config/validate.js';
import { parseBlock } from '../config/yaml.js';
import { type SweepConfig, SweepSchema } from './schema.js';
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
  const source = { file, text: readConfigFile(file).replace(/^\uFEFF/, '') };
  const { tree, config } = parseSweep(source);
  const base = isAbsolute(config.config) ? config.config : resolve(dirname(file), config.config);
  const text = readConfigFile(base);
  // The expectations of the experiment do not apply to its variants.
  const fixed = [{ path: 'expect', value: {} }, ...overrides, ...settingsOf(config.set)];
  // Errors of the experiment itself are reported once.
  const { warnings } = parseExperiment(text, base, overrides);

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
  return {
    file,
    text: source.text,
    config,
    trials: [...trials.values()],
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
  const { parameters, zip, search, trials } = config;
  const findings: Finding[] = [];
  const report = (path: Path, message: string) => findings.push({ path, message, at: 'value' });
  if (Object.keys(parameters).length + zip.length === 0) {
    report(['parameters'], 'nothing varies: add parameters or zip');
  }
  if (search === 'random' && trials === undefined) {
    report(['trials'], 'is required for a random search: the number of draws');
  }
  if (search === 'grid' && trials !== undefined) {
    report(
      ['trials'],
      'is for a random search, and a grid has every combination; remove it, or set search: random',
    );
  }
  for (const [path, parameter] of Object.entries(parameters)) {
    if (Array.isArray(parameter)) continue;
    const { range, scale } = parameter;
    if (!(range[0] < range[1]))
      report(['parameters', path, 'range'], 'expected the smaller value first');
    if (scale === 'log' && range[0] <= 0)
      report(['parameters', path, 'range'], 'expected values above 0 for scale: log');
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
  if (findings.length === 0 && search === 'grid' && gridSize(config) > maxTrials) {
    report(
      ['parameters'],
      `the grid has ${gridSize(config)} trials, the maximum is ${maxTrials}. Use search: random to sample some of them`,
    );
  }
  return findings;
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
