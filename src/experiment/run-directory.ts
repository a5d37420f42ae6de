import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Experiment } from '../config/experiment.js';
import { resolvedYaml } from '../config/print.js';
import { UsageError } from '../errors.js';
import { isLeftOver, removeFolderAtomic, writeFileAtomic } from '../files/atomic.js';
import { guardDisk, makeFolder } from '../files/disk.js';
import { refuseElsewhere } from '../files/elsewhere.js';
import type { FileLock } from '../files/lock.js';
import type { Checkpoint } from './checkpoint/checkpoint.js';
import { Checkpoints } from './checkpoint/checkpoints.js';
import { resumePoint } from './checkpoint/resume-point.js';
import type { RunId } from './events.js';
import { lockDirectory, lostLock } from './lock.js';
import type { ExperimentPlan } from './plan.js';
import { type RunEntry, type RunRecord, sameRun, writeRecord } from './run-record.js';

/** The files of one experiment, held by a lock while this process writes them. */
export class RunDirectory {
  #record: RunRecord;
  /** Where runs go on, by their folder. */
  readonly #resumePoints = new Map<string, Checkpoint>();

  private constructor(
    readonly path: string,
    readonly lock: FileLock,
    record: RunRecord,
  ) {
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
      if (previous) checkContinuity(path, previous, fresh, current);
      const record = {
        ...fresh,
        startedAt: previous?.startedAt ?? fresh.startedAt,
        runs: queue(current),
      };
      const directory = new RunDirectory(path, lock, record);
      // Refused before anything is changed.
      for (const run of current.runs) {
        const folder = directory.#folder(run);
        refuseElsewhere([folder, join(folder, 'metrics.csv'), join(folder, 'checkpoints')]);
      }
      for (const run of current.runs) if (run.continues) directory.#findResumePoint(run, warn);
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
   * @throws RunError when another process has taken the directory over, DiskError
   */
  update(entry: RunEntry): void {
    if (!this.lock.isHeld()) throw lostLock(this.path);
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

  #folder({ label, seed }: RunId): string {
    return join(this.path, `${label}-s${seed}`);
  }

  #findResumePoint(run: RunId, warn: (message: string) => void): void {
    const metrics = join(this.#folder(run), 'metrics.csv');
    const point = resumePoint(this.checkpoints(run), metrics, warn);
    if (point) this.#resumePoints.set(this.#folder(run), point);
  }

  /** Makes room for a run that starts anew, and tidies up for one that goes on. */
  #prepare(run: RunId): void {
    if (this.resumePoint(run)) this.checkpoints(run).clean();
    else removeFolderAtomic(this.#folder(run));
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

/** Numbers of one directory must be comparable: same backend and device, same data. */
function checkContinuity(
  path: string,
  previous: RunRecord,
  fresh: RunRecord,
  plan: ExperimentPlan,
): void {
  const replaced = previous.runs.every((entry) =>
    plan.runs.some((run) => !run.done && !run.continues && sameRun(run, entry)),
  );
  if (replaced) return;
  if (previous.backend.name !== fresh.backend.name) {
    throw new UsageError(
      `the results in ${path} were computed on the backend "${previous.backend.name}", not "${fresh.backend.name}". ` +
        `Go on with --backend ${previous.backend.name}, or write elsewhere with --out DIR`,
    );
  }
  const { device } = fresh.backend;
  if ((previous.backend.device ?? device) !== device) {
    throw new UsageError(
      `the results in ${path} were computed on the device "${previous.backend.device}", not "${device}". ` +
        `Go on with --device ${previous.backend.device}, or write elsewhere with --out DIR`,
    );
  }
  if (JSON.stringify(previous.dataset) !== JSON.stringify(fresh.dataset)) {
    throw new UsageError(
      `the results in ${path} were computed from other data (the checksums in run.json differ). ` +
        'Add --overwrite to train everything anew, or write elsewhere with --out DIR',
    );
  }
}
