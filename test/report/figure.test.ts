import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { curvesOf } from '../../src/report/content.js';
import type { Curve } from '../../src/report/curves.js';
import { drawFigure as drawCurves, type Figure } from '../../src/report/figure.js';
import { type FigureText, figureSpec } from '../../src/report/figure-spec.js';
import { measureText } from '../../src/report/figure-style.js';
import { drawCharts } from '../../src/report/html/charts.js';
import { drawingHtml } from '../../src/report/html/page.js';
import { loadRuns, type Run } from '../../src/runs/run-directory.js';
import { decode } from './pixels.js';
import { mnistMethods, writeRuns } from './synthetic.js';

const drawFigure = (runs: readonly Run[], text: FigureText) => drawCurves(curvesOf(runs)!, text);

const root = mkdtempSync(join(tmpdir(), 'fln-figure-'));
afterAll(() => rmSync(root, { recursive: true }));

const load = (
  name: string,
  ...rest: Parameters<typeof writeRuns> extends [string, ...infer R] ? R : never
) => loadRuns([writeRuns(join(root, name), ...rest)]).runs;

describe('the figure of five methods and three seeds', () => {
  let figure: Figure;
  beforeAll(async () => {
    const runs = load('mnist', mnistMethods, [1, 2, 3], { batches: 300 });
    figure = await drawFigure(runs, { title: 'mnist-mlp', subtitle: 'mnist · 784-300-10' });
  });

  it('labels every line in both panels, and both axes', () => {
    for (const { label } of mnistMethods) {
      expect(figure.svg.match(new RegExp(`>${label} [\\d.]+ %<`, 'g'))).toHaveLength(1);
      expect(figure.svg.match(new RegExp(`>${label} [\\d.]+ (s|min)<`, 'g'))).toHaveLength(1);
    }
    for (const text of ['mnist-mlp', 'batches', 'seconds, log scale', '95 %']) {
      expect(figure.svg).toContain(`>${text}<`);
    }
    expect(figure.svg.match(/>test accuracy \(log scale of the error\)</g)).toHaveLength(2);
  });

  it('asks nothing from outside', () => {
    expect(figure.svg).not.toMatch(/href|url\((?!#)|@import|<script/);
  });

  it('has its text in the PNG too: the font was found', () => {
    const picture = decode(figure.png);
    expect(picture.width).toBeGreaterThanOrEqual(2400);
    expect(picture.ink(24, 20, 300, 70)).toBeGreaterThan(0.05); // title
    expect(picture.ink(70, 220, 155, 1000)).toBeGreaterThan(0.01); // tick labels
    expect(picture.ink(20, 300, 60, 900)).toBeGreaterThan(0.03); // axis title
    const { width } = picture;
    expect(picture.ink(width - 280, 200, width - 20, 800)).toBeGreaterThan(0.01); // line labels
  });

  it('keeps its margins free: nothing is clipped', () => {
    const { width, height, ink } = decode(figure.png);
    expect(ink(0, 0, width, 8)).toBe(0);
    expect(ink(0, height - 8, width, height)).toBe(0);
    expect(ink(0, 0, 8, height)).toBe(0);
    expect(ink(width - 8, 0, width, height)).toBe(0);
  });

  it('is the same, byte for byte, when drawn again', async () => {
    const runs = load('mnist', mnistMethods, [1, 2, 3], { batches: 300 });
    const again = await drawFigure(runs, { title: 'mnist-mlp', subtitle: 'mnist · 784-300-10' });
    expect(again.svg === figure.svg).toBe(true);
    expect(again.png.equals(figure.png)).toBe(true);
  });
});

it('shows a single evaluation as a marker', async () => {
  const runs = load('single', mnistMethods.slice(0, 1), [1], { batches: 1 });
  const { svg, png } = await drawFigure(runs, { title: 'single', subtitle: '' });
  // The only curve's colour, near the right edge of the first panel.
  expect(svg).toMatch(/fill="#0072B2"/);
  expect(decode(png).ink(800, 220, 1000, 1000)).toBeGreaterThan(0);
});

it('says on the axis when it shows another accuracy', async () => {
  const validated = load('validated', mnistMethods.slice(0, 1), [1], {
    batches: 60,
    measured: 'validation_accuracy',
  });
  const { svg } = await drawFigure(validated, { title: 't', subtitle: '' });
  expect(svg).toContain('>validation accuracy (log scale of the error)<');
});

it('grows with long labels and many methods rather than cut them', async () => {
  const methods = Array.from({ length: 26 }, (_, i) => ({
    ...mnistMethods[0],
    label: `a-label-of-forty-letters-that-goes-on-${String(i).padStart(2, '0')}`,
  }));
  const title = 'A title that is '.concat('very '.repeat(40), 'long');
  const { png } = await drawFigure(load('many', methods, [1], { batches: 30 }), {
    title,
    subtitle: '',
  });
  const { width, height, ink } = decode(png);
  expect(width).toBeGreaterThan(2 * measureText(title, 19));
  expect(ink(width - 8, 0, width, height)).toBe(0);
  expect(height).toBeGreaterThan(2 * 26 * 18);
});

it('of 400 curves labels the best, draws the others grey, and says so', () => {
  const curves = Array.from({ length: 400 }, (_, i): Curve => {
    // 400 points each: more of them together than a call may have arguments.
    const points = Array.from({ length: 400 }, (_, k) => {
      const value = 0.5 + (0.4 * k) / 400 + 0.0001 * ((i * 7) % 400);
      return { batch: k + 1, epoch: 1, seconds: (k + 1) / 10, value, low: value, high: value };
    });
    return { name: `curve-${i}`, points, seeds: 1, unfinished: false, partial: [] };
  });
  const measure = { column: 'test_accuracy', title: 'test accuracy' };
  const text = { title: 't', subtitle: 'mnist' };
  const { spec, height } = figureSpec(curves, measure, text, () => 100);
  const written = JSON.stringify(spec);
  const labels = [
    ...written.matchAll(/"text":"curve-(\d+) [\d.]+ %"|"label":"curve-(\d+) [\d.]+ %"/g),
  ];
  const best = curves.map((_, i) => i).filter((i) => (i * 7) % 400 >= 350);
  expect([...new Set(labels.map((found) => Number(found[1] ?? found[2])))]).toEqual(best);
  expect(written).toContain('mnist · the 50 of 400 curves with the highest final accuracy are');
  // 350 in each of the two panels, of at most 61 points.
  expect(written.match(/"color":"#bdbdbd"/g)).toHaveLength(2);
  expect(new Set(written.match(/"curve":\d+/g)).size).toBe(350);
  expect(height).toBeLessThan(1200);
  const page = drawingHtml(drawCharts(curves, measure));
  expect(page).toContain('Of 400 curves, these are the 50 with the highest final accuracy.');
  expect(page.match(/"name":"curve-/g)).toHaveLength(50);
});

it('draws hostile labels as text', async () => {
  const label = '</text><script>alert("1")</script>&\u0007';
  const [run] = load('hostile', mnistMethods.slice(0, 1), [1], { batches: 30 });
  const { svg } = await drawFigure([{ ...run, label: label.slice(0, -1) }], {
    title: label.slice(0, -1),
    subtitle: '<b>',
  });
  expect(svg).not.toContain('<script');
  expect(svg).not.toContain('<b>');
  expect(svg).toContain('&lt;script');
});

it('has no curves without an accuracy', () => {
  expect(curvesOf([])).toBeUndefined();
});
