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

/** A vertical axis of learning curves. */
export interface ValueAxis extends Axis {
  /** The number that the axis counts, for a value of the column: for an accuracy on a log scale its error. */
  coordinate(value: number): number;
  /** What its scale is, for the title of the axis; empty: a linear scale. */
  readonly scale: string;
}

/** Whether the labels of an axis have enough space in the figure. */
export type Fits = (axis: Axis) => boolean;

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
export function errorAxis(curves: readonly Curve[], height: number): ValueAxis {
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
  const coordinate = (accuracy: number) => Math.max(floor, 1 - accuracy);
  const scale = 'log scale of the error';
  return { ...axis('log', [bottom, top], ticks, label), coordinate, scale };
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

/**
 * A vertical axis of plain values: linear, from 0 where the values come close to it, or logarithmic.
 * @param curves with positive values only, if `log`; bands may reach below
 * @param height of the panel in pixels, for the number of ticks
 * @param label of a tick
 */
export function plainAxis(
  curves: readonly Curve[],
  {
    log,
    height,
    label = log ? power : plain,
  }: { log: boolean; height: number; label?: (v: number) => string },
): ValueAxis {
  const points = allPoints(curves);
  const positive = (value: number) => !log || value > 0;
  const low = smallest(points.flatMap(({ low, value }) => [low, value]).filter(positive));
  const high = largest(points.flatMap(({ high, value }) => [high, value]));
  const fits: Fits = ({ ticks, position }) =>
    ticks.every((tick, i) => {
      return i === 0 || height * (position(tick) - position(ticks[i - 1])) >= minimumGap;
    });
  const coordinate = (value: number) => value;
  if (log) {
    // Not all of a band that reaches down to 0: as far below the lowest value as that is below the highest.
    const least = smallest(points.map(({ value }) => value));
    const start = Math.max(low, least / Math.max(10, largest(points.map((p) => p.value)) / least));
    const domain = [start / 1.12, high * 1.12] as const;
    return { ...logAxis(domain, fits, label), coordinate, scale: 'log scale' };
  }
  const margin = 0.04 * (high - low) || 0.1 * Math.abs(high) || 1;
  const start = low >= 0 && low < 0.3 * high ? 0 : low - margin;
  return { ...linearAxis([start, high + margin], fits, label), coordinate, scale: '' };
}

/** Accuracies on a linear scale. */
export const linearAccuracyAxis = (curves: readonly Curve[], height: number): ValueAxis =>
  plainAxis(curves, { log: false, height, label: (share) => `${plain(100 * share)} %` });

/** Number of batches, from 0. */
export function batchAxis(curves: readonly Curve[], fits: Fits = always): Axis {
  const end = largest(allPoints(curves).map(({ batch }) => batch));
  return linearAxis([0, end], fits, plain, Number.isInteger);
}

/** Values of a setting: logarithmic where they span more than a factor of 20, and all are positive. */
export function settingAxis(curves: readonly Curve[], fits: Fits = always): Axis {
  const values = allPoints(curves).map(({ batch }) => batch);
  const [low, high] = [smallest(values), largest(values)];
  if (low > 0 && high > 20 * low) return logAxis([low / 1.05, high * 1.05], fits, plain);
  const margin = 0.02 * (high - low) || 0.1 * Math.abs(high) || 1;
  return linearAxis([low - margin, high + margin], fits, plain);
}

/** Number of epochs, from 0. */
export function epochAxis(curves: readonly Curve[], fits: Fits = always): Axis {
  const end = largest(allPoints(curves).map(({ epoch }) => epoch));
  return linearAxis([0, end], fits, plain);
}

/**
 * Training seconds: linear while the slowest curve takes less than three times as long as the
 * fastest, else logarithmic from where the first curve enters the panel.
 * @param isVisible whether a point lies inside the panel vertically
 */
export function timeAxis(
  curves: readonly Curve[],
  isVisible: (point: CurvePoint) => boolean,
  fits: Fits = always,
): Axis {
  const ends = curves.map(({ points }) => points.at(-1)!.seconds);
  const all = allPoints(curves).filter(({ seconds }) => Number.isFinite(seconds));
  const end = Math.max(1e-3, largest(all.map(({ seconds }) => seconds)));
  if (end < 3 * smallest(ends)) return linearAxis([0, end], fits, plain);
  const visible = all.filter((point) => isVisible(point) && point.seconds > 0);
  const start = Math.min(end / 10, smallest(visible.map(({ seconds }) => seconds))) * 0.9;
  return logAxis([start, end], fits, plain);
}

const always: Fits = () => true;

const plain = (value: number) => value.toLocaleString('en-US', { maximumSignificantDigits: 6 });

/** Powers of ten and their multiples: short even for 2e6 and 5e-7. */
function power(value: number): string {
  const isShort = value >= 0.01 && value < 1e4;
  return isShort ? plain(value) : value.toExponential().replace('e+', 'e');
}

/** A value at the end of a curve: `0.0312`, `1.20e-7`, `2,875`. */
export function valueText(value: number): string {
  const size = Math.abs(value);
  if (size > 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace('e+', 'e');
  return size < 100 ? Number(value.toPrecision(3)).toString() : plain(Math.round(value));
}

const allPoints = (curves: readonly Curve[]) =>
  curves.flatMap(({ points, partial }) => [...points, ...partial.flat()]);

/** The axis with the most ticks that fit, of a decreasing number of them. */
function linearAxis(
  domain: readonly [number, number],
  fits: Fits,
  label: (value: number) => string,
  isTick: (value: number) => boolean = () => true,
): Axis {
  const axes = [6, 5, 4, 3, 2].map((most) =>
    axis('linear', domain, linearTicks(domain, most).filter(isTick), label),
  );
  return axes.find(fits) ?? axes.at(-1)!;
}

function linearTicks([start, end]: readonly [number, number], most: number): number[] {
  const length = end - start;
  const magnitude = 10 ** Math.floor(Math.log10(length));
  const steps = [0.1, 0.2, 0.25, 0.5, 1, 2, 5].map((k) => k * magnitude);
  const step = steps.find((step) => length / step <= most)!;
  const first = Math.ceil(start / step - 1e-9);
  const count = Math.floor(end / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Ticks at 1, 2 and 5, or 1 and 3, or 1 times powers of ten, or at every n-th power; linear on a short range. */
function logAxis(
  [start, end]: readonly [number, number],
  fits: Fits,
  label: (value: number) => string,
): Axis {
  const ratio = end / start;
  const sets = [[1, 2, 5], [1, 3], [1]].slice(ratio > 1e4 ? 2 : ratio > 30 ? 1 : 0);
  const candidates = [
    ...sets.map((digits) => logTicks(start, end, digits)),
    ...[2, 3, 4, 5, 10, 20].map((stride) => logTicks(start, end, [1], stride)),
  ];
  if (ratio < 10) candidates.unshift(...[4, 3, 2].map((most) => linearTicks([start, end], most)));
  const axes = candidates
    .filter((ticks) => ticks.length > 1)
    .map((ticks) => axis('log', [start, end], ticks, label));
  return axes.find(fits) ?? axes.at(-1) ?? axis('log', [start, end], [start, end], label);
}

function logTicks(start: number, end: number, digits: readonly number[], stride = 1): number[] {
  const ticks: number[] = [];
  for (let k = Math.floor(Math.log10(start)); 10 ** k <= end; k++) {
    if (k % stride !== 0) continue;
    for (const digit of digits) ticks.push(Number((digit * 10 ** k).toPrecision(1)));
  }
  return ticks.filter((tick) => tick >= start && tick <= end);
}
