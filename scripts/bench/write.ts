import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'csv-stringify/sync';
import type { BackendReport } from '../../src/backend/backend.js';
import { collectProvenance } from '../../src/shared/provenance.js';
import { drawStepCosts } from './figure.js';
import type { Row } from './report.js';
import type { StepCost } from './step-table.js';
import type { Contest } from './time-to-accuracy.js';

export interface Measured {
  readonly command: string;
  readonly backends: readonly BackendReport[];
  /** PyTorch's version, or why it is absent. */
  readonly torch: string;
  readonly costs: readonly StepCost[];
  readonly contests: readonly Contest[];
  readonly verdicts: readonly Row[];
}

/** Writes steps.csv, time-to-accuracy.csv, verdicts.csv, machine.json and the figure. */
export async function writeMeasured(folder: string, measured: Measured): Promise<void> {
  const { command, backends, torch, costs, contests, verdicts } = measured;
  mkdirSync(folder, { recursive: true });
  const write = (name: string, content: string | Buffer) =>
    writeFileSync(join(folder, name), content);
  const table = (rows: readonly object[]) => stringify([...rows], { header: true });

  const provenance = await collectProvenance();
  write(
    'machine.json',
    `${JSON.stringify({ ...provenance, backends, torch, command }, null, 2)}\n`,
  );
  write('verdicts.csv', table(verdicts));
  if (costs.length > 0) {
    write(
      'steps.csv',
      table(
        costs.map((cost) => ({
          backend: cost.backend,
          network: cost.network,
          method: cost.method,
          step_ms: cost.ms.toFixed(3),
          mean_ms: cost.meanMs.toFixed(3),
          over_adam: cost.overAdam.toFixed(3),
          over_torch_adam: cost.overTorch?.toFixed(3),
          product_share: cost.productShare?.toFixed(3),
        })),
      ),
    );
    const machine = `${provenance.cpu}, ${provenance.threads} threads; Node ${provenance.node}; batches of 500; medians`;
    const { svg, png } = await drawStepCosts(costs, machine);
    write('figure.svg', svg);
    write('figure.png', png);
  }
  if (contests.length > 0) {
    const rows = contests.flatMap(({ network, target, fenchel, adam }) =>
      Object.entries({ fenchel, 'torch-adam': adam }).flatMap(([method, reached]) =>
        reached.map(({ seed, seconds, batches }) => ({
          network,
          target,
          method,
          seed,
          seconds: seconds.toFixed(3),
          batches,
        })),
      ),
    );
    write('time-to-accuracy.csv', table(rows));
  }
}
