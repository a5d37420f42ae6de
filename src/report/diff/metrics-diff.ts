import { clockColumns, type Metrics } from '../../runs/metrics.js';

export type MetricsDifference =
  /** Every value of every column that both have, and as many batches. */
  | { readonly same: true; readonly batches: number }
  | {
      readonly same: false;
      /** The first batch at which a value differs, and which values do there. */
      readonly batch: number;
      readonly columns: readonly {
        readonly name: string;
        readonly a: number;
        readonly b: number;
      }[];
    }
  /** The same as far as the shorter goes. */
  | { readonly same: 'prefix'; readonly batches: { readonly a: number; readonly b: number } };

/** Compares two metrics.csv batch by batch, apart from the time columns. */
export function diffMetrics(a: Metrics, b: Metrics): MetricsDifference {
  const names = Object.keys(a.columns).filter(
    (name) => name in b.columns && !clockColumns.includes(name),
  );
  const rows = Math.min(a.rows, b.rows);
  for (let row = 0; row < rows; row++) {
    const columns = names.flatMap((name) => {
      const [x, y] = [a.columns[name][row], b.columns[name][row]];
      return Object.is(x, y) || x === y ? [] : [{ name, a: x, b: y }];
    });
    if (columns.length > 0) return { same: false, batch: a.columns.batch[row], columns };
  }
  if (a.rows === b.rows) return { same: true, batches: rows };
  return { same: 'prefix', batches: { a: a.rows, b: b.rows } };
}
