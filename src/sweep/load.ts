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
  /** Hash of its resolved config: equal for equal work, whatever the sweep around it. */
  readonly id: string;
  /** What it differs in from the others. */
  readonly overrides: Overrides;
  readonly experiment: Experiment;
}

export interface Sweep {
  readonly file: string;
  readonly text: string;
  readonly config: SweepConfig;
  /** Each once, in the order of the search. */
  readonly trials: readonly Trial[];
  /** How many more the search gave that equal one of these. */
  readonly duplicates: number;
  /** Old names in the experiment, the overrides and the sweep, each with its place. */
  readonly warnings: readonly string[];
}

/** More than any cluster runs, and a grid that nobody meant. */
const maxTrials = 100_000;

/**
 * Reads a sweep and the experiment that it varies, and checks every trial. Loads no tensor library.
 * @param overrides `path=value`, written over the experiment before the sweep's own
 * @throws ConfigError with everything that is wrong; UsageError when a file cannot be read
 */
export function loadSweep(file: string, overrides: readonly string[] = []): Sweep {
  const source = { file, text: readConfigFile(file).replace(/^\uFEFF/, '') };
  const { tree, config } = parseSweep(source);
  const base = isAbsolute(config.config) ? config.config : resolve(dirname(file), config.config);
  const text = readConfigFile(base);
  // What the experiment is expected to reach does not hold for its variants.
  const fixed = [{ path: 'expect', value: {} }, ...overrides, ...settingsOf(config.set)];
  // What is wrong with the experiment itself is said once, in its own words.
  const { warnings } = parseExperiment(text, base, overrides);

  const renames = new Map<string, ConfigIssue>();
  const issues = new Map<string, ConfigIssue>();
  const trials = new Map<string, Trial>();
  const space = searchSpace(config);
  for (const varied of space) {
    try {
      const all = [...fixed, ...settingsOf(varied)];
      const { experiment, renames: old } = parseExperiment(text, base, all);
      for (const { message, ...issue } of old) {
        const own = inSweep({ message, ...issue }, tree, config);
        if (own?.place.from === 'file') renames.set(own.path.join('.'), { ...own, message });
      }
      const { hash: id } = experiment;
      if (!trials.has(id)) trials.set(id, { id, overrides: varied, experiment });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const issue of error.issues) {
        const own = inSweep(issue, tree, config);
        // Neither an override of the sweep nor of the command line: the experiment's own mistake.
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

/** What no single field shows. */
function checkSweep(config: SweepConfig): Finding[] {
  const { parameters, zip, search, trials } = config;
  const findings: Finding[] = [];
  const say = (path: Path, message: string) => findings.push({ path, message, at: 'value' });
  if (Object.keys(parameters).length + zip.length === 0) {
    say(['parameters'], 'nothing varies: give parameters, or zip');
  }
  if (search === 'random' && trials === undefined) {
    say(['trials'], 'is missing: a random search needs the number of its draws');
  }
  if (search === 'grid' && trials !== undefined) {
    say(
      ['trials'],
      'has no meaning in a grid, which tries every combination; leave it out, or write search: random',
    );
  }
  for (const [path, parameter] of Object.entries(parameters)) {
    if (Array.isArray(parameter)) continue;
    const { range, scale } = parameter;
    if (!(range[0] < range[1]))
      say(['parameters', path, 'range'], 'the least value comes first, then a larger one');
    if (scale === 'log' && range[0] <= 0)
      say(['parameters', path, 'range'], 'a log scale needs values above 0');
  }
  const seen = new Set(Object.keys(parameters));
  for (const [i, group] of zip.entries()) {
    const lengths = new Set(Object.values(group).map((values) => values.length));
    if (lengths.size > 1) {
      const each = Object.entries(group).map(([path, values]) => `${path} has ${values.length}`);
      say(['zip', i], `lists that go together have the same length: ${each.join(', ')}`);
    }
    for (const path of Object.keys(group)) {
      if (seen.has(path)) say(['zip', i, path], 'varies twice: it is given above');
      seen.add(path);
    }
  }
  for (const path of Object.keys(config.set)) {
    if (seen.has(path))
      say(['set', path], 'is set for all trials and varied, too: remove one of them');
  }
  if (findings.length === 0 && search === 'grid' && gridSize(config) > maxTrials) {
    say(
      ['parameters'],
      `make a grid of ${gridSize(config)} trials; at most ${maxTrials} are possible. A random search tries some of them`,
    );
  }
  return findings;
}

/** The place in the sweep file of an override that a trial's config refuses. */
function inSweep(issue: ConfigIssue, tree: Block, config: SweepConfig): ConfigIssue | undefined {
  if (issue.place.from !== 'command line') return undefined;
  const { setting } = issue.place;
  if (setting === undefined) return issue;
  const { path, value } = setting;
  const place = placeIn(path, config);
  if (place === undefined) return issue;
  // Of a block that is written as a whole, the part at fault.
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
