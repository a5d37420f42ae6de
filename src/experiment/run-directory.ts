import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Experiment } from '../config/experiment.js';
import { resolvedYaml } from '../config/print.js';
import { RunError, UsageError } from '../errors.js';
import { isLeftOver, removeFolderAtomic, writeFileAtomic } from '../files/atomic.js';
import { guardDisk } from '../files/disk.js';
import { makeFolder, refuseSymlinks, refuseUnwritable } from '../files/folder.js';
import type { FileLock } from '../files/lock.js';
import { lockDirectory } from '../runs/lock.js';
import type { RunId } from '../runs/run-json.js';
import { type RunEntry, type RunRecord, sameRun, writeRecord } from '../runs/run-json.js';
import type { Checkpoint } from './checkpoint/checkpoint.js';
import { Checkpoints } from './checkpoint/checkpoints.js';
import { resumePoint } from './checkpoint/resume-point.js';
import type { ExperimentPlan } from './plan.js';

/** The files of one experiment, held by a lock while this process writes them. */
export class RunDirectory {
  #record: RunRecord;
  /** Where runs go on, by their folder. */
  readonly #resumePoints: ReadonlyMap<string, Checkpoint>;

  private constructor(
    readonly path: string,
    readonly lock: FileLock,
    record: RunRecord,
    resumePoints: ReadonlyMap<string, Checkpoint>,
  ) {
    this.#resumePoints = resumePoints;
    this.#record = record;
  }

  /**
   * Creates or takes over the run directory: locks it, then writes run.json and config.yaml.
   *
   * @param plan made once the lock is held, so that it sees what another process left
   * @param fresh record of this session; the earlier session's runs are kept in it
   * @param warn told of checkpoints that cannot be used
   * @throws RunError when another process holds it or a run cannot go on where it was interrupted,
   *   UsageError when the plan does not fit it, DiskError when the disk refuses
   */
  static open(
    path: string,
    experiment: Experiment,
    plan: () => ExperimentPlan,
    fresh: RunRecord,
    warn: (message: string) => void = () => {},
  ): { directory: RunDirectory; plan: ExperimentPlan } {
    makeFolder(path);
    const lock = lockDirectory(path);
    try {
      const current = plan();
      const { previous } = current;
      const resumePoints = inspectDirectory(current, fresh, warn);
      const record = {
        ...fresh,
        startedAt: previous?.startedAt ?? fresh.startedAt,
        runs: queue(current),
      };
      const directory = new RunDirectory(path, lock, record, resumePoints);
      removeLeftOvers(path);
      writeRecord(path, record);
      writeFileAtomic(join(path, 'config.yaml'), resolvedYaml(experiment));
      // Old numbers must not stand beside a run that is queued, whatever stops this process.
      for (const run of current.runs) if (!run.done) directory.#prepare(run);
      return { directory, plan: current };
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  get record(): RunRecord {
    return this.#record;
  }

  /** Prepares the folder of one run and returns the path of its metrics.csv. */
  metricsPath(run: RunId): string {
    const folder = this.#folder(run);
    makeFolder(folder);
    return join(folder, 'metrics.csv');
  }

  checkpoints(run: RunId): Checkpoints {
    return new Checkpoints(this.#folder(run));
  }

  /** The checkpoint that a run goes on from, in this session. */
  resumePoint(run: RunId): Checkpoint | undefined {
    return this.#resumePoints.get(this.#folder(run));
  }

  /** Marks a run as running: from its start, or on from its checkpoint. @returns its entry */
  begin(run: RunId): RunEntry {
    const at = new Date().toISOString();
    const before = this.#record.runs.find((entry) => sameRun(entry, run));
    const point = this.resumePoint(run);
    const entry: RunEntry = {
      label: run.label,
      seed: run.seed,
      status: 'RUNNING',
      startedAt: (point && before?.startedAt) ?? at,
      resumed: point && [...(before?.resumed ?? []), { at, batch: point.position.batch }],
    };
    this.update(entry);
    return entry;
  }

  /**
   * Replaces the entry of one run in run.json.
   * @throws DiskError; LostLockError, as all that writes into the directory
   */
  update(entry: RunEntry): void {
    const runs = this.#record.runs.map((old) => (sameRun(old, entry) ? entry : old));
    this.#record = { ...this.#record, runs };
    writeRecord(this.path, this.#record);
  }

  /** Notes the end of the session. */
  finish(): void {
    this.#record = { ...this.#record, endedAt: new Date().toISOString() };
    writeRecord(this.path, this.#record);
  }

  release(): void {
    this.lock.release();
  }

  #folder(run: RunId): string {
    return folderOf(this.path, run);
  }

  /** Makes room for a run that starts anew, and tidies up for one that goes on. */
  #prepare(run: RunId): void {
    if (this.resumePoint(run)) {
      removeLeftOvers(this.#folder(run));
      this.checkpoints(run).clean();
    } else removeFolderAtomic(this.#folder(run));
  }
}

/** What processes left that were killed while they wrote. */
function removeLeftOvers(path: string): void {
  for (const name of readdirSync(path).filter(isLeftOver)) {
    const file = join(path, name);
    guardDisk(file, () => rmSync(file, { recursive: true, force: true }));
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
    // It stands where it was interrupted until it goes on.
    if (before && continues) return { ...before, status: 'INTERRUPTED' };
    return { label, seed, status: 'QUEUED' };
  });
  const others = kept
    .filter((entry) => !planned.some((run) => sameRun(run, entry)))
    // We hold the lock: what still counts as running died with its process.
    .map(
      (entry): RunEntry =>
        entry.status === 'RUNNING' ? { ...entry, status: 'INTERRUPTED' } : entry,
    );
  return [...planned, ...others];
}

/** Whether results stay in the directory that this session does not compute from their start. */
export function keepsNumbers({ previous, runs }: ExperimentPlan): boolean {
  const kept = previous?.runs.filter(({ status }) => status !== 'QUEUED') ?? [];
  return kept.some(
    (entry) => !runs.some((run) => !run.done && !run.continues && sameRun(run, entry)),
  );
}

/**
 * Everything that the contents of a run directory may be refused for, before anything is changed.
 * @param plan of the directory as it is now
 * @param made the backend and data of this session; no data where it has to be downloaded
 * @param warn told of checkpoints that cannot be used
 * @returns where runs go on, by their folder
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
    refuseSymlinks([folder, join(folder, 'metrics.csv'), join(folder, 'checkpoints')]);
    if (!run.done) refuseUnwritable(folder);
  }
  const points = new Map<string, Checkpoint>();
  for (const run of runs) {
    if (!run.continues) continue;
    const folder = folderOf(directory, run);
    const point = resumePoint(new Checkpoints(folder), join(folder, 'metrics.csv'), warn);
    if (point) points.set(folder, point);
  }
  return points;
}

/** Of a run: its numbers and checkpoints. */
export const folderOf = (directory: string, { label, seed }: RunId): string =>
  join(directory, `${label}-s${seed}`);

/** Numbers of one directory must be comparable: same backend and device, same data. */
function checkContinuity(
  { directory, previous }: ExperimentPlan,
  { backend, dataset }: Partial<Pick<RunRecord, 'backend' | 'dataset'>>,
): void {
  const before = previous?.backend;
  const device = backend?.device;
  if (before && backend && (before.name !== backend.name || (before.device ?? device) !== device)) {
    throw new RunError(
      `another process computed results in ${directory} on the backend "${before.name}" meanwhile. Run the same command again`,
    );
  }
  const data = dataset && { name: dataset.name, sha256: dataset.sha256 };
  if (data && JSON.stringify(previous?.dataset) !== JSON.stringify(data)) {
    throw new UsageError(
      `the results in ${directory} were computed from other data (the checksums in run.json differ). ` +
        'Train everything anew with --overwrite (without --resume, --only and --seeds), or write elsewhere with --out DIR',
    );
  }
}
