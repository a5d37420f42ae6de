import type { Experiment } from '../config/experiment.js';
import { ExitCode } from '../errors.js';
import { type ExperimentOptions, runExperiment } from '../experiment/run.js';
import { type Interruption, interruptible } from './interrupt.js';
import { type ProgressMode, resolveMode } from './render/mode.js';
import { note, printText } from './render/print.js';
import { createProgress } from './render/progress.js';
import { formatResult, notes, resultJson } from './render/result.js';

/**
 * Runs an experiment with progress on stderr, and its result on stdout.
 * @returns the exit code
 */
export async function trainAndPrint(
  experiment: Experiment,
  options: ExperimentOptions,
  { progress, json = false }: { readonly progress: ProgressMode; readonly json?: boolean },
): Promise<ExitCode> {
  const labels = experiment.methods.map(({ label }) => label);
  const renderer = createProgress(resolveMode(progress, json, process.stderr), note, labels);
  let interruption: Interruption | undefined;
  const onFirst = (first: Interruption) => {
    interruption = first;
    renderer.pause();
    note(
      first.by === 'SIGINT'
        ? 'Stopping after this batch, with a checkpoint; press Ctrl-C again to stop at once.'
        : `${first.message}: stopping after this batch, with a checkpoint.`,
    );
  };
  try {
    const result = await interruptible(onFirst, (signal) =>
      runExperiment(experiment, { ...options, signal }, renderer.listen),
    );
    renderer.pause();
    const code = {
      completed: ExitCode.ok,
      failed: ExitCode.runFailed,
      interrupted: interruption?.exitCode ?? ExitCode.interrupted,
    }[result.status];
    printText(json ? resultJson(result, code) : formatResult(result));
    for (const text of notes(result)) note(text);
    return code;
  } finally {
    renderer.pause();
  }
}
