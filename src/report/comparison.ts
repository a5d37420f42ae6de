import { methodVariants } from '../config/methods.js';
import { type Problem, problem, type Run, type RunDirectory } from '../runs/run-directory.js';
import { readSettings } from '../runs/settings.js';
import { finalResult } from '../runs/summary.js';
import { type Estimate, estimate } from '../shared/statistics.js';
import { runName } from '../shared/text.js';

/** One method of one run directory over its seeds. Accuracies are shares in [0, 1]. */
export interface ComparisonRow {
  readonly directory: string;
  readonly experiment: string;
  readonly method: string;
  /** The algorithm, where the method's name does not determine it: `preconditioned`, `Algorithm 2`. */
  readonly variant?: string;
  /** Seeds that have a final result; the estimates are over these. */
  readonly completed: number;
  readonly seeds: number;
  /** Split of the accuracy: test, or validation where the test set was not evaluated. */
  readonly measuredOn?: 'test' | 'validation';
  readonly accuracy?: Estimate;
  /** Mean loss on the same split, where there is no accuracy: of a regression. */
  readonly loss?: Estimate;
  /** The paper's test accuracy. */
  readonly paper?: number;
  /** Mean minus the paper's; absent for validation accuracies, which are not comparable. */
  readonly difference?: number;
  /** Training time of a whole run. */
  readonly trainSeconds?: Estimate;
}

export interface Comparison {
  readonly rows: readonly ComparisonRow[];
  /** Runs without a final result, and configs whose expectations cannot be read. */
  readonly problems: readonly Problem[];
}

/** Final accuracies of run directories and the paper's; nothing is thrown. */
export function compareRuns(directories: readonly RunDirectory[]): Comparison {
  const problems: Problem[] = [];
  const rows = directories.flatMap((directory) => {
    const papers = paperAccuracies(directory, problems);
    const variants = variantsOf(directory);
    const labels = new Set(directory.runs.map(({ label }) => label));
    return [...labels].map((label) => {
      const runs = directory.runs.filter((run) => run.label === label);
      const row = compareMethod(directory.path, runs, papers.get(label), problems);
      return { ...row, variant: variants.get(label) };
    });
  });
  return { rows, problems };
}

function compareMethod(
  directory: string,
  runs: readonly Run[],
  paper: number | undefined,
  problems: Problem[],
): ComparisonRow {
  const results = runs.flatMap((run) => {
    const result = finalResult(run, 'any');
    if (!('missing' in result)) return [result];
    const message = `${directory}: ${runName(run)}: ${result.missing}`;
    problems.push(problem(directory, message));
    return [];
  });
  const over = (value: (result: (typeof results)[number]) => number | undefined) =>
    estimate(results.map(value).filter((x) => x !== undefined));
  const test = over(({ testAccuracy }) => testAccuracy);
  const accuracy = test ?? over(({ validationAccuracy }) => validationAccuracy);
  const testLoss = accuracy ? undefined : over((result) => result.testLoss);
  const loss = accuracy ? undefined : (testLoss ?? over((result) => result.validationLoss));
  return {
    directory,
    experiment: runs[0].experiment,
    method: runs[0].label,
    completed: results.length,
    seeds: runs.length,
    measuredOn: (accuracy ?? loss) && ((test ?? testLoss) ? 'test' : 'validation'),
    accuracy,
    ...(loss && { loss }),
    paper,
    difference: test && paper !== undefined ? test.mean - paper : undefined,
    trainSeconds: over(({ trainSeconds }) => trainSeconds),
  };
}

/** Only `fenchel` has variants; other configs are not parsed, which would take most of the time. */
function variantsOf({ config }: RunDirectory): ReadonlyMap<string, string> {
  return config?.includes('fenchel') ? methodVariants(config) : new Map();
}

/**
 * `paper` of each label under `expect` in config.yaml. The rest of the config is not checked, so that
 * results of older versions of the program can be compared.
 */
function paperAccuracies(
  { path, config }: RunDirectory,
  problems: Problem[],
): ReadonlyMap<string, number> {
  // Parsing takes most of the time, and configs of sweep trials have no `expect`.
  if (!config?.includes('paper')) return new Map();
  try {
    const papers = [...readSettings(config)].flatMap(([setting, value]): [string, number][] => {
      const label = /^expect\.(.+)\.paper$/.exec(setting)?.[1];
      const isShare = typeof value === 'number' && value >= 0 && value <= 1;
      return label !== undefined && isShare ? [[label, value]] : [];
    });
    return new Map(papers);
  } catch (error) {
    const message = `${path}/config.yaml: ${(error as Error).message}; the paper's values are omitted`;
    problems.push(problem(path, message));
    return new Map();
  }
}
