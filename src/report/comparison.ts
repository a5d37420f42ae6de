import { methodVariants } from '../config/methods.js';
import type { TuningCost } from '../config/schema.js';
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
  /** On the same split, by the mean of the outputs for an image and its mirror image. */
  readonly accuracyFlips?: Estimate;
  /** Mean loss on the same split, where there is no accuracy: of a regression. */
  readonly loss?: Estimate;
  /** The paper's test accuracy. */
  readonly paper?: number;
  /** Mean minus the paper's; absent for validation accuracies, which are not comparable. */
  readonly difference?: number;
  /** Training time of a whole run. */
  readonly trainSeconds?: Estimate;
  /** What it cost to find the settings, where the config says it. */
  readonly tuning?: TuningCost;
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
    const { papers, tunings } = statedOf(directory, problems);
    const variants = variantsOf(directory);
    const labels = new Set(directory.runs.map(({ label }) => label));
    return [...labels].map((label) => {
      const runs = directory.runs.filter((run) => run.label === label);
      const row = compareMethod(directory.path, runs, papers.get(label), problems);
      const tuning = tunings.get(label);
      return { ...row, variant: variants.get(label), ...(tuning && { tuning }) };
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
  const accuracyFlips = over((result) =>
    test ? result.testAccuracyFlips : result.validationAccuracyFlips,
  );
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
    ...(accuracyFlips && { accuracyFlips }),
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
 * Of each label in config.yaml, `paper` under `expect` and the cost under `tuning`. The rest of the config is not
 * checked, so that results of older versions of the program can be compared.
 */
function statedOf({ path, config }: RunDirectory, problems: Problem[]) {
  const papers = new Map<string, number>();
  const costs = new Map<string, Partial<TuningCost>>();
  // Parsing takes most of the time, and configs of sweep trials have neither.
  if (!config || !/paper|^tuning:/m.test(config)) return { papers, tunings: new Map() };
  try {
    for (const [setting, value] of readSettings(config)) {
      const paper = /^expect\.(.+)\.paper$/.exec(setting)?.[1];
      if (paper !== undefined && typeof value === 'number' && value >= 0 && value <= 1) {
        papers.set(paper, value);
      }
      const [, label, field] = /^tuning\.(.+)\.(\w+)$/.exec(setting) ?? [];
      if (label === undefined) continue;
      costs.set(label, { ...costs.get(label), [field]: value });
    }
  } catch (error) {
    const message = `${path}/config.yaml: ${(error as Error).message}; the paper's values and the cost of tuning are omitted`;
    problems.push(problem(path, message));
  }
  const isWhole = (cost: Partial<TuningCost>): cost is TuningCost =>
    [cost.trials, cost.batches, cost.seconds].every((value) => typeof value === 'number');
  const tunings = [...costs].flatMap(([label, cost]) =>
    isWhole(cost) ? [[label, cost] as const] : [],
  );
  return { papers, tunings: new Map(tunings) };
}
