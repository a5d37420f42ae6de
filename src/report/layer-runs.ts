import type { Run } from '../runs/run-directory.js';

/** The columns of layers.csv in which some run has a value, except those that number its rows. */
export function layerColumnsOf(runs: readonly Run[]): string[] {
  const names = new Set(runs.flatMap(({ layers }) => Object.keys(layers?.columns ?? {})));
  for (const name of ['seed', 'batch', 'epoch', 'layer']) names.delete(name);
  return [...names].filter((name) =>
    runs.some(({ layers }) => layers?.columns[name]?.some(Number.isFinite)),
  );
}

/** The numbers of the layers that runs have in layers.csv, ascending. */
export const layersOf = (runs: readonly Run[]): number[] =>
  [...new Set(runs.flatMap(({ layers }) => [...(layers?.columns.layer ?? [])]))].sort(
    (a, b) => a - b,
  );

/**
 * Runs as if each layer were a method, `fenchel, layer 1`: the rows of layers.csv, with the training time of
 * their batches from metrics.csv. Runs without a layers.csv have none.
 */
export function runsByLayer(runs: readonly Run[], wanted: readonly number[]): Run[] {
  return wanted.flatMap((layer) =>
    runs.flatMap((run) => {
      const { layers, metrics, label } = run;
      if (layers === undefined) return [];
      const rows = [...layers.columns.layer.keys()].filter(
        (row) => layers.columns.layer[row] === layer,
      );
      const seconds = new Map([...metrics.columns.batch].map((batch, row) => [batch, row]));
      const pick = (values: Float64Array) => Float64Array.from(rows, (row) => values[row]);
      const columns: Record<string, Float64Array> = Object.fromEntries(
        Object.entries(layers.columns).map(([name, values]) => [name, pick(values)]),
      );
      columns.wall_s = columns.batch.map(
        (batch) => metrics.columns.wall_s[seconds.get(batch) ?? -1] ?? Number.NaN,
      );
      const table = { ...layers, rows: rows.length, columns };
      return [{ ...run, label: `${label}, layer ${layer}`, metrics: table, layers: undefined }];
    }),
  );
}
