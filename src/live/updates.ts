import type { Charts } from '../report/html/charts.js';
import type { LayerPanels } from '../report/html/layers.js';
import { type Part, partHtml, type View } from './views.js';

/** What a page must change to show another version. */
export interface Update {
  readonly version: string;
  /** HTML of the parts that are different. */
  readonly parts?: Readonly<Record<string, string>>;
  readonly charts?: ChartUpdate;
  readonly layers?: LayersUpdate;
}

/** New points of the curves of a figure that is otherwise the same. */
export interface ChartUpdate {
  /** Number of points of each curve that stay; the points in `data` follow these. */
  readonly from: readonly number[];
  readonly data: Charts['data'];
}

/** Numbers of the panels of layers, which are otherwise the same: of each method, null where nothing is different. */
export interface LayersUpdate {
  readonly methods: readonly (LayerPanels['data']['methods'][number] | null)[];
}

interface Version {
  readonly view: View;
  /** HTML of each part. */
  readonly html: Readonly<Record<string, string>>;
}

/** Versions in memory, of all pages. */
const most = 100;

/** The last versions of the pages, so that a page receives only what differs from its own. */
export class Versions {
  /** The latest version of each page, by its address. */
  readonly #latest = new Map<string, string>();
  readonly #known = new Map<string, Version>();
  /** Versions of an earlier server on the same port are not these. */
  readonly #prefix = `${Date.now().toString(36)}-${process.pid}-`;
  #count = 0;

  /** @returns the version of a view */
  add(page: string, view: View): string {
    const html = Object.fromEntries(
      Object.entries(view.parts).map(([name, part]) => [name, partHtml(part)]),
    );
    const latest = this.#latest.get(page);
    const known = latest === undefined ? undefined : this.#known.get(latest);
    if (latest !== undefined && known && isSame(known, { view, html })) {
      this.#known.delete(latest);
      this.#known.set(latest, known);
      return latest;
    }
    const version = `${this.#prefix}${++this.#count}`;
    this.#latest.set(page, version);
    this.#known.set(version, { view, html });
    const [oldest] = this.#known.keys();
    if (this.#known.size > most) this.#known.delete(oldest);
    if (this.#latest.size > most) this.#latest.delete([...this.#latest.keys()][0]);
    return version;
  }

  /** What is different between a version, which may be unknown, and a newer one of the same page. */
  update(since: string | undefined, version: string): Update {
    if (since === version) return { version };
    const now = this.#known.get(version)!;
    const before = since === undefined ? undefined : this.#known.get(since);
    if (before === undefined) return { version, parts: now.html };
    const parts: Record<string, string> = {};
    let numbers: Pick<Update, 'charts' | 'layers'> = {};
    for (const [name, html] of Object.entries(now.html)) {
      if (html === before.html[name]) continue;
      const more = numbersOf(before.view.parts[name], now.view.parts[name]);
      if (more) numbers = { ...numbers, ...more };
      else parts[name] = html;
    }
    return { version, parts, ...numbers };
  }
}

const isSame = (a: Version, b: Version): boolean =>
  a.view.title === b.view.title && JSON.stringify(a.html) === JSON.stringify(b.html);

/** @returns undefined where a part has to be drawn anew */
function numbersOf(before: Part, now: Part): Pick<Update, 'charts' | 'layers'> | undefined {
  if (typeof before === 'string' || typeof now === 'string') return undefined;
  if (before.frame.join() !== now.frame.join()) return undefined;
  if (before.kind === 'charts' && now.kind === 'charts') {
    const charts = chartUpdate(before.data, now.data);
    return charts && { charts };
  }
  if (before.kind === 'layers' && now.kind === 'layers') {
    const layers = layersUpdate(before.data, now.data);
    return layers && { layers };
  }
  return undefined;
}

/** @returns undefined where the figure has other curves or panels */
function chartUpdate(before: Charts['data'], now: Charts['data']): ChartUpdate | undefined {
  const shapeOf = ({ curves, panels }: Charts['data']) => [
    curves.map(({ name: _, points: __, ...rest }) => rest),
    panels.map((panel) => ({ ...panel, domain: undefined })),
  ];
  if (!isEqual(shapeOf(before), shapeOf(now))) return undefined;
  const from = now.curves.map(({ points }, i) => {
    const old = before.curves[i].points;
    const first = points.findIndex((point, k) => !isEqual(point, old[k]));
    return first < 0 ? points.length : first;
  });
  const curves = now.curves.map((curve, i) => ({
    ...curve,
    points: curve.points.slice(from[i]),
  }));
  return { from, data: { ...now, curves } };
}

/** @returns undefined where there are other layers, or columns that had no value before */
function layersUpdate(
  before: LayerPanels['data'],
  now: LayerPanels['data'],
): LayersUpdate | undefined {
  const shapeOf = ({ layers, methods }: LayerPanels['data']) => [
    layers,
    methods.map(({ panels }) =>
      panels.map(({ log, values }) => [
        log,
        values.map((curve) => curve.some((value) => value !== null)),
      ]),
    ),
  ];
  if (!isEqual(shapeOf(before), shapeOf(now))) return undefined;
  const methods = now.methods.map((method, i) => {
    return isEqual(method, before.methods[i]) ? null : method;
  });
  return { methods };
}

const isEqual = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
