import { Random } from '../../src/core/random.js';
import { average, standardDeviation, tQuantile } from '../../src/shared/statistics.js';
import { judge } from '../../src/verify/judge.js';

/** A method whose true accuracy is known, trained with a few seeds. */
export interface Scenario {
  /** `atLeast` of the expectation. */
  readonly limit: number;
  readonly testImages: number;
  readonly seeds: number;
  /** Standard deviation over seeds, in binomial errors of the test set. */
  readonly spread: number;
  /** True mean minus limit, a share. */
  readonly offset: number;
  /** Lowers the accuracy of the last seed by this share. */
  readonly lastSeedLoses?: number;
}

/** Whether a gate fails, given the seeds' accuracies. */
export type Rule = (accuracies: readonly number[], scenario: Scenario) => boolean;

export const rules = {
  'mean alone': (accuracies, { limit }) => average(accuracies) < limit,
  't-test alone': (accuracies, { limit }) => {
    const n = accuracies.length;
    const spread =
      n < 2 ? 0 : (tQuantile(n - 1, 0.95) * standardDeviation(accuracies)) / Math.sqrt(n);
    return average(accuracies) < limit - spread;
  },
  'fln verify': (accuracies, { limit, testImages }) => {
    const seeds = accuracies.map((accuracy, i) => ({ seed: i + 1, accuracy }));
    return judge('method', seeds, { atLeast: limit }, testImages).verdict === 'failed';
  },
} as const satisfies Record<string, Rule>;

/** Share of simulated experiments in which the gate fails; the same on every machine. */
export function failureRate(scenario: Scenario, trials: number, rule: Rule = rules['fln verify']) {
  const random = new Random(1, JSON.stringify(scenario));
  let failures = 0;
  for (let trial = 0; trial < trials; trial++) {
    if (rule(drawAccuracies(scenario, random), scenario)) failures++;
  }
  return failures / trials;
}

/** Normal over seeds, rounded to whole images. */
function drawAccuracies(scenario: Scenario, random: Random): number[] {
  const { limit, testImages, seeds, spread, offset, lastSeedLoses = 0 } = scenario;
  const deviation = spread * Math.sqrt((limit * (1 - limit)) / testImages);
  return Array.from({ length: seeds }, (_, i) => {
    const loss = i === seeds - 1 ? lastSeedLoses : 0;
    const accuracy = limit + offset - loss + deviation * random.normal();
    return Math.round(Math.min(1, Math.max(0, accuracy)) * testImages) / testImages;
  });
}
