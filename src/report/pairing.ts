import { relative, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { type Problem, problem, type Run, type RunDirectory } from '../runs/run-directory.js';
import { type Setting, settingsOf } from '../runs/settings.js';
import { type FinalResult, finalResult } from '../runs/summary.js';
import { didYouMean } from '../shared/suggest.js';
import { dataDifferences } from './diff.js';

/** Which methods of run directories may be compared seed by seed, and by what measure. */

/** The runs of one label in one run directory, by seed. */
export interface Method {
  readonly directory: RunDirectory;
  readonly label: string;
  readonly runs: ReadonlyMap<number, Run>;
  readonly results: ReadonlyMap<number, FinalResult>;
  readonly settings: ReadonlyMap<string, Setting>;
}

/** In the order of the runs. */
export function methodsOf(directory: RunDirectory, problems: Problem[]): Method[] {
  const settings = settingsOf(directory, problems);
  const labels = [...new Set(directory.runs.map(({ label }) => label))];
  return labels.map((label) => {
    const runs = directory.runs.filter((run) => run.label === label);
    return {
      directory,
      label,
      runs: new Map(runs.map((run) => [run.seed, run])),
      results: new Map(runs.map((run) => [run.seed, finalResult(run, 'any')])),
      settings,
    };
  });
}

/** Methods to be compared with one of them. */
export interface Pairing {
  readonly reference: Method;
  readonly methods: readonly Method[];
}

/**
 * Pairs every other method with one: that of its own run directory or, where this has none of the name, the only
 * one of the others that measures the same.
 * @param against `LABEL`, or `DIRECTORY/LABEL`: then every method is paired with that one
 * @param problems what cannot be paired is added
 * @throws UsageError when there is no such method
 */
export function pairMethods(
  methods: readonly Method[],
  against: string,
  problems: Problem[],
): Pairing[] {
  const references = referencesOf(methods, against);
  const groups = new Map<Method, Method[]>(references.map((reference) => [reference, []]));
  const refused = new Map<string, string>();
  for (const method of methods) {
    if (references.includes(method)) continue;
    const { path } = method.directory;
    const own = references.filter(({ directory }) => directory.path === path);
    const candidates = own.length > 0 ? own : references;
    const fitting = candidates.filter((each) => whyNotPaired(method, each) === undefined);
    if (fitting.length === 1) groups.get(fitting[0])!.push(method);
    else refused.set(`${path}: ${whyNone(method, candidates, fitting)}`, path);
  }
  problems.push(...[...refused].map(([message, path]) => problem(path, message)));
  return [...groups].map(([reference, methods]) => ({ reference, methods }));
}

function whyNone(
  method: Method,
  candidates: readonly Method[],
  fitting: readonly Method[],
): string {
  const [{ directory, label }] = fitting.length > 0 ? fitting : candidates;
  if (fitting.length > 0) {
    return `it has no ${label}, and ${fitting.length} other run directories on the same data have one; choose it, as in --against ${directory.path}/${label}`;
  }
  if (candidates.length === 1) return whyNotPaired(method, candidates[0])!;
  return `it has no ${label}, and the run directories that have one are on other data`;
}

function referencesOf(methods: readonly Method[], against: string): Method[] {
  const found = methods.filter(({ label }) => label === against);
  if (found.length > 0) return found;
  // Labels contain no slash.
  const cut = against.lastIndexOf('/');
  const [folder, label] = [against.slice(0, Math.max(0, cut)), against.slice(cut + 1)];
  const isThere = (path: string) => relative(resolve(folder), resolve(path)) === '';
  const named = methods.filter((each) => each.label === label && isThere(each.directory.path));
  if (cut >= 0 && named.length > 0) return named;
  const labels = [...new Set(methods.map((method) => method.label))];
  if (label === '') {
    throw new UsageError(
      `--against: expected LABEL or DIR/LABEL, got "${against}". Labels: ${labels.join(', ')}`,
    );
  }
  const place = cut < 0 ? '' : ` in ${folder || '/'}, among the run directories given`;
  const hint = labels.includes(label) ? '.' : didYouMean(label, labels) || '.';
  throw new UsageError(
    `--against: no run is labelled "${label}"${place}${hint} Labels: ${labels.join(', ')}`,
  );
}

/** Settings of the data that a split is evaluated on. Those that are files are compared by their checksums. */
const splitSettings = {
  test: ['test', 'testLimit'],
  validation: ['limit', 'validation'],
} as const;

/** Why results of two methods do not measure the same thing; undefined where they do. */
export function whyNotPaired(method: Method, reference: Method): string | undefined {
  const { directory: from, label: to } = reference;
  if (method.directory !== from) {
    const pair = `its methods cannot be paired with ${to} of ${from.path}`;
    const [name, other] = [method, reference].map(
      ({ directory, settings }) => settings.get('dataset.name') ?? directory.info?.dataset,
    );
    if (name !== undefined && other !== undefined && name !== other) {
      return `${pair}: the data sets are ${name} and ${other}`;
    }
    if (dataDifferences(method.directory, from).length > 0) {
      return `${pair}: the checksums of the data files differ; "fln diff" shows them`;
    }
  }
  const of = method.directory === from ? '' : ` of ${from.path}`;
  const pair = `${method.label} cannot be paired with ${to}${of}`;
  const measure = measures.find((each) => has(method, each) && has(reference, each));
  if (measure === undefined) {
    const [its, other] = [method, reference].map((side) => measures.find((of) => has(side, of)));
    // Without results, each seed has its own reason.
    if (its === undefined || other === undefined) return undefined;
    return `${pair}: it has the ${measureName(its)}, and ${to} the ${measureName(other)}`;
  }
  const isNumber = (value: unknown) => value === undefined || typeof value === 'number';
  for (const name of splitSettings[measure.split]) {
    const [a, b] = [method, reference].map(({ settings }) => settings.get(`dataset.${name}`));
    if (a === b || !isNumber(a) || !isNumber(b)) continue;
    const values = [a, b].map((value) => value ?? 'absent').join(' and ');
    return `${pair}: the ${measure.split} splits differ, dataset.${name} is ${values}`;
  }
  return undefined;
}

/** What final results are compared. Losses only where there is no accuracy, as in a regression. */
export interface FinalMeasure {
  readonly split: 'test' | 'validation';
  readonly kind: 'accuracy' | 'loss';
}

/** In the order of preference. */
const measures = [
  { split: 'test', kind: 'accuracy', key: 'testAccuracy' },
  { split: 'validation', kind: 'accuracy', key: 'validationAccuracy' },
  { split: 'test', kind: 'loss', key: 'testLoss' },
  { split: 'validation', kind: 'loss', key: 'validationLoss' },
] as const satisfies readonly (FinalMeasure & { key: string })[];

export const measureName = ({ split, kind }: FinalMeasure): string => `${split} ${kind}`;

const has = ({ results }: Method, measure: FinalMeasure) =>
  [...results.values()].some((result) => resultOf(result, measure) !== undefined);

/** The preferred measure of all methods; of the first, where they share none. */
export function measureOf(methods: readonly Method[]): FinalMeasure {
  const shared = measures.find((each) => methods.every((method) => has(method, each)));
  return shared ?? measures.find((each) => has(methods[0], each)) ?? measures[0];
}

export function resultOf(result: FinalResult | undefined, of: FinalMeasure): number | undefined {
  if (result === undefined || 'missing' in result) return undefined;
  return result[measures.find(({ split, kind }) => split === of.split && kind === of.kind)!.key];
}
