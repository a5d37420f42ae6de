import { join } from 'node:path';
import type { Experiment } from '../config/experiment.js';
import { resolvedYaml } from '../config/print.js';
import { RunError, UsageError } from '../errors.js';
import { makeFolder, refuseSymlinks, refuseUnwritable } from '../files/folder.js';
import { folderOf, layersPath, metricsPath } from '../runs/run-directory.js';
import {
  lockDirectory,
  RunDirectoryWriter,
  removeLeftOvers,
} from '../runs/run-directory-writer.js';
import { type RunEntry, type RunId, type RunRecord, sameRun } from '../runs/run-json.js';
import type { Checkpoint } from './checkpoint/checkpoint.js';
import { Checkpoints, resumePoint } from './checkpoint/checkpoints.js';
import type { ExperimentPlan } from './plan.js';

/** The run directory that this process trains in, its plan and its checkpoints. */
export interface Session {
  readonly directory: RunDirectoryWriter;
  readonly plan: ExperimentPlan;
  /** The checkpoint that a run resumes from. */
  readonly resumePoint: (run: RunId) => Checkpoint | undefined;
}

/**
 * Creates or takes over the run directory: locks it, then writes run.json and config.yaml.
 *
 * @param replan called once the lock is held, so that it sees the changes of other processes
 * @param fresh record of this session, to which the runs of the earlier session are added
 * @param warn called for checkpoints that cannot be used
 * @throws RunError when another process holds the lock or a run cannot be resumed,
 *   UsageError when the plan does not fit it, DiskError when the disk refuses
 */
export function openSession(
  path: string,
  experiment: Experiment,
  replan: () => ExperimentPlan,
  fresh: RunRecord,
  warn: (message: string) => void,
): Session {
  makeFolder(path);
  const lock = lockDirectory(path);
  try {
    const plan = replan();
    const points = inspectDirectory(plan, fresh, warn);
    const startedAt = plan.previous?.startedAt ?? fresh.startedAt;
    const begun = plan.previous?.extends;
    const record = { ...fresh, ...(begun && { extends: begun }), startedAt, runs: queue(plan) };
    const directory = RunDirectoryWriter.start(path, lock, record, resolvedYaml(experiment));
    // A queued run must not have old results, even if this process is killed.
    for (const run of plan.runs.filter(({ done }) => !done)) {
      const folder = folderOf(path, run);
      directory.prepare(run, points.has(folder));
      if (points.has(folder)) removeLeftOvers(join(folder, 'checkpoints'));
    }
    return { directory, plan, resumePoint: (run) => points.get(folderOf(path, run)) };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Earlier entries, those to be trained now as QUEUED, in the order of the plan. */
function queue({ previous, runs }: ExperimentPlan): RunEntry[] {
  const kept = (previous?.runs ?? []).filter(
    (entry) => !runs.some((run) => !run.done && sameRun(run, entry)),
  );
  const planned = runs.map(({ label, seed, done, continues }): RunEntry => {
    const before = previous?.runs.find((entry) => sameRun(entry, { label, seed }));
    if (before && done) return before;
    // Interrupted until it resumes.
    if (before && continues) return { ...before, status: 'INTERRUPTED' };
    return { label, seed, status: 'QUEUED' };
  });
  const others = kept
    .filter((entry) => !planned.some((run) => sameRun(run, entry)))
    // This process holds the lock: runs that are recorded as running died with theirs.
    .map(
      (entry): RunEntry =>
        entry.status === 'RUNNING' ? { ...entry, status: 'INTERRUPTED' } : entry,
    );
  return [...planned, ...others];
}

/** Whether the directory keeps results that this session does not compute from scratch. */
export function keepsNumbers({ previous, runs }: ExperimentPlan): boolean {
  const kept = previous?.runs.filter(({ status }) => status !== 'QUEUED') ?? [];
  return kept.some(
    (entry) => !runs.some((run) => !run.done && !run.continues && sameRun(run, entry)),
  );
}

/**
 * Checks the contents of a run directory, before anything is changed.
 * @param plan of the directory as it is now
 * @param made the backend and data of this session; no data where it has to be downloaded
 * @param warn called for checkpoints that cannot be used
 * @returns the checkpoints that runs resume from, by the folder of the run
 * @throws UsageError, RunError
 */
export function inspectDirectory(
  plan: ExperimentPlan,
  made: Partial<Pick<RunRecord, 'backend' | 'dataset'>>,
  warn: (message: string) => void,
): Map<string, Checkpoint> {
  const { directory, runs } = plan;
  if (keepsNumbers(plan)) checkContinuity(plan, made);
  for (const run of runs) {
    const folder = folderOf(directory, run);
    const files = [metricsPath(directory, run), layersPath(directory, run)];
    refuseSymlinks([folder, ...files, join(folder, 'checkpoints')]);
    if (!run.done) refuseUnwritable(folder);
  }
  const points = new Map<string, Checkpoint>();
  for (const run of runs) {
    if (!run.continues) continue;
    const folder = folderOf(directory, run);
    const csvs = { metrics: metricsPath(directory, run), layers: layersPath(directory, run) };
    const point = resumePoint(new Checkpoints(folder), csvs, warn);
    if (point) points.set(folder, point);
  }
  return points;
}

/** The results of one directory must be comparable: same backend and device, same data. */
function checkContinuity(
  { directory, previous }: ExperimentPlan,
  { backend, dataset }: Partial<Pick<RunRecord, 'backend' | 'dataset'>>,
): void {
  const before = previous?.backend;
  const device = backend?.device;
  if (before && backend && (before.name !== backend.name || (before.device ?? device) !== device)) {
    throw new RunError(
      `another process has just computed results in ${directory} on the backend "${before.name}". Run the same command again`,
    );
  }
  const data = dataset && { name: dataset.name, sha256: dataset.sha256 };
  if (data && JSON.stringify(previous?.dataset) !== JSON.stringify(data)) {
    throw new UsageError(
      `the results in ${directory} were computed from other data (the checksums in run.json differ). ` +
        'Retrain everything with --overwrite (without --resume, --only and --seeds), or write elsewhere with --out DIR',
    );
  }
}
