import { join } from 'node:path';
import { stringify } from 'csv-stringify/sync';
import type { Experiment } from '../config/experiment.js';
import { describeLayers } from '../core/network/shape.js';
import { writeFileAtomic } from '../files/atomic.js';
import { makeFolder } from '../files/folder.js';
import { type BoundCurve, boundFigureSpec } from '../report/bound-figure.js';
import { renderFigure } from '../report/figure.js';
import { measureText } from '../report/figure-style.js';
import { collectProvenance } from '../shared/provenance.js';
import type { BoundResult } from './bound.js';
import { type CertificateReport, certificateStatements } from './network-certificate.js';
import { type BoundReport, statements } from './problem.js';

/** What the numbers of a report prove and what they do not. */
export const statementsOf = (report: BoundReport | CertificateReport): string[] =>
  report.kind === 'certificate' ? certificateStatements(report) : statements(report);

/** e.g. `synthetic-digits, 300 images · 49-20-10, relu · cross-entropy · rho 0.001` */
export function describeBound(
  experiment: Experiment,
  images: number,
  report: BoundReport | CertificateReport,
): string {
  const { network, loss, dataset } = experiment;
  const isOneLayer = report.kind === 'one-layer';
  const layers = describeLayers(network.layers);
  const activations = isOneLayer ? ['relu at the output'] : [...new Set(network.activations)];
  const ridges = [...new Set(report.rho)].join(', ');
  return [
    `${dataset.name}, ${images} images`,
    [layers, ...activations].join(', '),
    ...(isOneLayer ? [] : [loss]),
    `rho ${ridges}`,
  ].join(' · ');
}

/**
 * Writes bound.csv, bound.json (settings, values, statements, provenance), and of values of lambda bound.svg and
 * bound.png.
 * @returns the paths written
 * @throws DiskError
 */
export async function writeBound(
  directory: string,
  experiment: Experiment,
  { report, dataset, backend }: BoundResult,
): Promise<string[]> {
  const { name, resolved } = experiment;
  const { dataset: data, network, loss } = resolved;
  const content = {
    name,
    config: { dataset: data, network, loss },
    ...report,
    statements: statementsOf(report),
    ...(await collectProvenance()),
    backend,
    data: { name: dataset.name, sha256: dataset.sha256 },
  };
  const file = (extension: string) => join(directory, `bound.${extension}`);
  const json = `${JSON.stringify(content, null, 2)}\n`;
  if (report.kind === 'certificate') {
    return writeAll(directory, [
      [file('csv'), certificateCsv(report)],
      [file('json'), json],
    ]);
  }
  const subtitle = describeBound(experiment, dataset.train.count, report);
  const title =
    report.kind === 'one-layer'
      ? 'One-layer regression: lifted objective and its certified lower bound'
      : 'Lifted and feed-forward objectives';
  const figure = await drawBound(report, { title, subtitle });
  return writeAll(directory, [
    [file('csv'), boundCsv(report)],
    [file('json'), json],
    [file('svg'), figure.svg],
    [file('png'), figure.png],
  ]);
}

function writeAll(directory: string, files: [string, string | Uint8Array][]): string[] {
  makeFolder(directory);
  for (const [path, data] of files) writeFileAtomic(path, data);
  return files.map(([path]) => path);
}

function boundCsv({ rows, kind, bestPrimal }: BoundReport): string {
  const lines = rows.map((row) => ({
    lambda: row.lambda,
    lifted_objective: row.liftedObjective,
    primal_objective: row.primalObjective,
    best_primal_objective: bestPrimal,
    iterations: row.iterations,
    ...(kind === 'one-layer' && { dual_value: row.dualValue, gap: row.gap }),
  }));
  return stringify(lines, { header: true });
}

function certificateCsv(report: CertificateReport): string {
  const row = {
    images: report.images,
    rho: report.rho.join(' '),
    seed: report.seed,
    width: report.width,
    primal_objective: report.reached,
    certified: report.certified,
    share: report.share,
    constant_objective: report.constant,
    train_loss: report.loss,
    train_accuracy: report.trainAccuracy,
    iterations: report.steps,
  };
  return stringify([row], { header: true });
}

function drawBound(report: BoundReport, text: { title: string; subtitle: string }) {
  const { rows, bestPrimal, kind } = report;
  const curve = (label: string, read: (row: (typeof rows)[number]) => number): BoundCurve => ({
    label,
    points: rows.map((row) => ({ lambda: row.lambda, value: read(row) })),
  });
  const certified = curve('certified lower bound of it', ({ dualValue }) => dualValue ?? 0);
  const curves = [
    curve('lifted objective reached', ({ liftedObjective }) => liftedObjective),
    ...(kind === 'one-layer' ? [certified] : []),
    curve('feed-forward, its weights', ({ primalObjective }) => primalObjective),
    curve('least feed-forward found', () => bestPrimal),
  ];
  const largest = Math.max(bestPrimal, ...rows.map(({ liftedObjective }) => liftedObjective));
  const spec = boundFigureSpec(curves, 1.5 * largest, text, measureText);
  return renderFigure(spec, `${text.title}, against lambda`);
}
