import type { Metrics } from '../../runs/metrics.js';
import type { Run } from '../../runs/run-directory.js';
import { escapeHtml } from '../../shared/text.js';
import { groupRuns } from '../curves.js';
import { style } from '../figure-style.js';
import type { Settings } from '../overlay.js';
import type { Drawing } from './page.js';

/** Columns of layers.csv that are drawn, each in a panel of its own. */
const panels = [
  { column: 'penalty', title: 'penalty B(X, U)', log: true },
  { column: 'constraint_violation', title: 'constraint violation', log: true },
  { column: 'residual', title: 'residual', log: true },
  { column: 'active_share', title: 'share of active units', log: false },
  { column: 'weight_change', title: 'change of the weights', log: true },
  { column: 'activation_change', title: 'change of the activations', log: true },
  { column: 'target_change', title: 'change of the targets', log: true },
  { column: 'signal_cosine', title: 'cosine with back-propagation', log: false },
  { column: 'signal_bias', title: 'bias of the signal', log: false },
  { column: 'joint_residual', title: 'residual of the joint X-update', log: true },
] as const;

/** Methods that are drawn, so that a report of many runs stays small. */
const mostMethods = 12;
/** Batches of a curve that are drawn. */
const mostPoints = 400;

/** Input of assets/report/layers.js. */
interface LayersData {
  readonly layers: readonly { name: string; color: string; darkColor: string }[];
  readonly methods: readonly {
    readonly batches: readonly number[];
    /** In the order of the page; a value per layer and batch, null where nothing was measured. */
    readonly panels: readonly {
      readonly log: boolean;
      readonly values: readonly (readonly (number | null)[])[];
    }[];
  }[];
}

export type LayerPanels = Drawing<'layers', LayersData>;

/**
 * The columns of layers.csv over batches: one small panel per column, one curve per layer, of the first seed of
 * each method.
 * @param settings of the directories, for the names of methods
 * @returns undefined without a layers.csv
 */
export function drawLayers(runs: readonly Run[], settings?: Settings): LayerPanels | undefined {
  const measured = groupRuns(runs, settings).flatMap(({ name, runs: seeds }) => {
    const ordered = seeds.toSorted((a, b) => a.seed - b.seed);
    const first = ordered.find(({ layers }) => layers !== undefined && layers.rows > 0);
    return first ? [{ name, seed: first.seed, layers: first.layers as Metrics }] : [];
  });
  if (measured.length === 0) return undefined;
  const shown = measured.slice(0, mostMethods).map(({ name, seed, layers }) => {
    const { batches, tables } = byLayer(layers);
    const drawn = panels.flatMap(({ column, title, log }) => {
      const values = tables.map((table) => table[column]);
      const isMeasured = values.some((curve) => curve.some((value) => value !== null));
      return isMeasured ? [{ title, log, values }] : [];
    });
    return { name, seed, batches, drawn, layers: tables.length };
  });
  const most = Math.max(...shown.map(({ layers }) => layers));
  const data: LayersData = {
    layers: Array.from({ length: most }, (_, l) => {
      const { textColor, darkColor } = style(l);
      return { name: `layer ${l + 1}`, color: textColor, darkColor };
    }),
    methods: shown.map(({ batches, drawn }) => ({
      batches,
      panels: drawn.map(({ log, values }) => ({ log, values })),
    })),
  };
  const sections = shown.map(({ name, seed, drawn }) => {
    const plots = drawn.map(
      ({ title, log }) =>
        `<div class="panel"><h4>${title}${log ? '' : ', linear scale'}</h4><div class="layer-plot" role="img" aria-label="${title} of each layer over batches"></div></div>`,
    );
    return `<section><h3>${escapeHtml(name)}, seed ${seed}</h3>\n<div class="layer-panels">${plots.join('')}</div></section>`;
  });
  const left = measured.length - shown.length;
  const remark = left > 0 ? ` ${left} more methods are not drawn.` : '';
  const before = `<div class="layers">
<h2>Layers</h2>
<p class="note">From layers.csv, whose columns docs/layers.md defines: each curve is a layer, the horizontal axis the batch, the vertical one logarithmic unless it says otherwise. The last layer is the output.${remark}</p>
${sections.join('\n')}
<script type="application/json" class="layers-data">`;
  return { kind: 'layers', frame: [before, '</script>\n</div>'], data };
}

type Table = Readonly<Record<string, (number | null)[]>>;

/** The rows of each layer, with evenly spaced batches, the last included. */
function byLayer({ rows, columns }: Metrics): { batches: number[]; tables: Table[] } {
  const layers = columns.layer.reduce((most, layer) => Math.max(most, layer), 0);
  const all = [...new Set(columns.batch)];
  const every = Math.ceil(all.length / mostPoints);
  const batches = all.filter((_, i) => i === all.length - 1 || i % every === 0);
  const position = new Map(batches.map((batch, i) => [batch, i]));
  const tables = Array.from({ length: layers }, () =>
    Object.fromEntries(
      panels.map(({ column }) => [column, Array<number | null>(batches.length).fill(null)]),
    ),
  );
  for (let row = 0; row < rows; row++) {
    const at = position.get(columns.batch[row]);
    if (at === undefined) continue;
    for (const { column, log } of panels) {
      const value = columns[column]?.[row] ?? Number.NaN;
      if (Number.isFinite(value) && (!log || value > 0)) {
        tables[columns.layer[row] - 1][column][at] = value;
      }
    }
  }
  return { batches, tables };
}
