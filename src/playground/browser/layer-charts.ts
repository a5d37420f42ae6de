import type uPlot from 'uplot';
import type { LayerMetrics } from '../../core/methods/method.js';
import { byId, make } from './dom.js';
import { drawPlot, mostPoints, swatch } from './plot.js';

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

  constructor(readonly dashes: readonly (readonly number[])[]) {}

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
    const names = Array.from({ length: count }, (_, l) => `hidden layer ${l + 1}`);
    this.#plots = layerPanels.map(({ title, log }) => {
      const element = make('div', {
        className: 'curve small',
        role: 'img',
        ariaLabel: `${title}, of each hidden layer over batches`,
      });
      container.append(make('div', { className: 'panel' }, make('h3', {}, title), element));
      return drawPlot(element, {
        height: 150,
        lineWidth: 1.75,
        sync: 'layers',
        dashes: this.dashes,
        curves: names.map((label) => ({ label, isShown: true })),
        yScale: log ? { distr: 3 } : { range: [0, 1] },
        yAxis: { size: 54 },
      });
    });
    if (count === 1) return;
    const legend = names.map((name, l) => make('li', {}, swatch(l, this.dashes), name));
    container.append(make('ul', { className: 'legend wide' }, ...legend));
  }
}
