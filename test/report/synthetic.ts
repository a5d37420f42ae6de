import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../../src/core/random.js';
import { commonColumns } from '../../src/runs/metrics.js';

/** Learning curves that look like the real ones: accuracy rises from chance to a plateau. */
export interface SyntheticMethod {
  readonly label: string;
  readonly final: number;
  /** Batches until the excess error has halved for the first time. */
  readonly halfLife: number;
  readonly stepMs: number;
  readonly setupSeconds?: number;
}

/** Figure 2 of the paper, as the issue expects it to come out. */
export const mnistMethods: readonly SyntheticMethod[] = [
  { label: 'fenchel', final: 0.985, halfLife: 3, stepMs: 28, setupSeconds: 1.2 },
  { label: 'fenchel-exact', final: 0.976, halfLife: 8, stepMs: 290 },
  { label: 'adam', final: 0.977, halfLife: 16, stepMs: 26 },
  { label: 'adam-tuned', final: 0.984, halfLife: 9, stepMs: 26 },
  { label: 'sgd', final: 0.945, halfLife: 40, stepMs: 20 },
];

export function syntheticCsv(
  method: SyntheticMethod,
  seed: number,
  { batches = 1200, every = 10, measured = 'test_accuracy' } = {},
): string {
  const random = new Random(seed, method.label);
  const extra = (commonColumns as readonly string[]).includes(measured) ? [] : [measured];
  const lines = [[...commonColumns, ...extra].join(',')];
  const plateau = 1 - method.final + 0.0006 * random.normal();
  let wall = method.setupSeconds ?? 0;
  for (let batch = 1; batch <= batches; batch++) {
    const step = method.stepMs * (1 + 0.1 * random.uniform());
    wall += step / 1000;
    const decay = 0.8 / (1 + (batch / method.halfLife) ** 1.25);
    const noise = 1 + 0.03 * random.normal() * (1 - batch / batches);
    const accuracy = Math.max(0.05, 1 - (plateau + decay) * noise);
    const evaluated = batch === 1 || batch === batches || batch % every === 0;
    const train = Math.max(0, Math.min(1, accuracy + 0.01 * random.normal()));
    const row: Record<string, string | number> = {
      method: method.label,
      seed,
      batch,
      epoch: Math.ceil(batch / 120),
      wall_s: wall.toFixed(4),
      train_loss: (3 * (1 - accuracy)).toFixed(5),
      train_accuracy: train.toFixed(4),
      step_ms: step.toFixed(3),
    };
    if (evaluated) {
      row.test_loss = (3.1 * (1 - accuracy)).toFixed(5);
      if (measured !== 'train_accuracy') row[measured] = accuracy.toFixed(4);
    }
    lines.push([...commonColumns, ...extra].map((name) => row[name] ?? '').join(','));
  }
  return `${lines.join('\n')}\n`;
}

/** Writes `LABEL-sSEED/metrics.csv` for every method and seed; returns the directory. */
export function writeRuns(
  directory: string,
  methods: readonly SyntheticMethod[],
  seeds: readonly number[],
  options: Parameters<typeof syntheticCsv>[2] = {},
): string {
  for (const method of methods) {
    for (const seed of seeds) {
      const folder = join(directory, `${method.label}-s${seed}`);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'metrics.csv'), syntheticCsv(method, seed, options));
    }
  }
  return directory;
}
