import uPlot from 'uplot';
import type { BatchRow } from '../protocol.js';
import { byId, make, number } from './dom.js';
import { drawPlot, mostPoints, swatch, texts } from './plot.js';

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
  #accuracies = new Map<string, HTMLElement>();
  #hidden = new Set<string>();
  #isDue = false;

  constructor(readonly dashes: readonly (readonly number[])[]) {}

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
      const accuracy = this.#accuracies.get(row.label);
      if (accuracy) accuracy.textContent = `${number(100 * row.testAccuracy, 4)} %`;
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
    const isAccuracy = y === 'testAccuracy';
    return drawPlot(byId(id), {
      height: 210,
      lineWidth: 2,
      sync: x,
      dashes: this.dashes,
      curves: labels.map((label) => ({ label, isShown: !this.#hidden.has(label) })),
      yScale: isAccuracy ? {} : { distr: 3 },
      yAxis: {
        size: 58,
        ...(isAccuracy && { splits: accuracySplits, values: texts(accuracyText) }),
      },
    });
  }

  #legend(labels: readonly string[]): void {
    const items = labels.map((label, i) => {
      const accuracy = make('span', { className: 'value' });
      this.#accuracies.set(label, accuracy);
      const button = make(
        'button',
        {
          type: 'button',
          ariaPressed: String(!this.#hidden.has(label)),
          title: 'show or hide the curve',
        },
        swatch(i, this.dashes),
        label,
        accuracy,
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
  }
}

/** Ticks inside the range that are far enough apart for their labels. */
const accuracySplits = (_: uPlot, __: number, low: number, high: number): number[] => {
  const kept: number[] = [];
  for (const tick of accuracyTicks.filter((at) => at >= low && at <= high)) {
    if (kept.length === 0 || tick - kept[kept.length - 1] >= (high - low) / 7) kept.push(tick);
  }
  return kept;
};
