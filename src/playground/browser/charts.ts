import uPlot from 'uplot';
import type { BatchRow, PageData } from '../protocol.js';
import { byId, dark, make, number, variable } from './dom.js';

/** Evaluated points of a curve that are kept: of a longer one, every second. */
export const mostPoints = 1500;

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
/** The look of an axis, and of its labels: small numbers as 1e-5. */
export const axis = (): Partial<uPlot.Axis> => ({
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
            ...(!isAccuracy && { grid: { ...axis().grid, filter: powersOfTen } }),
            ...(isAccuracy && {
              splits: (_: uPlot, __: number, low: number, high: number) =>
                spaced(
                  accuracyTicks.filter((at) => at >= low && at <= high),
                  (high - low) / 7,
                ),
            }),
            values: (_, ticks) =>
              ticks.map((tick) =>
                tick === null ? '' : isAccuracy ? accuracyText(tick) : tickText(tick),
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

export const tickText = (tick: number | null): string =>
  tick === null ? '' : Math.abs(tick) >= 1e-3 || tick === 0 ? number(tick) : tick.toExponential(0);

/** Of a logarithmic scale, lines at powers of ten alone. */
export const powersOfTen: uPlot.Axis.Filter = (_, splits) =>
  splits.map((at) => (Math.log10(at) % 1 === 0 ? at : null));

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

export function observe(
  element: HTMLElement,
  plot: uPlot,
  size: () => { width: number; height: number },
) {
  const observer = new ResizeObserver(() => plot.setSize(size()));
  observer.observe(element);
  plot.hooks.destroy = [() => observer.disconnect()];
}
