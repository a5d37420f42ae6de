import uPlot from 'uplot';
import { dark, number, variable } from './dom.js';

/** Points of a curve that are kept: of a longer one, every second. */
export const mostPoints = 1500;

/** Colours of curves, in style sheets and as the page has them now; write-page.ts defines those of report.html. */
export const curveStyle = (i: number, count: number): string => `var(--curve-${i % count})`;
export const curveColor = (i: number, count: number): string => variable(`--curve-${i % count}`);

/** Curves over a common x. */
export interface LinePlot {
  readonly height: number;
  readonly lineWidth: number;
  /** Plots with the same key show their cursors together. */
  readonly sync: string;
  readonly dashes: readonly (readonly number[])[];
  readonly curves: readonly { readonly label: string; readonly isShown: boolean }[];
  readonly yScale: uPlot.Scale;
  readonly yAxis: uPlot.Axis;
}

/** An empty plot as wide as its element, which follows the colour scheme until it is destroyed. */
export function drawPlot(element: HTMLElement, options: LinePlot): uPlot {
  const { height, lineWidth, sync, dashes, curves, yScale, yAxis } = options;
  const size = () => ({ width: Math.max(160, element.clientWidth), height });
  const isLog = yScale.distr === 3;
  const look = { stroke: () => variable('--quiet'), font: '12px system-ui, sans-serif' };
  const line = { stroke: () => variable('--line'), width: 1 };
  const plot: uPlot = new uPlot(
    {
      ...size(),
      legend: { show: false },
      padding: [8, 14, 0, 0],
      cursor: { y: false, sync: { key: sync }, drag: { x: false, y: false } },
      scales: { x: { time: false }, y: yScale },
      series: [
        {},
        ...curves.map(({ label, isShown }, i) => ({
          label,
          stroke: () => curveColor(i, dashes.length),
          width: lineWidth,
          dash: [...dashes[i % dashes.length]],
          spanGaps: true,
          show: isShown,
          // Two points make a line.
          points: { show: ({ data: [xs] }: uPlot) => xs.length < 2, size: 8 },
        })),
      ],
      axes: [
        { ...look, ticks: line, grid: { show: false }, size: 30, values: texts(number) },
        {
          ...look,
          ticks: line,
          grid: { ...line, ...(isLog && { filter: powersOfTen }) },
          values: texts(tickText),
          ...yAxis,
        },
      ],
    },
    [[], ...curves.map(() => [])],
    element,
  );
  const observer = new ResizeObserver(() => plot.setSize(size()));
  observer.observe(element);
  const repaint = () => plot.redraw(false, true);
  dark.addEventListener('change', repaint);
  plot.hooks.destroy = [
    () => {
      observer.disconnect();
      dark.removeEventListener('change', repaint);
    },
  ];
  return plot;
}

/** Labels of ticks; those that a logarithmic scale leaves out are null. */
export const texts =
  (text: (tick: number) => string): uPlot.Axis.DynamicValues =>
  (_, ticks) =>
    ticks.map((tick: number | null) => (tick === null ? '' : text(tick)));

/** Small numbers as 1e-5. */
const tickText = (tick: number): string =>
  Math.abs(tick) >= 1e-3 || tick === 0 ? number(tick) : tick.toExponential(0);

/** Of a logarithmic scale, lines at powers of ten alone. */
const powersOfTen: uPlot.Axis.Filter = (_, splits) =>
  splits.map((at) => (Math.log10(at) % 1 === 0 ? at : null));

/** A piece of curve `i`, for a legend. */
export function swatch(i: number, dashes: readonly (readonly number[])[]): SVGElement {
  const name = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(name, 'svg');
  const line = document.createElementNS(name, 'line');
  const set = (element: Element, values: object) => {
    for (const [key, value] of Object.entries(values)) element.setAttribute(key, String(value));
  };
  set(svg, { width: 26, height: 10, 'aria-hidden': 'true' });
  set(line, { x1: 0, y1: 5, x2: 26, y2: 5, 'stroke-width': 2.5 });
  set(line, { 'stroke-dasharray': dashes[i % dashes.length].join(' ') });
  line.style.stroke = curveStyle(i, dashes.length);
  svg.append(line);
  return svg;
}
