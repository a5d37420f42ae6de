import { realpathSync } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';
import { livingLock } from '../files/lock.js';
import { statsOf } from '../files/read.js';
import { layersFile } from '../runs/layers.js';
import { MetricsFollower } from '../runs/metrics-follower.js';
import {
  type Extent,
  findRunDirectories,
  layersName,
  loadRunDirectory,
  type Problem,
  problem,
  type RunDirectory,
  runFolders,
} from '../runs/run-directory.js';
import { lockName } from '../runs/run-directory-writer.js';

/** A run directory at one time. */
export interface Snapshot {
  readonly directory: RunDirectory;
  /** Whether a process writes into it. */
  readonly isActive: boolean;
  /** Another one where anything has changed. */
  readonly version: number;
  /** Why it cannot be read at all. */
  readonly broken?: Problem;
}

/** More numbers than this in memory (0.5 GB): the rows of directories that were read longest ago are dropped. */
const mostCells = 1 << 26;

/**
 * Follows run directories that other processes write into. It only reads: no lock is taken, no file is
 * written. What has not changed since, by size and time, is not read again, and of a metrics.csv that grew
 * only the new rows.
 */
export class LiveRuns {
  /** By path, in the order of their last use. */
  readonly #followers = new Map<string, DirectoryFollower>();
  readonly #root: string | undefined;

  /** @param root where given, nothing outside of this folder is read, wherever symbolic links lead */
  constructor(root?: string) {
    this.#root = root === undefined ? undefined : realpathSync(root);
  }

  /** The run directories below a path, without those outside of the root. */
  find(path: string): string[] {
    return findRunDirectories(path, (folder) => this.#isInside(folder));
  }

  /** Reads a run directory. What cannot be read is among its problems. */
  async read(path: string, extent: Extent): Promise<Snapshot> {
    const follower =
      this.#followers.get(path) ?? new DirectoryFollower(path, (file) => this.#isInside(file));
    this.#followers.delete(path);
    this.#followers.set(path, follower);
    const snapshot = await follower.read(extent);
    this.#dropOldest();
    return snapshot;
  }

  /** Forgets directories that no longer exist. */
  keepOnly(paths: readonly string[]): void {
    const kept = new Set(paths);
    for (const path of this.#followers.keys()) if (!kept.has(path)) this.#followers.delete(path);
  }

  #isInside(path: string): boolean {
    if (this.#root === undefined) return true;
    try {
      const real = realpathSync(path);
      return real === this.#root || real.startsWith(this.#root.replace(/[\\/]?$/, sep));
    } catch {
      // It does not exist: there is nothing to read.
      return statsOf(path) === undefined;
    }
  }

  #dropOldest(): void {
    let cells = 0;
    for (const follower of [...this.#followers.values()].reverse()) {
      cells += follower.cells;
      if (cells > mostCells) follower.drop();
    }
  }
}

let versions = 0;

class DirectoryFollower {
  /** Of every metrics.csv and layers.csv, by path. */
  readonly #csvs = new Map<string, MetricsFollower>();
  #extent: Extent = 'last row';
  #signature = '';
  #snapshot: Snapshot | undefined;
  /** Reads of one directory do not overlap. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    readonly path: string,
    private readonly isInside: (path: string) => boolean,
  ) {}

  get cells(): number {
    return [...this.#csvs.values()].reduce((sum, { cells }) => sum + cells, 0);
  }

  drop(): void {
    this.#csvs.clear();
    this.#snapshot = undefined;
  }

  read(extent: Extent): Promise<Snapshot> {
    const result = this.#last.then(() => this.#read(extent));
    this.#last = result.catch(() => {});
    return result;
  }

  async #read(extent: Extent): Promise<Snapshot> {
    const files = runFolders(this.path).flatMap(({ file }) => [
      file,
      join(dirname(file), layersName),
    ]);
    const known = ['run.json', 'config.yaml', lockName].map((name) => join(this.path, name));
    const outside = [...known, ...files].find((file) => !this.isInside(file));
    if (outside !== undefined) return this.#broken(outside);
    const isActive = livingLock(join(this.path, lockName)) !== undefined;
    const signature = [isActive, ...[...known.slice(0, 2), ...files].map(signatureOf)].join('\n');
    const isEnough = extent === 'last row' || this.#extent === 'all rows';
    if (this.#snapshot && isEnough && signature === this.#signature) return this.#snapshot;
    const directory =
      extent === 'all rows' ? await this.#follow(files) : loadRunDirectory(this.path, extent);
    // A change during reading is found the next time, since the signature was taken before.
    this.#signature = signature;
    this.#extent = extent;
    this.#snapshot = { directory, isActive, version: ++versions };
    return this.#snapshot;
  }

  async #follow(files: readonly string[]): Promise<RunDirectory> {
    for (const file of this.#csvs.keys()) if (!files.includes(file)) this.#csvs.delete(file);
    for (const file of files) await this.#follower(file).update();
    const read = (file: string) => this.#follower(file).file();
    return loadRunDirectory(this.path, 'all rows', { metrics: read, layers: read });
  }

  #follower(file: string): MetricsFollower {
    const known = this.#csvs.get(file);
    if (known !== undefined) return known;
    const isLayers = basename(file) === layersName;
    const follower = new MetricsFollower(file, isLayers ? layersFile : undefined);
    this.#csvs.set(file, follower);
    return follower;
  }

  #broken(outside: string): Snapshot {
    const message = `${outside}: leads outside of the folder that is shown; not read`;
    if (this.#snapshot?.broken?.message === message) return this.#snapshot;
    const broken = problem(this.path, message);
    const directory = { path: this.path, runs: [], problems: [broken] };
    this.#snapshot = { directory, isActive: false, version: ++versions, broken };
    return this.#snapshot;
  }
}

/** Changes whenever a file is written to or replaced. */
function signatureOf(file: string): string {
  const stats = statsOf(file);
  return stats === undefined ? '' : `${file} ${stats.ino} ${stats.size} ${stats.mtimeMs}`;
}
