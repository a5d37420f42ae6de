import type { ArgumentsCamelCase, CommandModule, InferredOptionTypes } from 'yargs';
import { devices } from '../../backend/backend.js';
import { ExitCode } from '../../errors.js';
import type { ExperimentEvent } from '../../experiment/events.js';
import type { TrialState } from '../../sweep/state.js';
import { type Interruption, interruptible } from '../interrupt.js';
import { dataDir, offline, oneOf, saving } from '../options.js';
import { note } from '../render/print.js';
import { createProgress } from '../render/progress.js';

const options = {
  device: {
    type: 'string',
    describe: 'cpu or cuda, if the config does not set it',
    coerce: oneOf('device', devices),
  },
  'data-dir': dataDir,
  offline,
  ...saving,
} as const;

type TrialArguments = InferredOptionTypes<typeof options> & { dir: string; id: string };

/** `fln sweep-trial DIR ID`, which launchers start. */
export const sweepTrialCommand: CommandModule<object, TrialArguments> = {
  command: 'sweep-trial <dir> <id>',
  describe: 'run one trial of a sweep, as launchers do',
  builder: (parser) =>
    parser
      .positional('dir', { type: 'string', demandOption: true, describe: 'sweep directory' })
      .positional('id', { type: 'string', demandOption: true, describe: 'id of the trial' })
      .options(options) as never,
  handler: runHandler,
};

async function runHandler(args: ArgumentsCamelCase<TrialArguments>): Promise<void> {
  const { runTrial } = await import('../../sweep/trial.js');
  const progress = createProgress('text', note, []);
  const listen = (event: ExperimentEvent) => {
    progress.listen(event);
    reportShare(event);
  };
  let interruption: Interruption | undefined;
  const stop = (first: Interruption) => {
    interruption = first;
    note(`${first.message}: stopping after this batch, with a checkpoint.`);
  };
  // Without its launcher nothing can stop this process, so it stops itself; the sweep can be resumed.
  const orphaned = () => process.kill(process.pid, 'SIGTERM');
  const status = await interruptible(stop, (signal) => {
    if (process.channel) process.once('disconnect', orphaned);
    const { device, dataDir, offline, checkpointEvery, keepCheckpoints } = args;
    const model = !args.noModel;
    const flags = { device, dataDir, offline, checkpointEvery, keepCheckpoints, model };
    const interruptedCode = () => interruption?.exitCode ?? ExitCode.interrupted;
    return runTrial(
      args.dir,
      String(args.id),
      { ...flags, signal, job: slurmJob(), interruptedCode },
      listen,
    );
  }).finally(() => {
    process.off('disconnect', orphaned);
    if (process.connected) process.disconnect();
  });
  process.exitCode = {
    completed: ExitCode.ok,
    failed: ExitCode.runFailed,
    interrupted: interruption?.exitCode ?? ExitCode.interrupted,
    // The search continues it; Slurm would show another code as a failure.
    paused: ExitCode.ok,
  }[status];
}

/** Set by the script of an array job. */
function slurmJob(): TrialState['job'] {
  const [id, task] = process.env.FLN_SWEEP_JOB?.split('_') ?? [];
  return id && task ? { id, task } : undefined;
}

let runs = { index: 0, count: 1, done: 0, batches: 1 };
let reported = 0;

/** Sends the progress to the launcher, at most twice a second. */
function reportShare(event: ExperimentEvent): void {
  if (!process.connected) return;
  if (event.type === 'run-started') {
    const { index, runs: count, done, batches, stopAt } = event;
    runs = { index, count, done, batches: stopAt ?? batches };
  }
  if (event.type !== 'batch' || Date.now() - reported < 500) return;
  reported = Date.now();
  const share = (event.batch - runs.done) / (runs.batches - runs.done);
  process.send?.({ share: (runs.index + share) / runs.count });
}
