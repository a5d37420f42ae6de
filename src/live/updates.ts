import type { View } from './views.js';

/** What a page must change to show another version. */
export interface Update {
  readonly version: string;
  /** HTML of the parts that are different. */
  readonly parts?: Readonly<Record<string, string>>;
  readonly charts?: ChartUpdate;
}

/** New points of the curves of a figure that is otherwise the same. */
export interface ChartUpdate {
  /** Number of points of each curve that stay; the points in `data` follow these. */
  readonly from: readonly number[];
  readonly data: ChartData;
}

/** The data in a figure, as far as updates concern it; the rest is passed on. */
interface ChartData {
  readonly curves: readonly { readonly name: string; readonly points: readonly object[] }[];
  readonly panels: readonly object[];
}

interface Version {
  readonly view: View;
  /** The figure without its data, and the data. */
  readonly figure?: { readonly frame: string; readonly data: ChartData };
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
    const latest = this.#latest.get(page);
    const known = latest === undefined ? undefined : this.#known.get(latest);
    if (latest !== undefined && known && isSame(known.view, view)) {
      this.#known.delete(latest);
      this.#known.set(latest, known);
      return latest;
    }
    const version = `${this.#prefix}${++this.#count}`;
    this.#latest.set(page, version);
    this.#known.set(version, { view, figure: figureOf(view.parts.figure) });
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
    if (before === undefined) return { version, parts: now.view.parts };
    const isOther = before.view.parts.figure !== now.view.parts.figure;
    const charts =
      isOther && before.figure && now.figure ? chartUpdate(before.figure, now.figure) : undefined;
    const parts = Object.entries(now.view.parts).filter(
      ([name, html]) => html !== before.view.parts[name] && !(name === 'figure' && charts),
    );
    return { version, parts: Object.fromEntries(parts), charts };
  }
}

const isSame = (a: View, b: View): boolean =>
  a.title === b.title && JSON.stringify(a.parts) === JSON.stringify(b.parts);

function figureOf(html: string | undefined): Version['figure'] {
  const [, start, json, end] =
    /^(.*<script type="application\/json" class="chart-data">)(.*)(<\/script>.*)$/s.exec(
      html ?? '',
    ) ?? [];
  return json === undefined ? undefined : { frame: start + end, data: JSON.parse(json) };
}

/** @returns undefined where the figure has other curves or panels, and has to be drawn anew */
function chartUpdate(
  before: NonNullable<Version['figure']>,
  now: NonNullable<Version['figure']>,
): ChartUpdate | undefined {
  if (before.frame !== now.frame || shapeOf(before.data) !== shapeOf(now.data)) return undefined;
  const from = now.data.curves.map(({ points }, i) => {
    const old = before.data.curves[i].points;
    const first = points.findIndex((point, k) => JSON.stringify(point) !== JSON.stringify(old[k]));
    return first < 0 ? points.length : first;
  });
  const curves = now.data.curves.map((curve, i) => ({
    ...curve,
    points: curve.points.slice(from[i]),
  }));
  return { from, data: { ...now.data, curves } };
}

/** What a figure cannot change by itself. */
const shapeOf = ({ curves, panels }: ChartData): string =>
  JSON.stringify([
    curves.map(({ name: _, points: __, ...rest }) => rest),
    panels.map((panel) => ({ ...panel, domain: undefined })),
  ]);
