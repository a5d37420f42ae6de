/**
 * `npm run build && npx tsx scripts/fuzz.ts [CASES] [SEED] [SURFACE]`: feeds damaged and hostile input, 10,000
 * cases a surface, to everything that reads: command lines, configs, overrides, data files, metrics, checkpoints, run and
 * sweep directories, HTTP answers. A case fails on an exception that is no error of the program's own, on
 * control characters or a stack in a message, on a hang of 10 s, on a polluted prototype, on files left
 * behind. Prints cases, seconds and the most memory of the process so far, which must not reach 1.5 GB; exits 1
 * with the smallest case that fails.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fuzz } from '../test/fuzz/surface.js';
import { surfaces } from '../test/fuzz/surfaces/all.js';
import { measuredOn } from './robustness/provenance.js';

const mostMegabytes = 1500;

const [cases = '10000', seed = '1', only] = process.argv.slice(2);
for (const surface of surfaces) {
  if (only !== undefined && surface.name !== only) continue;
  const folder = mkdtempSync(join(tmpdir(), 'fln-fuzz-'));
  const started = performance.now();
  try {
    await fuzz(surface, { count: Number(cases), seed: Number(seed), folder });
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    const megabytes = Math.round(process.resourceUsage().maxRSS / 1000);
    if (megabytes >= mostMegabytes) process.exitCode = 1;
    process.stdout.write(
      `${surface.name}: ${cases} cases in ${seconds} s, at most ${megabytes} MB\n`,
    );
  } catch (error) {
    const { message, cause } = error as Error;
    const why = cause instanceof Error ? (cause.stack ?? cause.message) : '';
    process.stdout.write(`${surface.name}: ${message.slice(0, 2000)}\n${why}\n`);
    process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
process.stdout.write(`${await measuredOn()}\n`);
