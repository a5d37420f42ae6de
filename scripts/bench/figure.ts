import type { TopLevelSpec } from 'vega-lite';
import { type Figure, renderFigure } from '../../src/report/figure.js';
import { figureConfig, headingLayers } from '../../src/report/figure-spec.js';
import { labelFontSize, measureText, style } from '../../src/report/figure-style.js';
import { significant } from '../../src/shared/text.js';
import type { StepCost } from './step-table.js';

const barHeight = 26;
const panelWidth = 560;
const [top, bottom] = [104, 56];

/** Milliseconds a step of every method, network and backend: bars on a log scale. */
export function drawStepCosts(costs: readonly StepCost[], machine: string): Promise<Figure> {
  const values = costs.map((cost) => ({
    // PyTorch runs with each backend's number of threads.
    name: `${cost.network}, ${cost.backend}${cost.backend === 'PyTorch' ? ` x ${cost.threads}` : ''}: ${cost.method}`,
    method: cost.method.split(',')[0],
    ms: cost.quartile,
    label: `${significant(cost.quartile)} ms`,
  }));
  const left =
    Math.ceil(Math.max(...values.map(({ name }) => measureText(name, labelFontSize)))) + 24;
  const right = 96;
  const height = barHeight * values.length;
  const methods = [...new Set(values.map(({ method }) => method))];
  const y = {
    field: 'name',
    type: 'nominal',
    sort: null,
    axis: {
      title: null,
      labelFontSize,
      labelLimit: 0,
      domain: false,
      ticks: false,
      minExtent: 0,
      maxExtent: left,
    },
  };
  const least = 10 ** Math.floor(Math.log10(Math.min(...values.map(({ ms }) => ms))));
  const most = Math.max(...values.map(({ ms }) => ms));
  const x = {
    field: 'ms',
    type: 'quantitative',
    scale: { type: 'log', domain: [least, most], nice: false },
    axis: { title: 'milliseconds a step, log scale', format: '~g', domain: false },
  };
  const color = {
    field: 'method',
    type: 'nominal',
    legend: null,
    scale: { domain: methods, range: methods.map((_, i) => style(i).color) },
  };
  const heading = headingLayers({ title: 'What a step costs', subtitle: machine });
  const spec = {
    background: '#ffffff',
    width: panelWidth,
    height,
    layer: [
      {
        data: { values },
        mark: { type: 'bar', height: 16 },
        encoding: {
          x: { ...x, scale: { ...x.scale, domainMin: least } },
          x2: { datum: least },
          y,
          color,
        },
      },
      {
        data: { values },
        mark: { type: 'text', align: 'left', dx: 6, fontSize: labelFontSize },
        encoding: { x, y, text: { field: 'label', type: 'nominal' } },
      },
      ...heading,
    ],
    config: figureConfig,
  };
  const figure = {
    spec: spec as unknown as TopLevelSpec,
    width: left + panelWidth + right,
    height: top + height + bottom,
    padding: { left, right, top, bottom },
  };
  return renderFigure(figure, 'Milliseconds a step of each method, network and backend');
}
