import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadExperiment } from '../../src/config/load.js';
import { loadDataset } from '../../src/data/load.js';
import { runExperiment } from '../../src/experiment/run.js';
import { type Job, type Outcome, startBackend, trainJob } from './page.js';

/** Path of a Chromium, as scripts/ci/chromium.sh prints it. */
const executablePath = process.env.FLN_CHROMIUM;
const path = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url));
const binaries = dirname(fileURLToPath(import.meta.resolve('@tensorflow/tfjs-backend-wasm')));

/**
 * The page trains with the code that Node trains with. WebAssembly and IEEE 754 leave no freedom but the
 * number of threads (one in both) and SIMD (the machine's, the same for both), so that every loss and
 * every weight is the same number. `fln run` adds nothing to them: its accuracy is the same one.
 */
describe.skipIf(!executablePath)('src/core in a browser (needs FLN_CHROMIUM)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fln-core-browser-'));
  const { experiment } = loadExperiment(path('configs/quickstart.yaml'), ['backend=wasm']);
  let browser: Browser;
  let server: Server;
  let page: Page;

  beforeAll(async () => {
    // Building for a browser fails on any import of Node.
    const { outputFiles } = await build({
      entryPoints: [path('test/core/page.ts')],
      bundle: true,
      platform: 'browser',
      format: 'iife',
      globalName: 'fln',
      write: false,
    });
    const script = outputFiles[0].contents;
    server = createServer(({ url = '/' }, response) => {
      const send = (type: string, body: string | Uint8Array) =>
        response.writeHead(200, { 'content-type': type }).end(body);
      if (url === '/') send('text/html', '<script src="core.js"></script>');
      else if (url === '/core.js') send('text/javascript', script);
      else if (url.endsWith('.wasm')) {
        send('application/wasm', readFileSync(join(binaries, basename(url))));
      } else response.writeHead(404).end();
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
    page = await browser.newPage();
    const { port } = server.address() as AddressInfo;
    await page.goto(`http://127.0.0.1:${port}/`);
    await page.evaluate(`fln.startBackend('http://127.0.0.1:${port}/')`);
    await startBackend();
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each(['fenchel', 'adam'])('trains %s of quickstart to the numbers of Node', async (label) => {
    const { network, loss, dataset, methods, seeds } = experiment;
    const { config, epochs, batchSize } = methods.find((method) => method.label === label)!;
    const { limit = 0, testLimit = 0 } = dataset;
    const levels = (await loadDataset(dataset)).levels.map((channel) => [...channel]);
    const [seed] = seeds;
    const job: Job = {
      ...{ network, loss, dataset: { limit, testLimit }, levels },
      ...{ config, epochs, batchSize, seed },
    };
    const inPage = (await page.evaluate(`fln.trainJob(${JSON.stringify(job)})`)) as Outcome;
    expect(inPage.losses).toHaveLength(200);
    expect(inPage.leaked).toBe(0);
    const underNode = await trainJob(job);
    expect(inPage.losses).toEqual(underNode.losses);
    expect(inPage.weights).toEqual(underNode.weights);

    const { runs } = await runExperiment(experiment, {
      outDir: join(folder, label),
      only: [label],
    });
    expect(inPage.accuracy).toBe(runs[0].summary?.finalTestAccuracy);
    expect(inPage.accuracy).toBeGreaterThan(experiment.expect[label].atLeast!);
  });
});
