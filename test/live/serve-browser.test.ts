import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openPage } from '../browser-page.js';
import { program, workplace } from '../cli/fln.js';
import { tinyConfig } from '../experiment/tiny.js';
import { mnistMethods, writeRuns } from '../report/synthetic.js';
import { served } from './running.js';

const executablePath = process.env.FLN_CHROMIUM;

describe.skipIf(!executablePath)('fln serve in a browser (needs FLN_CHROMIUM)', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  });
  afterAll(() => browser?.close());

  /** A page, what went wrong on it, and what it asked other hosts for. */
  async function open(url: string, viewport = { width: 1280, height: 900 }) {
    const { origin } = new URL(url);
    return openPage(browser, url, { isExpected: (one) => one.startsWith(origin), viewport });
  }
  const pixels = (page: Page) =>
    page
      .locator('.plot canvas')
      .first()
      .evaluate((canvas) => (canvas as unknown as { toDataURL(): string }).toDataURL());
  const width = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';

  /** Screenshots for people, where a folder for them is given. */
  async function picture(page: Page, name: string) {
    const folder = process.env.FLN_SCREENSHOTS;
    if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  }

  it('lists a run that starts, and shows its curves grow until it has completed', async () => {
    const cwd = workplace(tinyConfig);
    mkdirSync(join(cwd, 'results'));
    const server = await served(join(cwd, 'results'));
    const { page, complaints } = await open(server.url);
    expect(await page.locator('main').innerText()).toContain('No run was found yet');
    const settings = ['epochs=150', 'methods.adam.learningRate=0.001', '--only', 'adam'];
    const training = spawn(
      process.execPath,
      [...program, 'run', 'tiny.yaml', '--out', 'results/tiny', '--backend', 'cpu', ...settings],
      { cwd, stdio: 'ignore' },
    );
    onTestFinished(() => {
      training.kill('SIGKILL');
    });
    const ended = new Promise((resolve) => training.on('close', resolve));
    await page.getByRole('link', { name: 'tiny', exact: true }).click();
    const progress = page.locator('[data-part="progress"] tbody');
    await expect.poll(() => progress.innerText(), { timeout: 60_000 }).toMatch(/running/);
    await page.locator('.plot canvas').first().waitFor();
    const before = await pixels(page);
    // Not loaded again: the same element has more points.
    const figure = await page.locator('.charts').elementHandle();
    await expect.poll(() => pixels(page), { timeout: 60_000 }).not.toBe(before);
    await picture(page, 'running');
    expect(
      await figure!.evaluate(
        (element) => (element as unknown as { isConnected: boolean }).isConnected,
      ),
    ).toBe(true);
    await ended;
    await expect
      .poll(() => progress.innerText(), { timeout: 60_000 })
      .toMatch(/completed\s+600\/600/);
    await expect.poll(() => page.locator('[data-part="results"]').innerText()).toMatch(/adam.* %/);
    await picture(page, 'completed');
    expect(complaints).toEqual([]);
  });

  it('compares selected runs and shows their differences, also on a phone', async () => {
    const root = workplace('');
    for (const [i, name] of ['first', 'second'].entries()) {
      const run = writeRuns(join(root, name), mnistMethods.slice(0, 3), [1, 2], { batches: 100 });
      const methods = mnistMethods
        .slice(0, 3)
        .map(({ label }) => ({ name: 'adam', label, rate: i }));
      writeFileSync(join(run, 'config.yaml'), JSON.stringify({ name, epochs: i + 1, methods }));
    }
    const { url } = await served(root);
    const { page, complaints } = await open(url, { width: 390, height: 800 });
    expect(await page.evaluate(width)).toBe(0);
    await picture(page, 'list-phone');
    for (const box of await page.getByRole('checkbox').all()) await box.check();
    // An update keeps what is chosen.
    writeFileSync(join(root, 'second', 'config.yaml'), '{ name: second, epochs: 3 }');
    await page.waitForResponse((response) => response.url().includes('/api/'));
    expect(await page.getByRole('checkbox', { checked: true }).count()).toBe(2);
    await page.getByRole('button', { name: 'Compare the selected runs' }).click();
    await page.waitForURL(/compare\?dir=/);
    expect(await page.locator('.legend button').allInnerTexts()).toContain('second/fenchel');
    expect(await page.locator('[data-part="comparison"] tbody tr').count()).toBe(6);
    expect(await page.evaluate(width)).toBe(0);
    await picture(page, 'compare-phone');
    await page.setViewportSize({ width: 1280, height: 900 });
    await picture(page, 'compare');
    await page.getByRole('link', { name: 'differences between the two' }).click();
    expect(await page.locator('pre').innerText()).toMatch(/Settings:[\s\S]*epochs +1 +3/);
    await picture(page, 'diff');
    await page.getByRole('link', { name: 'All runs' }).click();
    await page.waitForURL(url);
    await picture(page, 'list');
    expect(complaints).toEqual([]);
  });

  it('runs nothing that stands in a name, a label or a config', async () => {
    const root = workplace('');
    const text = `"><script>document.title='hacked'</script><img src=x onerror="document.title='hacked'">'`;
    // A name of a folder has no slash, and writeRuns does not quote.
    const name = text.replaceAll(/[/"]/g, '');
    const run = writeRuns(join(root, name), [{ ...mnistMethods[0], label: name }], [1], {
      batches: 20,
    });
    const runs = [{ label: name, seed: 1, status: 'FAILED', error: text }];
    const experiment = { name: text, dataset: text };
    writeFileSync(join(run, 'run.json'), JSON.stringify({ experiment, runs, cpu: text }));
    writeFileSync(join(run, 'config.yaml'), `{ name: ${JSON.stringify(text)}, </script>`);
    const { url } = await served(root);
    const { page, complaints } = await open(url);
    await page.waitForResponse((response) => response.url().includes('/api/'));
    expect(await page.locator('[data-part="list"] tbody a').innerText()).toBe(name);
    await page.locator('[data-part="list"] tbody a').click();
    await page.locator('.plot canvas').first().waitFor();
    await page.waitForResponse((response) => response.url().includes('/api/'));
    expect(await page.title()).toBe(text);
    expect(await page.locator('main img').count()).toBe(0);
    const query = new URLSearchParams({ a: name, b: name });
    await page.goto(`${url}diff?${query}`);
    expect(await page.title()).toBe('Differences');
    expect(complaints).toEqual([]);
  });
});
