/**
 * `npm run build && npx tsx scripts/fuzz.ts [CASES] [SEED] [SURFACE]`: passes malformed and hostile input, 10,000
 * cases per surface, to all parsers: command lines, configs, overrides, data files, metrics, checkpoints, run and
 * sweep directories, HTTP answers. A case fails on an exception other than an FlnError, on
 * control characters or a stack trace in a message, on a hang of 10 s, on prototype pollution, or on files left
 * behind. Prints cases, seconds and the peak memory of the process, which must stay below 1.5 GB; exits 1
 * with the smallest failing case.
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
