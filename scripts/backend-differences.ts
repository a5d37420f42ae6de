/**
 * `npm run build && npx tsx scripts/backend-differences.ts [BACKEND ...]`: the largest relative difference
 * between the losses of the first 20 batches on other backends (default: tensorflow, cpu) and those on wasm, for
 * every method.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseExperiment } from '../src/config/load.js';
import { runExperiment } from '../src/experiment/run.js';
import { readMetrics } from '../src/runs/metrics.js';
import { tinyExperiments } from './robustness/experiments.js';
import { measuredOn } from './robustness/provenance.js';

const others = process.argv.length > 2 ? process.argv.slice(2) : ['tensorflow', 'cpu'];
const folder = mkdtempSync(join(tmpdir(), 'fln-backends-'));
try {
  for (const { name, config, labels } of tinyExperiments(2, 20)) {
    for (const backend of ['wasm', ...others]) {
      const { experiment } = parseExperiment(config, name, [`backend=${backend}`]);
      await runExperiment(experiment, { outDir: join(folder, name, backend) });
    }
    for (const label of labels) {
      const losses = (backend: string) =>
        readMetrics(join(folder, name, backend, `${label}-s1`, 'metrics.csv')).metrics.columns
          .train_loss;
      const reference = losses('wasm');
      const differences = others.map((backend) => {
        const found = losses(backend).map(
          (loss, i) => Math.abs(loss - reference[i]) / Math.abs(reference[i]),
        );
        return `${backend} ${Math.max(...found).toExponential(1)}`;
      });
      process.stdout.write(`${name} ${label}: ${differences.join(', ')}\n`);
    }
  }
  process.stdout.write(`${await measuredOn()}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
