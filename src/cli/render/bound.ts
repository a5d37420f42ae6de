import { type CertificateReport, certificateStatements } from '../../bound/network-certificate.js';
import { type BoundReport, type BoundRow, statements } from '../../bound/problem.js';
import { alignTable } from '../../report/table.js';

/** The table of `fln bound`, and what it proves. */
export function boundText(report: BoundReport, description: string): string {
  const isOneLayer = report.kind === 'one-layer';
  const head = [
    'lambda',
    'lifted objective reached',
    ...(isOneLayer ? ['certified lower bound', 'gap'] : []),
    'feed-forward, its weights',
    isOneLayer ? 'steps' : 'sweeps',
  ];
  const rows = report.rows.map((row) => [
    String(row.lambda),
    row.liftedObjective.toPrecision(6),
    ...(isOneLayer ? [row.dualValue!.toPrecision(6), gapText(row)] : []),
    row.primalObjective.toPrecision(6),
    String(row.iterations),
  ]);
  return [
    description,
    ...alignTable({ head, rows }),
    `Least feed-forward objective found: ${report.bestPrimal.toPrecision(6)}`,
    ...statements(report),
    '',
  ].join('\n');
}

/** The certificate of `fln bound --certify`. */
export function certificateText(report: CertificateReport, description: string): string {
  const { reached, certified, share, constant, loss, trainAccuracy, steps, width } = report;
  const head = ['objective', 'value', 'share'];
  const row = (name: string, value: number) => [
    name,
    value.toPrecision(6),
    `${((100 * value) / reached).toFixed(1)} %`,
  ];
  const rows = [
    row('certified lower bound', certified),
    [`reached, ${width} units`, reached.toPrecision(6), ''],
    row('constant output', constant),
  ];
  return [
    description,
    ...alignTable({ head, rows }),
    `Share certified: ${(100 * share).toFixed(2)} %, after ${steps} steps. Network reached: loss ${loss.toPrecision(4)}, ` +
      `training accuracy ${(100 * trainAccuracy).toFixed(1)} %`,
    ...certificateStatements(report),
    '',
  ].join('\n');
}

/** Below the rounding of the objective a gap has no digits of its own. */
function gapText({ gap = 0, liftedObjective }: BoundRow): string {
  return Math.abs(gap) <= 1e-13 * liftedObjective ? '< rounding' : gap.toExponential(1);
}

/** A line of progress. */
export function boundProgress({ lambda, liftedObjective }: BoundRow): string {
  return `lambda ${lambda}: lifted objective ${liftedObjective.toPrecision(6)}`;
}
