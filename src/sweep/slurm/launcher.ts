import { join } from 'node:path';
import { writeFileAtomic } from '../../files/atomic.js';
import { makeFolder } from '../../files/disk.js';
import { plural } from '../../report/text.js';
import { type Launcher, trialCommand } from '../launcher.js';
import { sweepPaths } from '../paths.js';
import { queuedTasks, readJobs, slurm, submittedJob, tasksOf, writeJobs } from './jobs.js';
import { checkSbatch, type SbatchOptions, type SlurmSettings } from './options.js';
import { arrayScript } from './script.js';

/**
 * Submits the trials that are due as array jobs of Slurm, and leaves them to it: queueing, GPUs,
 * nodes and limits are what it is made for. Trials that already wait or run there are left alone.
 * @param given options of sbatch from the command line; they win over the sweep file's
 */
export const slurmLauncher =
  (settings: SlurmSettings, given: SbatchOptions): Launcher =>
  async ({ directory, due, manifest }, { jobs: throttle, flags }, emit) => {
    const options = { ...settings.options, ...given };
    checkSbatch(options);
    const queue = await queuedTasks();
    const submitted = tasksOf(readJobs(directory));
    const isThere = (id: string) => queue.has(submitted.get(id) ?? '');
    const trials = due.map(({ id }) => id).filter((id) => !isThere(id));
    if (trials.length < due.length) {
      const there = plural(due.length - trials.length, 'trial');
      emit({ type: 'warning', message: `${there} in Slurm already: not submitted again` });
    }
    const paths = sweepPaths(directory);
    makeFolder(paths.slurm);
    const largest = await maxArraySize();
    for (let start = 0; start < trials.length; start += largest) {
      const part = trials.slice(start, start + largest);
      const base = join(paths.slurm, new Date().toISOString().replace(/[^0-9]/g, ''));
      writeFileAtomic(`${base}.trials`, `${part.join('\n')}\n`);
      writeFileAtomic(
        `${base}.sh`,
        arrayScript({
          name: manifest.name,
          tasks: part.length,
          throttle,
          list: `${base}.trials`,
          logs: join(directory, 'logs'),
          output: join(paths.slurm, '%A_%a.out'),
          command: trialCommand(directory, flags),
          settings,
          options,
        }),
      );
      const job = submittedJob(await slurm('sbatch', ['--parsable', `${base}.sh`]));
      const record = { id: job, submittedAt: new Date().toISOString(), trials: part };
      writeJobs(directory, [...readJobs(directory), record]);
      emit({ type: 'submitted', job, trials: part.length });
    }
    return { stopped: 'submitted' };
  };

/** Tasks that one array may have here. */
async function maxArraySize(): Promise<number> {
  const config = await slurm('scontrol', ['show', 'config']);
  return Number(/^MaxArraySize\s*=\s*(\d+)/m.exec(config)?.[1] ?? 1001);
}
