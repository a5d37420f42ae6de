import { grouped, plural } from '../../shared/text.js';
import { type Curve, type CurvePoint, isAccuracy, type Measure, thinned } from '../curves.js';
import { axisTitleOf, labelledCurves, panelsOf, valueAxis } from '../figure-spec.js';
import { style } from '../figure-style.js';
import type { PanelSettings } from '../panel-spec.js';
import type { Drawing } from './page.js';

/** Input of assets/report/charts.js. */
interface ChartData {
  readonly curves: readonly {
    readonly name: string;
    readonly seeds: number;
    readonly points: readonly Omit<CurvePoint, 'epoch'>[];
    readonly color: string;
    readonly darkColor: string;
    readonly dash: readonly number[];
  }[];
  /** What the vertical axis counts at the bottom and at the top: errors 1 - accuracy, or values of another kind. */
  readonly range: readonly [number, number];
  readonly isAccuracy: boolean;
  /** Error at which a perfect score is drawn; 0 where there is none. */
  readonly floor: number;
  readonly panels: readonly {
    readonly axisTitle: string;
    readonly x: 'batch' | 'seconds';
    readonly log: boolean;
    readonly domain: readonly [number, number];
  }[];
}

export type Charts = Drawing<'charts', ChartData>;

/** The interactive figure: accuracy, or another quantity, against batches and against training time, as in the static one. */
export function drawCharts(all: readonly Curve[], measure: Measure): Charts {
  const curves = all.map(thinned);
  const { labelled, remark } = labelledCurves(curves, measure);
  const left = remark
    ? ` Of ${grouped(curves.length)} curves, these are the ${labelled.length} with the ${isAccuracy(measure) ? 'highest final accuracy' : 'lowest final values'}.`
    : '';
  const y = valueAxis(curves, measure, 400);
  const [batches, time] = panelsOf(curves, measure, y);
  const data: ChartData = {
    curves: labelled.map((curve, i) => ({
      name: nameOf(curve),
      seeds: curve.seeds,
      points: curve.points.map(({ epoch: _, ...point }) => point),
      color: style(i).textColor,
      darkColor: style(i).darkColor,
      dash: style(i).dash,
    })),
    range: y.domain,
    isAccuracy: isAccuracy(measure),
    floor: isAccuracy(measure) ? y.coordinate(1) : 0,
    // In the singular, since it also names the value under the cursor.
    panels: [panelData(batches, 'batch', 'batch'), panelData(time, 'seconds', time.axisTitle)],
  };
  const idle = 'Point at a curve to read it; drag to zoom; click a name to hide its curve.';
  const panels = [batches, time].map(
    ({ title }) =>
      `<div class="panel"><h3>${title}</h3><div class="plot" tabindex="0" role="img" aria-label="${measure.title}, ${title.toLowerCase()}; arrow keys read it off"></div></div>`,
  );
  const before = `<div class="charts">
<ul class="legend"></ul>
<p class="readout" data-idle="${idle}">${idle}</p>
<div class="panels">${panels.join('')}</div>
<p class="note">Vertical axis: ${axisTitleOf(measure, y)}.${left} <button type="button" class="reset" hidden>Reset zoom</button></p>
<script type="application/json" class="chart-data">`;
  return { kind: 'charts', frame: [before, '</script>\n</div>'], data };
}

const panelData = ({ axis }: PanelSettings, x: 'batch' | 'seconds', axisTitle: string) => ({
  axisTitle,
  x,
  log: axis.type === 'log',
  domain: axis.domain,
});

function nameOf({ name, seeds, partial, unfinished }: Curve): string {
  const cut = partial.length > 0 ? ` (${seeds} of ${plural(seeds + partial.length, 'seed')})` : '';
  return `${name}${cut}${unfinished ? ' (unfinished)' : ''}`;
}
