/**
 * `npm run build && npx tsx scripts/sweep-interruptions.ts [TRIALS] [INTERRUPTIONS] [SEED]`: runs a
 * sweep, interrupts it (Ctrl-C, SIGTERM, kill -9 of the launcher, kill -9 of a trial) and resumes it
 * until it is done. Prints the states of the trials; exits 1 unless each completed exactly once.
 */
import { measuredOn } from './robustness/provenance.js';
import { interruptSweep } from './robustness/sweep-interruptions.js';

const [trials = '200', interruptions = '20', seed = '1'] = process.argv.slice(2);
const figures = await interruptSweep(Number(trials), Number(interruptions), Number(seed), (done) =>
  process.stderr.write(`${done} of ${trials} trials\n`),
);
process.stdout.write(
  `${JSON.stringify({ ...figures, measuredOn: await measuredOn() }, null, 2)}\n`,
);
const { completed, notOnce, unreadable, incomplete } = figures;
const isSound = completed === figures.trials && notOnce + unreadable + incomplete === 0;
process.exitCode = isSound ? 0 : 1;
