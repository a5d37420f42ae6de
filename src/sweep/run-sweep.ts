import { dirname } from 'node:path';
import { resolvedYaml } from '../config/print.js';
import { RunError } from '../errors.js';
import { removeFolderAtomic, writeFileAtomic } from '../files/atomic.js';
import { guardDisk } from '../files/disk.js';
import { makeFolder } from '../files/folder.js';
import { explainHeld, type HeldLock, lockOfOther, takeLock } from '../files/lock.js';
import { checkTrials, failingText, type SweepCheck } from './check.js';
import { halvingSummary, trainingsLeft } from './halving/record.js';
import type { Launcher, LaunchOptions, LaunchResult, SweepEvent } from './launcher.js';
import type { Sweep } from './load.js';
import { writeManifest } from './manifest.js';
import { refuseLinksIn, sweepFolders, sweepPaths } from './paths.js';
import { planSweep, type SweepPlan, type SweepPlanOptions } from './plan.js';
import { readState, writeState } from './state.js';
import { type SweepStatus, statusOf } from './status.js';

export interface SweepResult extends LaunchResult {
  readonly directory: string;
  readonly status: SweepStatus;
}

/**
 * Writes the sweep directory and runs the due trials with a launcher.
 * @throws UsageError as `planSweep`; RunError when another process runs this sweep; DiskError
 */
export async function runSweep(
  sweep: Sweep,
  options: SweepPlanOptions & LaunchOptions,
  launch: Launcher,
  emit: (event: SweepEvent) => void,
): Promise<SweepResult> {
  const { directory, status } = planSweep(sweep, options);
  try {
    const { plan, check } = await checkSweep(sweep, options);
    const warnings = check ? [...check.warnings, ...failingText(check, plan.due.length)] : [];
    for (const message of warnings) emit({ type: 'warning', message });
  } catch (error) {
    if (options.signal?.aborted) return { stopped: 'interrupted', directory, status };
    throw error;
  }
  makeFolder(directory);
  const path = sweepPaths(directory).lock;
  const lock = guardDisk(path, () => takeLock(path, (held) => refusal(directory, held)));
  try {
    // Again, since the directory may have changed before it was locked.
    const plan = planSweep(sweep, options);
    emit({ type: 'directory', path: directory });
    prepare(sweep, plan, options);
    const kept = plan.status.trials.filter(({ trial }) => !trial.retired).length - plan.due.length;
    const search = halvingSummary(statusOf(directory, plan.manifest));
    const trainings = search && plan.due.length > 0 ? trainingsLeft(search) : undefined;
    emit({ type: 'begun', due: plan.due.length, kept, trainings });
    let result = plan.due.length > 0 ? await launch(plan, options, emit) : {};
    const rest = result.stopped === undefined ? leftByOthers(sweep, plan, options) : undefined;
    if (rest !== undefined) {
      prepare(sweep, rest, options);
      result = await launch(rest, options, emit);
    }
    return { ...result, directory, status: statusOf(directory, plan.manifest) };
  } finally {
    lock.release();
  }
}

/** Trials that another process was running when a resumed sweep started, and did not complete. */
function leftByOthers(
  sweep: Sweep,
  { status }: SweepPlan,
  options: SweepPlanOptions,
): SweepPlan | undefined {
  const others = status.trials.filter(({ state }) => state.status === 'RUNNING');
  if (!options.resume || others.length === 0) return undefined;
  const plan = planSweep(sweep, options);
  const due = plan.due.filter(({ id }) => others.some(({ trial }) => trial.id === id));
  return due.length > 0 ? { ...plan, due } : undefined;
}

/**
 * All checks of a sweep before it writes anything; a dry run does only these.
 * @returns `check` is absent where no trial is due, or trials run on other machines
 * @throws UsageError as `planSweep`; RunError when another process runs the sweep; as `checkTrials`
 */
export async function checkSweep(
  sweep: Sweep,
  options: SweepPlanOptions & LaunchOptions & { readonly dryRun?: boolean },
): Promise<{ plan: SweepPlan; check?: SweepCheck }> {
  const plan = planSweep(sweep, options);
  const { directory, due } = plan;
  const held = lockOfOther(sweepPaths(directory).lock, !options.dryRun);
  if (held !== undefined) throw refusal(directory, held);
  refuseLinksIn(
    directory,
    due.map(({ id }) => id),
  );
  if (due.length === 0 || options.elsewhere) return { plan };
  return { plan, check: await checkTrials(plan, options) };
}

const refusal = (directory: string, held: HeldLock): RunError =>
  new RunError(
    explainHeld(
      held,
      `is running the sweep in ${directory}`,
      'Wait for it, or print its state with --status',
    ),
  );

/** Writes the files that trials need. */
function prepare(sweep: Sweep, plan: SweepPlan, { rerun }: SweepPlanOptions): void {
  const { directory, due, manifest } = plan;
  const paths = sweepPaths(directory);
  refuseLinksIn(
    directory,
    due.map(({ id }) => id),
  );
  // Written first, so that --resume can recover from an interruption at any later point.
  writeManifest(directory, manifest);
  for (const folder of sweepFolders(directory)) makeFolder(folder);
  for (const { id, experiment } of due) {
    writeFileAtomic(paths.config(id), resolvedYaml(experiment));
    if (rerun !== 'all') continue;
    makeFolder(dirname(paths.trial(id)));
    removeFolderAtomic(paths.trial(id));
    writeState(directory, { id, status: 'QUEUED', attempts: readState(directory, id).attempts });
  }
  writeFileAtomic(paths.file, sweep.text);
}
