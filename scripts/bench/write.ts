import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'csv-stringify/sync';
import type { BackendReport } from '../../src/backend/backend.js';
import { collectProvenance } from '../../src/shared/provenance.js';
import type { ConvolutionCost } from './convolutions.js';
import { drawStepCosts } from './figure.js';
import type { Row } from './report.js';
import type { Ratio } from './statistics.js';
import type { StepCost } from './step-table.js';
import type { Contest } from './time-to-accuracy.js';

export interface Measured {
  readonly command: string;
  readonly backends: readonly BackendReport[];
  /** PyTorch's version, or why it is absent. */
  readonly torch: string;
  /** Threads of TensorFlow and of PyTorch beside it. */
  readonly threads: number;
  readonly costs: readonly StepCost[];
  readonly convolutions: readonly ConvolutionCost[];
  readonly contests: readonly Contest[];
  readonly verdicts: readonly Row[];
}

/** Writes steps.csv, convolutions.csv, time-to-accuracy.csv, verdicts.csv, machine.json and the figure. */
export async function writeMeasured(folder: string, measured: Measured): Promise<void> {
  const { command, backends, torch, threads, costs, convolutions, contests, verdicts } = measured;
  mkdirSync(folder, { recursive: true });
  const write = (name: string, content: string | Buffer) =>
    writeFileSync(join(folder, name), content);
  const table = (rows: readonly object[]) => stringify([...rows], { header: true });

  const provenance = await collectProvenance();
  write(
    'machine.json',
    `${JSON.stringify({ ...provenance, backends, torch, benchThreads: threads, command }, null, 2)}\n`,
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
          threads: cost.threads,
          step_ms_min: cost.least.toFixed(3),
          step_ms_q1: cost.quartile.toFixed(3),
          step_ms_median: cost.median.toFixed(3),
          ...ratioColumns('over_adam', cost.overAdam),
          ...ratioColumns('over_torch_adam', cost.overTorch),
          pairs: cost.overAdam?.pairs,
          product_share: cost.productShare?.toFixed(3),
        })),
      ),
    );
    const machine = `${provenance.cpu}; ${threads} threads, wasm 1, PyTorch as many; batches of 500; lower quartiles`;
    const { svg, png } = await drawStepCosts(costs, machine);
    write('figure.svg', svg);
    write('figure.png', png);
  }
  if (convolutions.length > 0) {
    write(
      'convolutions.csv',
      table(
        convolutions.map(({ least, overTorch, productShare, ...shape }) => ({
          ...shape,
          ms_min: least.toFixed(3),
          ...ratioColumns('over_torch', overTorch),
          pairs: overTorch.pairs,
          product_share: productShare.toFixed(3),
        })),
      ),
    );
  }
  if (contests.length > 0) {
    const rows = contests.flatMap(({ network, target, reached }) =>
      Object.entries(reached).flatMap(([method, runs]) =>
        runs.map(({ seed, seconds, batches }) => ({
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

const ratioColumns = (name: string, ratio: Ratio | undefined) => ({
  [name]: ratio?.value.toFixed(3),
  [`${name}_low`]: ratio?.low.toFixed(3),
  [`${name}_high`]: ratio?.high.toFixed(3),
});
