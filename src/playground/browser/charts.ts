import uPlot from 'uplot';
import type { LayerMetrics } from '../../core/methods/method.js';
import type { BatchRow, PageData } from '../protocol.js';
import { byId, dark, make, number, variable } from './dom.js';

/** Evaluated points of a curve that are kept: of a longer one, every second. */
const mostPoints = 1500;

/** The rows of a method, thinned. */
class Curve {
  readonly rows: BatchRow[] = [];
  #every = 1;
  #seen = 0;

  add(row: BatchRow): void {
    if (this.#seen++ % this.#every === 0) this.rows.push(row);
    if (this.rows.length < mostPoints) return;
    this.rows.splice(0, this.rows.length, ...this.rows.filter((_, i) => i % 2 === 0));
    this.#every *= 2;
  }
}

/** Accuracies are drawn on the logarithmic scale of the error, as in report.html. */
const smallestError = 5e-4;
const place = (accuracy: number) => -Math.log10(Math.max(smallestError, 1 - accuracy));
const accuracyTicks = [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999].map(place);
const accuracyText = (at: number) => `${number(100 * (1 - 10 ** -at), 4)}%`;

const font = '12px system-ui, sans-serif';
const axis = (): Partial<uPlot.Axis> => ({
  stroke: () => variable('--quiet'),
  font,
  grid: { stroke: () => variable('--line'), width: 1 },
  ticks: { stroke: () => variable('--line'), width: 1 },
});

const panels = [
  { id: 'accuracy-batch', x: 'batch', y: 'testAccuracy' },
  { id: 'accuracy-seconds', x: 'seconds', y: 'testAccuracy' },
  { id: 'loss-batch', x: 'batch', y: 'testLoss' },
  { id: 'loss-seconds', x: 'seconds', y: 'testLoss' },
] as const;

/** The curves of all methods, and their legend. */
export class TrainingCharts {
  #plots: uPlot[] = [];
  #curves = new Map<string, Curve>();
  #outputs = new Map<string, HTMLOutputElement>();
  #hidden = new Set<string>();
  #isDue = false;

  constructor(readonly styles: PageData['curves']) {
    dark.addEventListener('change', () => {
      for (const plot of this.#plots) plot.redraw(false, true);
      this.#paintLegend();
    });
  }

  color(i: number): string {
    const { color, darkColor } = this.styles[i % this.styles.length];
    return dark.matches ? darkColor : color;
  }

  /** Starts again with these methods. */
  reset(labels: readonly string[]): void {
    for (const plot of this.#plots) plot.destroy();
    this.#curves = new Map(labels.map((label) => [label, new Curve()]));
    this.#legend(labels);
    this.#plots = panels.map((panel) => this.#draw(panel, labels));
    this.#show();
  }

  add(rows: readonly BatchRow[]): void {
    for (const row of rows) {
      if (row.testAccuracy === undefined) continue;
      this.#curves.get(row.label)?.add(row);
      const output = this.#outputs.get(row.label);
      if (output) output.value = `${number(100 * row.testAccuracy, 4)} %`;
    }
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#show();
    });
  }

  #show(): void {
    for (const [p, { id, x, y }] of panels.entries()) {
      const tables = [...this.#curves.values()].map(({ rows }): uPlot.AlignedData => {
        const values = rows.map((row) => row[y] ?? Number.NaN);
        return [rows.map((row) => row[x]), y === 'testAccuracy' ? values.map(place) : values];
      });
      const isEmpty = tables.every(([xs]) => xs.length === 0);
      this.#plots[p]?.setData(isEmpty ? [[], ...tables.map(() => [])] : uPlot.join(tables));
      const said = [...this.#curves].map(([label, { rows }]) => {
        const last = rows.at(-1)?.[y];
        const text =
          last === undefined ? 'nothing yet' : number(y === 'testAccuracy' ? 100 * last : last);
        return `${label}: ${text}${y === 'testAccuracy' && last !== undefined ? ' %' : ''}`;
      });
      byId(id).ariaLabel = `${id.replace('-', ' against ')}. ${said.join(', ')}`;
    }
  }

  #draw({ id, x, y }: (typeof panels)[number], labels: readonly string[]): uPlot {
    const element = byId(id);
    const isAccuracy = y === 'testAccuracy';
    const size = () => ({ width: Math.max(200, element.clientWidth), height: 210 });
    const plot: uPlot = new uPlot(
      {
        ...size(),
        legend: { show: false },
        padding: [8, 14, 0, 0],
        cursor: { y: false, sync: { key: x }, drag: { x: false, y: false } },
        scales: { x: { time: false }, y: isAccuracy ? {} : { distr: 3 } },
        series: [
          {},
          ...labels.map((label, i) => ({
            label,
            stroke: () => this.color(i),
            width: 2,
            dash: [...this.styles[i % this.styles.length].dash],
            spanGaps: true,
            show: !this.#hidden.has(label),
            points: { show: false },
          })),
        ],
        axes: [
          {
            ...axis(),
            grid: { show: false },
            size: 30,
            values: (_, ticks) => ticks.map((tick) => (tick === null ? '' : number(tick))),
          },
          {
            ...axis(),
            size: 58,
            ...(isAccuracy && {
              splits: (_: uPlot, __: number, low: number, high: number) =>
                spaced(
                  accuracyTicks.filter((at) => at >= low && at <= high),
                  (high - low) / 7,
                ),
            }),
            values: (_, ticks) =>
              ticks.map((tick) =>
                tick === null ? '' : isAccuracy ? accuracyText(tick) : number(tick),
              ),
          },
        ],
      },
      [[], ...labels.map(() => [])],
      element,
    );
    observe(element, plot, size);
    return plot;
  }

  #legend(labels: readonly string[]): void {
    const items = labels.map((label, i) => {
      const output = make('output');
      this.#outputs.set(label, output);
      const button = make(
        'button',
        {
          type: 'button',
          ariaPressed: String(!this.#hidden.has(label)),
          title: 'show or hide the curve',
        },
        swatch(this.styles[i % this.styles.length].dash),
        label,
        output,
      );
      button.addEventListener('click', () => {
        const show = this.#hidden.delete(label);
        if (!show) this.#hidden.add(label);
        button.ariaPressed = String(show);
        for (const plot of this.#plots) plot.setSeries(i + 1, { show });
      });
      return make('li', {}, button);
    });
    byId('legend').replaceChildren(...items);
    this.#paintLegend();
  }

  #paintLegend(): void {
    for (const [i, line] of document.querySelectorAll('#legend line').entries()) {
      line.setAttribute('stroke', this.color(i));
    }
  }
}

/** Ticks that are far enough apart for their labels. */
function spaced(ticks: readonly number[], gap: number): number[] {
  const kept: number[] = [];
  for (const tick of ticks)
    if (kept.length === 0 || tick - kept[kept.length - 1] >= gap) kept.push(tick);
  return kept;
}

export function swatch(dash: readonly number[]): SVGElement {
  const name = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(name, 'svg');
  const line = document.createElementNS(name, 'line');
  const set = (element: Element, values: object) => {
    for (const [key, value] of Object.entries(values)) element.setAttribute(key, String(value));
  };
  set(svg, { width: 26, height: 10, 'aria-hidden': 'true' });
  set(line, {
    x1: 0,
    y1: 5,
    x2: 26,
    y2: 5,
    'stroke-width': 2.5,
    'stroke-dasharray': dash.join(' '),
  });
  svg.append(line);
  return svg;
}

function observe(element: HTMLElement, plot: uPlot, size: () => { width: number; height: number }) {
  const observer = new ResizeObserver(() => plot.setSize(size()));
  observer.observe(element);
  plot.hooks.destroy = [() => observer.disconnect()];
}

const layerPanels = [
  { title: 'penalty B(X, U)', log: true, value: ({ penalty }: LayerMetrics) => penalty },
  {
    title: 'move of the target, relative',
    log: true,
    value: ({ targetChange }: LayerMetrics) => targetChange,
  },
  { title: 'distance to the target, after / before', log: true, value: distanceLeft },
  {
    title: 'share of active units',
    log: false,
    value: ({ activeShare }: LayerMetrics) => activeShare,
  },
] as const;

/**
 * How far what the weights give is from the target X after the step, relative to before it: 1 minus the share of the
 * target's move that the weights follow, ||X - phi(U)|| / ||X - phi(U-)||; more than 1 where they overshoot.
 */
function distanceLeft({ constraintViolation, targetChange }: LayerMetrics): number | undefined {
  return constraintViolation !== undefined && targetChange
    ? constraintViolation / targetChange
    : undefined;
}

/** What the layers of each method measured, drawn for one of them. */
export class LayerCharts {
  #plots: uPlot[] = [];
  #measured = new Map<string, { batches: number[]; layers: (readonly LayerMetrics[])[] }>();
  #shown = '';
  #drawn = '';

  constructor(readonly charts: TrainingCharts) {
    dark.addEventListener('change', () => {
      for (const plot of this.#plots) plot.redraw(false, true);
    });
  }

  reset(): void {
    this.#measured.clear();
    this.show(this.#shown);
  }

  add(label: string, batch: number, layers: readonly LayerMetrics[]): void {
    const of = this.#measured.get(label) ?? { batches: [], layers: [] };
    this.#measured.set(label, of);
    of.batches.push(batch);
    of.layers.push(layers);
    if (of.batches.length > mostPoints) {
      of.batches = of.batches.filter((_, i) => i % 2 === 0);
      of.layers = of.layers.filter((_, i) => i % 2 === 0);
    }
    if (label === this.#shown) this.show(label);
  }

  show(label: string): void {
    this.#shown = label;
    const { batches, layers } = this.#measured.get(label) ?? { batches: [], layers: [] };
    const count = Math.max(0, ...layers.map(({ length }) => length - 1));
    const key = `${label}/${count}`;
    if (key !== this.#drawn) this.#build(count);
    this.#drawn = key;
    for (const [p, { value, log }] of layerPanels.entries()) {
      const curves = Array.from({ length: count }, (_, l) =>
        layers.map((measured) => {
          const y = value(measured[l]);
          return y === undefined || (log && !(y > 0)) ? null : y;
        }),
      );
      this.#plots[p]?.setData([batches, ...curves]);
    }
    byId('layers-note').textContent =
      count > 0
        ? 'On the batches after which the test set is evaluated, one curve for each hidden layer (docs/layers.md defines the quantities). The distance to the target is 1 minus the share of its move that the weights follow; above 1 they overshoot, as steps of the default solver’s fixed length do.'
        : 'Penalty and targets are those of lifted methods: choose one, and train.';
  }

  #build(count: number): void {
    for (const plot of this.#plots) plot.destroy();
    const container = byId('layer-curves');
    container.replaceChildren();
    this.#plots = [];
    if (count === 0) return;
    for (const { title, log } of layerPanels) {
      const element = make('div', {
        className: 'curve small',
        ariaLabel: `${title}, of each hidden layer over batches`,
      });
      element.setAttribute('role', 'img');
      container.append(make('div', { className: 'panel' }, make('h4', {}, title), element));
      const size = () => ({ width: Math.max(160, element.clientWidth), height: 150 });
      const plot = new uPlot(
        {
          ...size(),
          legend: { show: false },
          padding: [8, 10, 0, 0],
          cursor: { y: false, sync: { key: 'layers' }, drag: { x: false, y: false } },
          scales: { x: { time: false }, y: log ? { distr: 3 } : { range: [0, 1] } },
          series: [
            {},
            ...Array.from({ length: count }, (_, l) => ({
              stroke: () => this.charts.color(l),
              dash: [...this.charts.styles[l % 7].dash],
              width: 1.75,
              spanGaps: true,
              points: { show: false },
            })),
          ],
          axes: [
            {
              ...axis(),
              grid: { show: false },
              size: 26,
              values: (_, ticks) => ticks.map((tick) => (tick === null ? '' : number(tick))),
            },
            {
              ...axis(),
              size: 54,
              values: (_, ticks) => ticks.map((tick) => (tick === null ? '' : number(tick))),
            },
          ],
        },
        [[], ...Array.from({ length: count }, () => [])],
        element,
      );
      observe(element, plot, size);
      this.#plots.push(plot);
    }
    const names = Array.from({ length: count }, (_, l) => {
      const line = swatch(this.charts.styles[l % 7].dash);
      line.firstElementChild?.setAttribute('stroke', this.charts.color(l));
      return make('li', {}, line, `hidden layer ${l + 1}`);
    });
    if (count > 1) container.append(make('ul', { className: 'legend wide' }, ...names));
  }
}
