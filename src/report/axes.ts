import { largest, smallest } from '../shared/statistics.js';
import type { Curve, CurvePoint } from './curves.js';

/** A horizontal or vertical axis: domain and ticks in data units, positions in [0, 1]. */
export interface Axis {
  readonly type: 'linear' | 'log';
  readonly domain: readonly [number, number];
  readonly ticks: readonly number[];
  readonly labels: readonly string[];
  /** Place of a value along the axis, 0 at the start and 1 at the end of the domain. */
  position(value: number): number;
  /** The value at a place; the inverse of `position`. */
  value(position: number): number;
}

/** The vertical axis; `error` places an accuracy on it. */
export interface ErrorAxis extends Axis {
  error(accuracy: number): number;
}

function axis(
  type: 'linear' | 'log',
  domain: readonly [number, number],
  ticks: readonly number[],
  label: (value: number) => string,
): Axis {
  const forward = type === 'log' ? Math.log : (x: number) => x;
  const inverse = type === 'log' ? Math.exp : (x: number) => x;
  const [start, end] = domain.map(forward);
  return {
    type,
    domain,
    ticks,
    labels: ticks.map(label),
    position: (value) => (forward(value) - start) / (end - start),
    value: (position) => inverse(start + position * (end - start)),
  };
}

/**
 * The vertical axis: the error 1 - accuracy on a logarithmic scale, downwards, labelled as accuracy.
 * It separates 97.6 % and 98.5 % and still shows the curves from 80 % on. The domain includes every final
 * value, and of the steep beginning only as much as leaves the end readable: curves enter from below.
 * @param height of the panel in pixels, for the number of ticks
 */
export function errorAxis(curves: readonly Curve[], height: number): ErrorAxis {
  const drawn = curves.flatMap(({ points, partial }) => [points, ...partial]);
  const errors = drawn.flat().map(({ high }) => 1 - high);
  const positive = errors.filter((error) => error > 1e-9);
  // A perfect score has no logarithm; it is drawn a little above the best imperfect one.
  const floor = positive.length < errors.length ? Math.min(0.001, smallest(positive)) / 2 : 0;
  const best = Math.max(floor, smallest(errors));
  const worst = largest(drawn.map((points) => 1 - visibleFrom(points)));
  let top = best * 0.9;
  let bottom = Math.min(1, Math.max(worst, best) * 1.12);
  // A range of positive length for a single point, or for curves of one height.
  if (bottom / top < 1.5) [top, bottom] = [top / 1.15, Math.min(1, bottom * 1.15)];
  const ticks = errorTicks(top, bottom, height).filter((error) => error > 1.3 * floor);
  if (floor > 0) ticks.unshift(floor);
  const label = (error: number) =>
    error === floor ? '100 %' : `${Number((100 * (1 - error)).toFixed(3))} %`;
  const error = (accuracy: number) => Math.max(floor, 1 - accuracy);
  return { ...axis('log', [bottom, top], ticks, label), error };
}

/** Lowest accuracy of a curve to show: its minimum after the first few percent of the run. */
function visibleFrom(points: readonly CurvePoint[]): number {
  const last = points.at(-1)!;
  const settled = points.filter(({ batch }) => batch >= last.batch * 0.025);
  // Late collapses stay visible; a slow start below all of the rest is cut at 60 %.
  const lowest = smallest(settled.map(({ low }) => low));
  return Math.min(last.low, Math.max(lowest, 0.6));
}

/** Tiers of ticks, roundest first; a tier is added in a gap only where all of it fits. */
function errorTicks(top: number, bottom: number, height: number): number[] {
  const pixel = (error: number) => (height * Math.log(error / top)) / Math.log(bottom / top);
  const inside = (error: number) => error >= top && error <= bottom;
  const decades = [1e-5, 1e-4, 1e-3, 0.01, 0.1];
  const steps = [[1], [2, 5], [3], [7], [4], [1.5], [2.5], [6, 8, 9], tenths];
  const tiers = steps.map((digits) => decades.flatMap((d) => digits.map((k) => k * d)));
  let ticks: number[] = [];
  for (const tier of tiers) {
    const next = [...ticks];
    const edges = [0, ...ticks, Number.POSITIVE_INFINITY];
    for (let i = 1; i < edges.length; i++) {
      const inGap = tier.filter((e) => inside(e) && e > edges[i - 1] && e < edges[i]);
      const row = [edges[i - 1], ...inGap, edges[i]].filter((e) => e > 0 && e < 2);
      if (row.every((e, k) => k === 0 || pixel(e) - pixel(row[k - 1]) >= minimumGap)) {
        next.push(...inGap);
      }
    }
    ticks = [...new Set(next)].sort((a, b) => a - b);
  }
  return ticks;
}

const minimumGap = 22;
const tenths = Array.from({ length: 90 }, (_, k) => 1 + k / 10);

/** Number of batches, from 0. */
export function batchAxis(curves: readonly Curve[]): Axis {
  const end = largest(allPoints(curves).map(({ batch }) => batch));
  return axis('linear', [0, end], linearTicks(end).filter(Number.isInteger), plain);
}

/**
 * Training seconds: linear while the slowest curve takes less than three times as long as the
 * fastest, else logarithmic from where the first curve enters the panel.
 * @param lowest accuracy at the bottom of the panel
 */
export function timeAxis(curves: readonly Curve[], lowest: number): Axis {
  const ends = curves.map(({ points }) => points.at(-1)!.seconds);
  const all = allPoints(curves).filter(({ seconds }) => Number.isFinite(seconds));
  const end = Math.max(1e-3, largest(all.map(({ seconds }) => seconds)));
  if (end < 3 * smallest(ends)) return axis('linear', [0, end], linearTicks(end), plain);
  const visible = all.filter(({ accuracy, seconds }) => accuracy >= lowest && seconds > 0);
  const start = Math.min(end / 10, smallest(visible.map(({ seconds }) => seconds))) * 0.9;
  return axis('log', [start, end], logTicks(start, end), plain);
}

const plain = (value: number) => value.toLocaleString('en-US', { maximumSignificantDigits: 6 });

const allPoints = (curves: readonly Curve[]) =>
  curves.flatMap(({ points, partial }) => [...points, ...partial.flat()]);

function linearTicks(end: number): number[] {
  const magnitude = 10 ** Math.floor(Math.log10(end));
  const step = [0.1, 0.2, 0.25, 0.5, 1, 2].find((k) => end / (k * magnitude) <= 6)! * magnitude;
  const steps = Math.floor(end / step + 1e-9);
  return Array.from({ length: steps + 1 }, (_, i) => Number((i * step).toPrecision(12)));
}

function logTicks(start: number, end: number): number[] {
  const ticks: number[] = [];
  const ratio = end / start;
  const digits = ratio > 1e4 ? [1] : ratio > 30 ? [1, 3] : [1, 2, 5];
  for (let k = Math.floor(Math.log10(start)); 10 ** k <= end; k++) {
    for (const digit of digits) ticks.push(Number((digit * 10 ** k).toPrecision(1)));
  }
  return ticks.filter((tick) => tick >= start && tick <= end);
}
