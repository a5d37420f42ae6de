import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundlePlayground } from '../../scripts/bundle-playground.js';
import { loadExperiment, parseExperiment } from '../../src/config/load.js';
import { runExperiment } from '../../src/experiment/run.js';
import { defaultExperiment, playgroundExperiment } from '../../src/playground/experiment.js';
import type { BatchRow, FromWorker } from '../../src/playground/protocol.js';
import { playgroundHtml, readScripts } from '../../src/playground/write-page.js';
import { readMetrics } from '../../src/runs/metrics.js';
import { openPage } from '../browser-page.js';

/** Path of a Chromium, as scripts/ci/chromium.sh prints it. */
const executablePath = process.env.FLN_CHROMIUM;
/** How long the memory is watched; by hand, for five minutes: 300. */
const memorySeconds = Number(process.env.FLN_PLAYGROUND_SECONDS ?? 20);

/** Waits for it, on a busy machine too. */
const eventually = <T>(read: () => T) => expect.poll(read, { timeout: 60_000 });

/** Keeps what the page's worker sends, and what its content security policy stopped there. */
const recordMessages = `
  globalThis.seen = [];
  const report = "addEventListener('securitypolicyviolation', ({ violatedDirective }) => postMessage({ type: 'violation', violatedDirective }));";
  globalThis.Blob = class extends Blob {
    constructor(parts, options) {
      super(options?.type === 'text/javascript' ? [report, ...parts] : parts, options);
    }
  };
  globalThis.Worker = class extends Worker {
    constructor(url) {
      super(url);
      this.addEventListener('message', ({ data }) => seen.push(data));
    }
  };`;

describe.skipIf(!executablePath)('the playground in a browser (needs FLN_CHROMIUM)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fln-playground-'));
  const small = ['dataset.limit=300', 'dataset.testLimit=100', 'batchSize=50', 'epochs=1'];
  let browser: Browser;
  const pageOf = (name: string, overrides: readonly string[] = [], config = defaultExperiment) => {
    const scripts = readScripts(folder);
    const html = playgroundHtml(playgroundExperiment(config, overrides), scripts);
    const path = join(folder, name);
    writeFileSync(path, html);
    return path;
  };

  beforeAll(async () => {
    expect(bundlePlayground(join(folder, 'browser'))).toBe(true);
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What the page says on the console, and what it asks for beside its own text; what its worker sends. */
  async function open(path: string, options: BrowserContextOptions = {}) {
    const url = pathToFileURL(path).href;
    const { page, complaints } = await openPage(browser, url, {
      isExpected: (requested) => requested === url || requested.startsWith('blob:'),
      prepare: (page) => page.addInitScript(recordMessages),
      ...options,
    });
    const seen = () => page.evaluate('seen') as Promise<FromWorker[]>;
    const rows = async () =>
      (await seen()).flatMap((message) => (message.type === 'rows' ? message.rows : []));
    const status = (text: RegExp) =>
      eventually(() => page.locator('#status').textContent()).toMatch(text);
    return { page, complaints, seen, rows, status };
  }

  it('trains three methods to the numbers of fln run, loads nothing and has no errors', async () => {
    const { page, complaints, rows, seen, status } = await open(pageOf('quickstart.html'));
    await page.evaluate(countReadOut);
    await status(/All batches are done/);
    // A screen reader is not told every batch.
    expect(await page.evaluate('readOut')).toBeLessThanOrEqual(5);
    const text = (await page.locator('#yaml').textContent())!;
    const { experiment } = parseExperiment(text, 'experiment.yaml');
    const outDir = join(folder, 'run');
    await runExperiment(experiment, { outDir });
    const inPage = await rows();
    const { expect: limits } = loadExperiment(defaultExperiment).experiment;
    for (const { label } of experiment.methods) {
      const { columns } = readMetrics(join(outDir, `${label}-s1`, 'metrics.csv')).metrics;
      const own = inPage.filter((row) => row.label === label);
      // Six digits are written.
      const as = (name: keyof BatchRow) =>
        own.map((row) => Number((row[name] as number | undefined)?.toPrecision(6) ?? Number.NaN));
      const written = (name: string) => [...columns[name]].map((v) => Number(v.toPrecision(6)));
      expect(as('batch')).toEqual(written('batch'));
      expect(as('trainLoss')).toEqual(written('train_loss'));
      expect(as('trainAccuracy')).toEqual(written('train_accuracy'));
      expect(as('testLoss')).toEqual(written('test_loss'));
      expect(as('testAccuracy')).toEqual(written('test_accuracy'));
      expect(own.at(-1)?.testAccuracy).toBeGreaterThan(limits[label].atLeast!);
    }
    expect(JSON.stringify(await seen())).not.toContain('violation');
    expect(complaints).toEqual([]);
  });

  it('pauses, takes one batch, one block of Algorithm 2, and starts again with another seed', async () => {
    const config = join(folder, 'exact.yaml');
    writeFileSync(config, exactConfig);
    const path = pageOf('steps.html', [], config);
    const { page, complaints, seen, rows, status } = await open(path);
    await status(/done/);
    const finished = (await rows()).length;
    await page.locator('#reset').click();
    await status(/Ready/);
    // Of the one line at work: innerText has no other.
    const current = () => page.locator('.algorithm [aria-current]').innerText();
    for (const line of [
      /^X ←.*all hidden layers together.* residual \d/,
      /^W\s*1/,
      /^W\s*2/,
      /^W\s*3/,
      /^X/,
    ]) {
      await page.locator('#one-block').click();
      await eventually(current).toMatch(line);
    }
    expect(await page.locator('#algorithm h3').innerText()).toMatch(/alternation 2 of 2$/);
    // Between two blocks, another method can be looked at.
    await page.locator('#looked').selectOption('adam');
    const pictured = async () =>
      (await seen()).flatMap((one) => (one.type === 'insight' ? [one.insight.label] : []));
    await eventually(async () => (await pictured()).at(-1)).toBe('adam');
    // The batch at work is finished, and no other begun.
    await page.locator('#one-batch').click();
    await status(/At batch 1 of/);
    expect((await rows()).slice(finished).map(({ label }) => label)).toEqual(['fenchel']);
    expect(await page.evaluate(hasInk)).toBe(true);
    await page.locator('#seed').fill('');
    await page.locator('#seed').press('Enter');
    await page.locator('#seed').fill('7');
    await page.locator('#seed').press('Enter');
    await eventually(() => page.locator('#yaml').textContent()).toContain('seeds: [ 7 ]');
    const blocks = (await seen()).filter(({ type }) => type === 'block');
    expect(blocks).toHaveLength(5);
    expect(await page.locator('#yaml').textContent()).not.toContain('seeds: [ 0 ]');
    expect(complaints).toEqual([]);
  });

  it('is changed by controls that have names, also by the keyboard, and says what does not fit', async () => {
    const { page, complaints, status } = await open(pageOf('controls.html', small));
    await status(/done/);
    for (const summary of await page.locator('summary').all()) await summary.click();
    expect(await violations(page)).toEqual([]);
    const slider = page.locator('#m0-targetStep-slider');
    await slider.focus();
    await page.keyboard.press('End');
    await eventually(() => page.locator('#yaml').textContent()).toContain('targetStep: 2');
    await page.locator('#network-layers-slider').press('Home');
    await eventually(() => page.locator('#problems').innerText()).toContain('fenchel');
    await page.locator('#network-layers-slider').press('End');
    await page.locator('#network-activation').selectOption('tanh');
    await page.locator('#add-method').selectOption('muon');
    await status(/done/);
    const text = (await page.locator('#yaml').textContent())!;
    const { experiment } = parseExperiment(text, 'experiment.yaml');
    expect(experiment.network.activations).toEqual(['tanh', 'tanh', 'tanh', 'tanh']);
    expect(experiment.methods.map(({ label }) => label)).toContain('muon');
    expect(await page.locator('#problems').isVisible()).toBe(false);
    // What was removed had the focus: it stays in the settings.
    await page.locator('#remove-3').press('Enter');
    expect(await page.evaluate('document.activeElement.id')).toBe('method-0');
    expect(complaints).toEqual([]);
  });

  it('refuses numbers that the config has not, names all that diverge, and starts again after a mistake', async () => {
    const { page, complaints, status } = await open(pageOf('hostile.html', small));
    await status(/done/);
    const yaml = (await page.locator('#yaml').textContent())!;
    const enter = async (id: string, value: string) => {
      await page.locator(id).fill(value);
      await page.locator(id).press('Enter');
    };
    for (const id of ['#run-batchSize', '#run-limit', '#network-layers', '#network-0-dense']) {
      await enter(id, '');
      await enter(id, '0.5');
    }
    await enter('#network-0-dense', '1000000');
    expect(await page.locator('#yaml').textContent()).toBe(yaml);
    await page.locator('#run-dataset').selectOption('mnist');
    await eventually(() => page.locator('#problems').innerText()).toContain('Drop the four files');
    await page.locator('#run-dataset').selectOption('synthetic-digits');
    await status(/done/);
    await enter('#m1-learningRate', '1e30');
    await enter('#m2-learningRate', '1e30');
    await status(/done/);
    const problems = await page.locator('#problems li').allInnerTexts();
    expect(problems.map((text) => text.split(' ').slice(0, 2).join(' ')).sort()).toEqual([
      'adam: diverged',
      'sgd: diverged',
    ]);
    expect(complaints.splice(0)).toEqual([]);
    await page.workers()[0].evaluate("setTimeout(() => { throw new Error('on purpose') })");
    await status(/Stopped/);
    expect(await page.locator('#problems').innerText()).toMatch(
      /Reset starts it again.*on purpose/,
    );
    await page.locator('#reset').click();
    await status(/Ready/);
    await page.locator('#run').click();
    await status(/done/);
    expect(complaints.filter((text) => !text.includes('on purpose'))).toEqual([]);
  });

  it('takes files of MNIST, and refuses others in words', async () => {
    const { page, complaints, status } = await open(pageOf('files.html', small));
    await status(/done/);
    const answer = async (files: { name: string; buffer: Buffer }[]) => {
      const mimeType = 'application/octet-stream';
      await page.locator('#files').setInputFiles(files.map((file) => ({ ...file, mimeType })));
      const output = page.locator('#data-status');
      await eventually(() => output.textContent()).not.toMatch(/^$|Reading/);
      const text = (await output.textContent())!;
      await output.evaluate((element) => {
        element.textContent = '';
      });
      return text;
    };
    const image = Buffer.concat([idx(3, [60, 28, 28]), Buffer.alloc(60 * 784, 40)]);
    const labels = Buffer.concat([
      idx(1, [60]),
      Buffer.from(Array.from({ length: 60 }, (_, i) => i % 10)),
    ]);
    const good = [
      { name: 'train-images-idx3-ubyte.gz', buffer: gzipSync(image) },
      { name: 'train-labels-idx1-ubyte', buffer: labels },
      { name: 't10k-images-idx3-ubyte', buffer: image },
      { name: 't10k-labels-idx1-ubyte.gz', buffer: gzipSync(labels) },
    ];
    const withFirst = (buffer: Buffer, name = good[0].name) => [{ name, buffer }, ...good.slice(1)];
    expect(
      await answer([{ name: '<img src=x onerror=alert(1)>.exe', buffer: Buffer.from('MZ') }]),
    ).toContain('is not one of the files of MNIST');
    expect(await answer(good.slice(0, 3))).toContain('test labels are missing');
    expect(await answer(withFirst(Buffer.from('no IDX file')))).toMatch(
      /train-images.* magic number/,
    );
    expect(await answer(withFirst(gzipSync(image).subarray(0, 60)))).toContain('damaged gzip');
    // 100 MB of zeros in 100 kB.
    expect(await answer(withFirst(gzipSync(Buffer.alloc(1e8))))).toContain('longer than');
    expect(
      await answer(withFirst(Buffer.concat([idx(3, [2 ** 31, 28, 28]), Buffer.alloc(784)]))),
    ).toContain('truncated');
    const text = { name: good[1].name, buffer: Buffer.from('labels\n'.repeat(20)) };
    expect(await answer(good.with(1, text))).toMatch(/train-labels.* magic number/);
    const fewer = { name: good[1].name, buffer: labels.subarray(0, -1) };
    expect(await answer(good.with(1, fewer))).toContain('truncated');
    const beyond = Buffer.concat([labels.subarray(0, -1), Buffer.from([10])]);
    expect(await answer(good.with(1, { name: good[1].name, buffer: beyond }))).toMatch(
      /train-labels.* 10/,
    );
    const others = Buffer.concat([idx(1, [1]), Buffer.from([1])]);
    expect(await answer(good.with(1, { name: good[1].name, buffer: others }))).toContain(
      'do not belong together',
    );
    expect(await answer([...good, text])).toContain('5 files');
    expect(await answer(good)).toBe('MNIST: 60 training and 60 test images');
    await eventually(() => page.locator('#yaml').textContent()).toContain('name: mnist');
    expect(complaints).toEqual([]);
  });

  it('classifies what is drawn, by mouse and by keyboard', async () => {
    const { page, complaints, status, seen } = await open(pageOf('draw.html', small));
    await status(/done/);
    await page.locator('#pad').scrollIntoViewIfNeeded();
    const box = (await page.locator('#pad').boundingBox())!;
    await page.mouse.move(box.x + 140, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + 140, box.y + 220, { steps: 8 });
    await page.mouse.up();
    await eventually(() => page.locator('#guess').textContent()).toMatch(/^fenchel: \d$/);
    await page.locator('#pad').press('Escape');
    await page.keyboard.press('Space');
    for (let i = 0; i < 12; i++) await page.keyboard.press('ArrowDown');
    await page.locator('#looked').selectOption('adam');
    await eventually(() => page.locator('#guess').textContent()).toMatch(/^adam: \d$/);
    const last = (await seen()).findLast(({ type }) => type === 'classified');
    if (last?.type !== 'classified') throw new Error('nothing was classified');
    expect(last.outputs.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 4);
    expect(complaints).toEqual([]);
  });

  it.each([
    ['a phone', { viewport: { width: 375, height: 800 }, hasTouch: true }],
    ['a dark page', { colorScheme: 'dark' }],
  ] as const)('fits %s, with readable text', async (_, options) => {
    const config = join(folder, 'exact.yaml');
    writeFileSync(config, exactConfig);
    const path = pageOf('fits.html', [], config);
    const { page, complaints, status } = await open(path, options);
    await status(/done/);
    await page.locator('#reset').click();
    await page.locator('#one-block').click();
    await status(/updated/);
    const width = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    expect(await page.evaluate(width)).toBe(0);
    expect(await violations(page)).toEqual([]);
    expect(complaints).toEqual([]);
  });

  it(`holds its memory for ${memorySeconds} seconds`, async () => {
    const path = pageOf('memory.html', [...small, 'epochs=100000']);
    const { page, complaints, rows, seen } = await open(path);
    await eventually(async () => (await rows()).length).toBeGreaterThan(100);
    const samples: number[] = [];
    const end = Date.now() + 1000 * memorySeconds;
    while (Date.now() < end) {
      samples.push(residentBytes());
      await page.waitForTimeout(1000);
      // What is recorded here is not the page's.
      if (samples.length % 5 === 0) await page.evaluate('seen.splice(0, seen.length - 50)');
    }
    const third = Math.ceil(samples.length / 3);
    const mean = (part: number[]) => part.reduce((sum, v) => sum + v, 0) / part.length;
    const growth = mean(samples.slice(-third)) - mean(samples.slice(third, 2 * third));
    expect(growth).toBeLessThan(60 * 2 ** 20);
    const tensors = (await seen()).flatMap((one) => (one.type === 'rows' ? [one.tensors] : []));
    expect(Math.max(...tensors) - Math.min(...tensors)).toBeLessThanOrEqual(20);
    console.log(
      `${memorySeconds} s: ${Math.round(samples[third] / 2 ** 20)} MB, then ${(growth / 2 ** 20).toFixed(1)} MB more; tensors ${Math.min(...tensors)} to ${Math.max(...tensors)}`,
    );
    expect(complaints).toEqual([]);
  });
});

const exactConfig = `
name: exact
dataset: { name: synthetic-digits, limit: 300, testLimit: 100 }
network: { layers: [{ dense: 20, activation: relu }, { dense: 10, activation: relu }, { dense: 10 }] }
epochs: 1
batchSize: 50
seeds: [1]
methods:
  - { name: fenchel, solver: exact, tolerance: 0.01, xSolve: joint, alternations: 2 }
  - { name: adam }
`;

/** Resident memory of the renderers of Chromium that this process started. */
function residentBytes(): number {
  const lines = execFileSync('ps', ['-eo', 'pid,ppid,rss,args'], { encoding: 'utf8' }).split('\n');
  const all = lines.slice(1).map((line) => line.trim().split(/\s+/));
  const mine = new Set([String(process.pid)]);
  for (let before = 0; before < mine.size; ) {
    before = mine.size;
    for (const [pid, parent] of all) if (mine.has(parent)) mine.add(pid);
  }
  return all
    .filter(([pid, , , ...args]) => mine.has(pid) && args.includes('--type=renderer'))
    .reduce((sum, [, , kilobytes]) => sum + 1024 * Number(kilobytes), 0);
}

/** The header of an IDX file of bytes. */
function idx(rank: number, dimensions: readonly number[]): Buffer {
  const header = Buffer.alloc(4 + 4 * rank);
  header.writeUInt32BE((8 << 8) | rank);
  for (const [i, size] of dimensions.entries()) header.writeUInt32BE(size, 4 + 4 * i);
  return header;
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds wrong for people with disabilities: names, roles, contrast. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const found = `axe.run().then(({ violations }) =>
    violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => id + ': ' + html)))`;
  return page.evaluate(found);
}

/** Counts from now on the changes that a screen reader reads out. */
const countReadOut = `
  globalThis.readOut = 0;
  const observer = new MutationObserver((changes) => (readOut += changes.length));
  for (const element of document.querySelectorAll('output, [aria-live], [role=alert], [role=status]')) {
    observer.observe(element, { childList: true, characterData: true, subtree: true });
  }`;

/** Whether the first panel has a curve of the first colour. */
const hasInk = `(() => {
  const canvas = document.querySelector('#accuracy-batch canvas');
  const color = getComputedStyle(document.documentElement).getPropertyValue('--curve-0').trim();
  const [r, g, b] = [1, 3, 5].map((i) => Number.parseInt(color.slice(i, i + 2), 16));
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < data.length; i += 4) {
    if (data[i] === r && data[i + 1] === g && data[i + 2] === b && data[i + 3] === 255) return true;
  }
  return false;
})()`;
