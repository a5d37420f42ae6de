import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseExperiment } from '../../src/config/load.js';
import { resolvedYaml } from '../../src/config/print.js';
import { commonColumns } from '../../src/runs/metrics.js';
import type { RunStatus } from '../../src/runs/run-json.js';

/** An experiment on a test set of 10,000 images with three seeds and a limit for most methods. */
export const gateConfig = `
name: gate
dataset: { name: mnist }
network: { layers: [ { dense: 12, activation: relu }, { dense: 10 } ] }
epochs: 1
batchSize: 500
seeds: [1, 2, 3]
methods:
  - { name: fenchel }
  - { name: adam }
  - { name: sgd }
expect:
  fenchel: { paper: 0.976, atLeast: 0.983 }
  adam: { paper: 0.976, atLeast: 0.97, atMost: 0.98 }
`;

/** Every method well inside its limits. */
export const healthy: Results = {
  fenchel: [0.985, 0.9846, 0.9852],
  adam: [0.976, 0.977, 0.9765],
  sgd: [0.94, 0.941, 0.942],
};

/** Final accuracy of each seed in the order of the config, or the status of a run without one. */
export type Results = Readonly<Record<string, readonly (number | RunStatus | 'absent')[]>>;

/**
 * Writes the run directory that training would have left with these accuracies.
 * @param measured column of the accuracy; the training of each run took `10 * seed` seconds
 */
export function injectRuns(
  directory: string,
  config: string,
  results: Results,
  measured = 'test_accuracy',
): string {
  const experiment = parseExperiment(config, 'gate.yaml').experiment;
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'config.yaml'), resolvedYaml(experiment));
  const runs = Object.entries(results).flatMap(([label, values]) =>
    values.flatMap((value, i): object[] => {
      const seed = experiment.seeds[i];
      if (value === 'absent') return [];
      if (typeof value === 'string') {
        const error = value === 'FAILED' ? 'the loss became NaN at batch 9' : undefined;
        return [{ label, seed, status: value, error }];
      }
      const folder = join(directory, `${label}-s${seed}`);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'metrics.csv'), metricsCsv(label, seed, value, measured));
      const summary = { batches: 2, finalTestAccuracy: value, wallSeconds: 10 * seed };
      return [{ label, seed, status: 'COMPLETED', summary }];
    }),
  );
  const { name, hash } = experiment;
  const record = { experiment: { name, hash }, runs };
  writeFileSync(join(directory, 'run.json'), JSON.stringify(record));
  return directory;
}

/** Two batches; the first one's accuracy must not count. */
function metricsCsv(method: string, seed: number, accuracy: number, measured: string): string {
  const names = [...new Set<string>([...commonColumns, measured])];
  const row = (batch: number, wall: number, value: number) => {
    const cells: Record<string, string | number> = { method, seed, batch, epoch: 1, wall_s: wall };
    return names.map((name) => (name === measured ? value : (cells[name] ?? ''))).join(',');
  };
  return `${[names.join(','), row(1, 1, 0.5), row(2, 10 * seed, accuracy)].join('\n')}\n`;
}
