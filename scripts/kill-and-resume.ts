/**
 * `npm run build && npx tsx scripts/kill-and-resume.ts [RUNS] [SEED]`: kills the training of
 * every method at random times and resumes it. Prints lost data; exits 1 when there is any.
 */
import { killAndResume } from './robustness/kill-and-resume.js';
import { measuredOn } from './robustness/provenance.js';

const [wanted = '200', seed = '1'] = process.argv.slice(2);
const figures = await killAndResume(Number(wanted), Number(seed), ({ resumed, kills }) => {
  if (resumed % 20 === 0) process.stderr.write(`${resumed} of ${wanted} runs, ${kills} kills\n`);
});
const { failures, ...counts } = figures;
process.stdout.write(`${JSON.stringify({ ...counts, measuredOn: await measuredOn() }, null, 2)}\n`);
for (const failure of failures) process.stdout.write(`${failure}\n`);
process.exitCode = failures.length === 0 && counts.identical === Number(wanted) ? 0 : 1;
