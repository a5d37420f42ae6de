/**
 * `npm run build && npx tsx scripts/full-disk.ts [RUNS] [SEED]` as root: trains on disks of random
 * sizes that fill up at some write, then resumes with enough space. Prints corrupt files; exits 1 when there are any.
 */
import { fillDisks } from './robustness/full-disk.js';
import { measuredOn } from './robustness/provenance.js';

const [runs = '100', seed = '1'] = process.argv.slice(2);
const figures = await fillDisks(Number(runs), Number(seed), ({ runs: done, full }) => {
  if (done % 20 === 0) process.stderr.write(`${done} of ${runs} runs, ${full} disks full\n`);
});
if (figures === undefined) {
  process.stdout.write('SKIPPED: no tmpfs can be mounted here; run it as root\n');
} else {
  const { failures, ...counts } = figures;
  process.stdout.write(
    `${JSON.stringify({ ...counts, measuredOn: await measuredOn() }, null, 2)}\n`,
  );
  for (const failure of failures) process.stdout.write(`${failure}\n`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}
