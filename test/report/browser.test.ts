import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeReport } from '../../src/report/write-report.js';
import { layerColumns } from '../../src/runs/layers.js';
import { writeManifest } from '../../src/sweep/manifest.js';
import { writeSweepReport } from '../../src/sweep/report/write-sweep-report.js';
import { writeState } from '../../src/sweep/state.js';
import { openPage } from '../browser-page.js';
import { mnistMethods, writeRuns } from './synthetic.js';

/** Path of a Chromium, as scripts/ci/chromium.sh prints it. */
const executablePath = process.env.FLN_CHROMIUM;

describe.skipIf(!executablePath)('report.html in a browser (needs FLN_CHROMIUM)', () => {
  const root = mkdtempSync(join(tmpdir(), 'fln-browser-'));
  let browser: Browser;
  let report: string;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
    report = join(
      writeRuns(join(root, 'run'), mnistMethods, [1, 2, 3], { batches: 300 }),
      'report.html',
    );
    await writeReport(join(root, 'run'));
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(root, { recursive: true, force: true });
  });

  /** What went wrong on the page, and what it asked for beside itself. */
  async function open(path: string, options: BrowserContextOptions = {}) {
    const url = pathToFileURL(path).href;
    return openPage(browser, url, { isExpected: (requested) => requested === url, ...options });
  }

  /** Places in the first panel, as shares of its drawing area. */
  async function area(page: Page) {
    const box = (await page.locator('.plot .u-over').first().boundingBox())!;
    return (x: number, y: number): [number, number] => [
      box.x + x * box.width,
      box.y + y * box.height,
    ];
  }
  const names = (page: Page) => page.locator('.legend button').allInnerTexts();
  const fenchelIn = async (page: Page) =>
    (await names(page)).find((text) => /^fenchel ?(\d|$)/.test(text));
  const pixels = (page: Page) =>
    page
      .locator('.plot canvas')
      .first()
      .evaluate((canvas) => (canvas as unknown as { toDataURL(): string }).toDataURL());

  it('draws the figure, asks the network for nothing and has no errors', async () => {
    const { page, complaints } = await open(report);
    expect(await page.locator('.plot canvas').count()).toBe(2);
    expect(await page.locator('.figure.static').isVisible()).toBe(false);
    expect(await names(page)).toEqual(mnistMethods.map(({ label }) => label).sort());
    expect(complaints).toEqual([]);
  });

  it('draws the columns of layers.csv per layer, reads them off, and hides a layer', async () => {
    const folder = writeRuns(join(root, 'layers'), mnistMethods.slice(0, 2), [1, 2], {
      batches: 40,
    });
    const [{ label }] = mnistMethods;
    const rows = [1, 10, 20, 30, 40].flatMap((batch) =>
      [1, 2].map((layer) =>
        layer === 1
          ? `${label},1,${batch},1,1,${1 / batch},${0.5 / batch},,0.5,0.1,0.2,0.3,,,`
          : `${label},1,${batch},1,2,,,0.001,,${0.01 * batch},,,,,`,
      ),
    );
    const text = `${layerColumns.join()}\n${rows.join('\n')}\n`;
    writeFileSync(join(folder, `${label}-s1`, 'layers.csv'), text);
    await writeReport(folder);
    const { page, complaints } = await open(join(folder, 'report.html'));
    const headings = await page.locator('.layers h3, .layers h4').allInnerTexts();
    expect(headings).toEqual([
      `${label}, seed 1`,
      'penalty B(X, U)',
      'constraint violation',
      'residual',
      'share of active units, linear scale',
      'change of the weights',
      'change of the activations',
      'change of the targets',
    ]);
    const plot = page.locator('.layer-plot').nth(4);
    await plot.scrollIntoViewIfNeeded();
    const legend = () => plot.locator('.u-series:visible').allInnerTexts();
    const plain = (texts: string[]) => texts.map((text) => text.replace(/\s+/g, ' '));
    await plot.locator('.u-over').hover();
    expect(plain(await legend())).toEqual(['batch20', 'layer 10.1', 'layer 20.2']);
    // The other panels of the method follow.
    const penalty = page.locator('.layer-plot').first().locator('.u-series:visible');
    expect(plain(await penalty.allInnerTexts())).toEqual(['batch20', 'layer 10.05']);
    const image = () =>
      plot
        .locator('canvas')
        .evaluate((canvas) => (canvas as unknown as { toDataURL(): string }).toDataURL());
    const before = await image();
    await plot.locator('.u-series', { hasText: 'layer 2' }).locator('th').click();
    await expect.poll(image).not.toBe(before);
    expect(complaints).toEqual([]);
  });

  it('reads every curve off at the cursor, by mouse and by keyboard', async () => {
    const { page, complaints } = await open(report);
    const at = await area(page);
    await page.mouse.move(...at(0.5, 0.5));
    expect(await page.locator('.readout').innerText()).toMatch(/^batch: 1(49|50|51)/);
    for (const text of await names(page)) expect(text).toMatch(/^[a-z-]+ ?\d\d\.\d\d %$/);
    // A marker on every curve, in its colour, and none on the edges of the bands.
    const markers = await page
      .locator('.plot')
      .first()
      .locator('.u-cursor-pt')
      .evaluateAll((points) =>
        (points as unknown as { style: Record<string, string> }[])
          .filter(({ style }) => style.width !== '0px')
          .map(({ style }) => style.background),
      );
    expect(new Set(markers).size).toBe(mnistMethods.length);
    expect(markers).toHaveLength(mnistMethods.length);
    await page.mouse.move(5, 5);
    expect(await page.locator('.readout').innerText()).toContain('Point at a curve');
    await page.locator('.plot').first().focus();
    await page.keyboard.press('End');
    const { methods } = JSON.parse(readFileSync(join(root, 'run', 'summary.json'), 'utf8'));
    const { mean } = methods.find(
      (of: { method: string }) => of.method === 'fenchel',
    ).finalTestAccuracy;
    expect(await fenchelIn(page)).toContain(`${(100 * mean).toFixed(2)} %`);
    expect(complaints).toEqual([]);
  });

  it('hides a curve when its name is clicked, and shows it again', async () => {
    const { page } = await open(report);
    const before = await pixels(page);
    const fenchel = page.getByRole('button', { name: 'fenchel', exact: true });
    await fenchel.click();
    expect(await fenchel.getAttribute('aria-pressed')).toBe('false');
    await expect.poll(() => pixels(page)).not.toBe(before);
    await page.mouse.move(...(await area(page))(0.5, 0.5));
    expect(await fenchelIn(page)).toBe('fenchel');
    await fenchel.click();
    expect(await fenchel.getAttribute('aria-pressed')).toBe('true');
    await expect.poll(() => pixels(page)).toBe(before);
  });

  it('zooms into what is dragged over, and back by button, double click and Escape', async () => {
    const { page, complaints } = await open(report);
    const reset = page.getByRole('button', { name: 'Reset zoom' });
    const before = await pixels(page);
    const ways = [
      () => reset.click(),
      async () => page.mouse.dblclick(...(await area(page))(0.5, 0.5)),
      () => page.locator('.plot').first().press('Escape'),
    ];
    for (const back of ways) {
      expect(await reset.isVisible()).toBe(false);
      const at = await area(page);
      await page.mouse.move(...at(0.5, 0.1));
      await page.mouse.down();
      await page.mouse.move(...at(0.7, 0.4), { steps: 4 });
      await page.mouse.up();
      await expect.poll(() => reset.isVisible()).toBe(true);
      await page.mouse.move(...at(0.5, 0.5));
      // From 150 to 210 of 300 batches.
      expect(await page.locator('.readout').innerText()).toMatch(/^batch: 1(79|80|81)/);
      await page.mouse.move(5, 5);
      await back();
      await page.mouse.move(5, 5);
      await expect.poll(() => reset.isVisible()).toBe(false);
      await expect.poll(() => pixels(page)).toBe(before);
    }
    expect(complaints).toEqual([]);
  });

  it('sorts its table by any column', async () => {
    const { page } = await open(report);
    const table = page.locator('table').first();
    const column = async (k: number) => table.locator(`td:nth-child(${k})`).allInnerTexts();
    await table.getByRole('button', { name: 'final test accuracy' }).click();
    expect((await column(1))[0]).toBe('sgd');
    await table.getByRole('button', { name: 'final test accuracy' }).click();
    expect((await column(1))[0]).toBe('fenchel');
    expect(await page.locator('th[aria-sort="descending"]').innerText()).toBe(
      'final test accuracy',
    );
    await table.getByRole('button', { name: 'train time' }).click();
    const seconds = (await column(9)).map(
      (text) => Number.parseFloat(text) * (text.endsWith('min') ? 60 : 1),
    );
    expect(seconds).toEqual([...seconds].sort((a, b) => a - b));
    await table.getByRole('button', { name: 'method' }).click();
    expect(await column(1)).toEqual(mnistMethods.map(({ label }) => label).sort());
  });

  it('sorts the paired differences by their means', async () => {
    const { page } = await open(report);
    const table = page.locator('table').nth(1);
    await table.getByRole('button', { name: 'difference' }).click();
    const texts = await table.locator('td:nth-child(4)').allInnerTexts();
    expect(texts.at(-1)).toBe('reference');
    const means = texts.slice(0, -1).map((text) => Number(/[-+]\d+\.\d+/.exec(text)![0]));
    expect(means).toEqual([...means].sort((a, b) => a - b));
  });

  it('fits a phone: only tables and figures scroll sideways', async () => {
    const { page, complaints } = await open(report, {
      viewport: { width: 375, height: 800 },
      hasTouch: true,
    });
    const widths = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    expect(await page.evaluate(widths)).toBe(0);
    const plot = (await page.locator('.plot').first().boundingBox())!;
    const chart = (await page.locator('.plot .uplot').first().boundingBox())!;
    // No gap below the chart.
    expect(plot.height).toBeCloseTo(chart.height, 0);
    expect(plot.x + plot.width).toBeLessThanOrEqual(375);
    expect(complaints).toEqual([]);
  });

  it.each(['light', 'dark'] as const)('keeps text readable on a %s page', async (colorScheme) => {
    const { page } = await open(report, { colorScheme });
    const contrasts = await page.evaluate(contrastScript);
    expect(contrasts.page > 0.5).toBe(colorScheme === 'light');
    expect(Math.min(...contrasts.text)).toBeGreaterThanOrEqual(4.5);
    expect(Math.min(...contrasts.lines)).toBeGreaterThanOrEqual(3);
    expect(contrasts.lines).toHaveLength(mnistMethods.length);
  });

  it('shows the static figure without scripts, and in print', async () => {
    const { page } = await open(report, { javaScriptEnabled: false });
    expect(await page.locator('.figure.static svg').isVisible()).toBe(true);
    expect(await page.locator('.charts').isVisible()).toBe(false);
    const { page: printed } = await open(report);
    await printed.emulateMedia({ media: 'print' });
    expect(await printed.locator('.figure.static svg').isVisible()).toBe(true);
    expect(await printed.locator('.charts').isVisible()).toBe(false);
  });

  it('sorts the trials of a sweep, whose page fits a phone', async () => {
    const directory = join(root, 'sweep');
    const trials = [3, 1, 2].map((a) => ({
      id: `00000000000${a}`,
      overrides: { a },
      addedAt: '',
      retired: false,
    }));
    mkdirSync(directory);
    writeManifest(directory, {
      version: 1,
      name: 'sweep',
      config: 'base.yaml',
      search: 'grid',
      seed: 1,
      metric: { column: 'test_accuracy', goal: 'maximize' },
      parameters: ['a'],
      trials,
    });
    for (const { id, overrides } of trials) {
      const results = [
        { method: 'adam', seeds: 1, test_accuracy: 0.9 + overrides.a / 100, wall_s: 3 },
      ];
      writeState(directory, { id, status: 'COMPLETED', attempts: 1, results });
    }
    await writeSweepReport(directory);
    const { page, complaints } = await open(join(directory, 'report.html'), {
      viewport: { width: 375, height: 800 },
    });
    const column = () => page.locator('td:nth-child(2)').allInnerTexts();
    expect(await column()).toEqual(['3', '2', '1']);
    await page.getByRole('button', { name: 'a', exact: true }).click();
    expect(await column()).toEqual(['1', '2', '3']);
    const widths = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    expect(await page.evaluate(widths)).toBe(0);
    expect(complaints).toEqual([]);
  });

  it('runs nothing that stands in a label or a message', async () => {
    const label = '</script><script>document.title=1</script><img src=x onerror=document.title=2>';
    const folder = writeRuns(join(root, 'hostile'), [{ ...mnistMethods[0], label: 'x' }], [1], {
      batches: 20,
    });
    const runs = [{ label: 'x', seed: 1, status: 'FAILED', error: label }];
    const experiment = { name: label, dataset: label };
    writeFileSync(join(folder, 'run.json'), JSON.stringify({ experiment, runs, cpu: label }));
    writeFileSync(join(folder, 'config.yaml'), label);
    await writeReport(folder);
    const path = join(folder, 'report.html');
    const { page, complaints } = await open(path);
    expect(await page.title()).toBe(label);
    expect(complaints).toEqual([]);

    // Were something ever not escaped, the policy of the page would still not run it.
    writeFileSync(path, readFileSync(path, 'utf8').replace('<main>', `<main>${label}`));
    const { page: broken } = await open(path);
    expect(await broken.title()).toBe(label);
  });
});

/** Contrast ratios (WCAG 2) of texts and legend lines against the page. */
const contrastScript = `(() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = (text) => {
    const [r, g, b] = rgb(text).map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = luminance(getComputedStyle(document.body).backgroundColor);
  const ratio = (color) => {
    const [a, b] = [luminance(color), page].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const colors = (selector, property) =>
    [...document.querySelectorAll(selector)].map((element) => ratio(getComputedStyle(element)[property]));
  return {
    page,
    text: colors('h1, h2, h3, p, td, th, dt, dd, .legend button', 'color'),
    lines: colors('.legend line', 'stroke'),
  };
})()` as unknown as () => { page: number; text: number[]; lines: number[] };
