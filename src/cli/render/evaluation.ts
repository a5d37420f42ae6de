import { stringify } from 'csv-stringify/sync';
import type { ModelEvaluation } from '../../model/evaluate.js';
import { alignTable, missing, withFlips } from '../../report/table.js';
import { formatNumber } from '../../runs/metrics-writer.js';
import { grouped, inPercent, printable, runName } from '../../shared/text.js';

/** A table of all runs; for one, also its confusion matrix. */
export function evaluationText(found: readonly ModelEvaluation[]): string {
  const [first] = found;
  const hasAccuracy = found.some(({ accuracy }) => accuracy !== undefined);
  const hasFlips = found.some(({ accuracyFlips }) => accuracyFlips !== undefined);
  const share = (value?: number) => (value === undefined ? missing : inPercent(value));
  const place = first.split ? `, ${first.split} split` : '';
  const table = {
    head: [
      'run',
      ...(hasAccuracy ? ['accuracy', 'reported'] : []),
      ...(hasFlips ? [withFlips, 'reported'] : []),
      'loss',
      'reported',
      '',
    ],
    rows: found.map((one) => [
      printable(runName(one)),
      ...(hasAccuracy ? [share(one.accuracy), share(one.reported?.accuracy)] : []),
      ...(hasFlips ? [share(one.accuracyFlips), share(one.reported?.accuracyFlips)] : []),
      formatNumber(one.loss),
      one.reported ? formatNumber(one.reported.loss) : missing,
      one.agrees === undefined ? 'no reported result' : one.agrees ? 'agrees' : 'differs',
    ]),
  };
  const other = found.find(({ otherBackend }) => otherBackend)?.otherBackend;
  const lines = [
    `${printable(first.data)}${place}, ${grouped(first.images)} rows, computed on ${first.backend}`,
    ...(other ? [`The last digits may differ from the reported ones: ${other}.`] : []),
    ...(first.changed
      ? [
          `The data is not that of the training, so there is nothing to compare with: the SHA-256 of ${first.changed.join(', ')} differs.`,
        ]
      : []),
    '',
    ...alignTable(table),
    ...(found.length === 1 && first.confusion
      ? ['', ...confusionLines(first.confusion, first)]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}

/** With more classes, a matrix does not fit into a line of a terminal. */
const mostColumns = 20;

/** Rows: true classes; columns: predicted classes, by number, or the most frequent wrong ones of many classes. */
function confusionLines(
  confusion: NonNullable<ModelEvaluation['confusion']>,
  { classes }: ModelEvaluation,
): string[] {
  if (classes.length > mostColumns) return mistakeLines(confusion, classes);
  const table = {
    head: ['true class', ...classes.map((_, k) => String(k)), 'rows', 'correct'],
    rows: confusion.map((row, k) => {
      const rows = sum(row);
      const name = classes[k] === String(k) ? String(k) : `${k} ${printable(classes[k])}`;
      const correct = rows === 0 ? missing : inPercent(row[k] / rows);
      return [name, ...row.map((n) => (n === 0 ? '.' : String(n))), String(rows), correct];
    }),
  };
  return ['Confusion matrix: predicted class by column', ...alignTable(table)];
}

/** Of each true class, the three classes that its rows were most often taken for. */
function mistakeLines(
  confusion: NonNullable<ModelEvaluation['confusion']>,
  classes: readonly string[],
): string[] {
  const name = (k: number) => (classes[k] === String(k) ? String(k) : printable(classes[k]));
  const table = {
    head: ['true class', 'most often taken for', 'rows', 'correct'],
    rows: confusion.map((row, k) => {
      const rows = sum(row);
      const wrong = [...row.keys()]
        .filter((other) => other !== k && row[other] > 0)
        .toSorted((a, b) => row[b] - row[a])
        .slice(0, 3);
      const taken = wrong.map((other) => `${name(other)} ${row[other]}`).join(', ');
      const correct = rows === 0 ? missing : inPercent(row[k] / rows);
      return [name(k), taken || missing, String(rows), correct];
    }),
  };
  const head = `${classes.length} classes; --csv and --json have the whole confusion matrix`;
  return [head, ...alignTable(table, 2)];
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** A row per run and true class; of a regression, a row per run. */
export function evaluationCsv(found: readonly ModelEvaluation[]): string {
  const isRegression = found.every(({ confusion }) => confusion === undefined);
  const hasFlips = found.some(({ accuracyFlips }) => accuracyFlips !== undefined);
  const rows = found.flatMap((one) => {
    const facts = {
      method: one.label,
      seed: one.seed,
      data: one.data,
      split: one.split,
      loss: formatNumber(one.loss),
      ...(!isRegression && {
        accuracy: one.accuracy === undefined ? undefined : formatNumber(one.accuracy),
      }),
      ...(hasFlips && {
        accuracy_flips:
          one.accuracyFlips === undefined ? undefined : formatNumber(one.accuracyFlips),
      }),
      reported_loss: one.reported?.loss,
      ...(!isRegression && { reported_accuracy: one.reported?.accuracy }),
      ...(hasFlips && { reported_accuracy_flips: one.reported?.accuracyFlips }),
      agrees: one.agrees === undefined ? undefined : String(one.agrees),
    };
    if (!one.confusion) return [{ ...facts, rows: one.images }];
    return one.confusion.map((row, k) => {
      const count = sum(row);
      return {
        ...facts,
        class: k,
        class_name: one.classes[k],
        rows: count,
        class_accuracy: count === 0 ? undefined : formatNumber(row[k] / count),
        ...Object.fromEntries(row.map((n, predicted) => [`predicted_${predicted}`, n])),
      };
    });
  });
  return stringify(rows, { header: true });
}
