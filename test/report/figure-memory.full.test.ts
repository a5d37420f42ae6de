import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { curvesOf } from '../../src/report/content.js';
import { drawFigure } from '../../src/report/figure.js';
import { loadRuns } from '../../src/runs/run-directory.js';
import { mnistMethods, writeRuns } from './synthetic.js';

it('gives the pixels of its pictures back: 30 figures in a process hold few of them', async () => {
  const root = mkdtempSync(join(tmpdir(), 'fln-figure-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const written = writeRuns(join(root, 'many'), mnistMethods.slice(0, 1), [1], { batches: 10 });
  const curves = curvesOf(loadRuns([written]).runs)!;
  const draw = () => drawFigure(curves, { title: 'mnist-mlp', subtitle: 'mnist' });
  for (let i = 0; i < 5; i++) await draw();
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 30; i++) await draw();
  // Each has 13 MB of pixels.
  expect(process.memoryUsage().rss - before).toBeLessThan(250e6);
});
