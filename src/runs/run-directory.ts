import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { methodVariants } from '../config/methods.js';
import { maxConfigBytes } from '../config/read-file.js';
import { FlnError, UsageError } from '../errors.js';
import { isFolder } from '../files/folder.js';
import { livingLock } from '../files/lock.js';
import { readOptional } from '../files/read.js';
import { printable, withoutControls } from '../shared/text.js';
import { layersFile } from './layers.js';
import { type Metrics, type MetricsFile, readMetrics } from './metrics.js';
import { readMetricsEnd } from './metrics-end.js';
import {
  type Pause,
  type RecordedRun,
  type RunId,
  type RunInfo,
  type RunStatus,
  type RunSummary,
  readRunInfo,
} from './run-json.js';

/** One training run, read from its files. */
export interface Run {
  /** The run directory it belongs to. */
  readonly directory: string;
  /** Name of the experiment: from run.json, else that of the directory. */
  readonly experiment: string;
  readonly label: string;
  /** The algorithm, where the method's name does not determine it; only set when all rows are read. */
  readonly variant?: string;
  readonly seed: number;
  readonly status: RunStatus;
  readonly error?: string;
  /** Where it stopped on request; its status is then INTERRUPTED. */
  readonly paused?: Pause;
  /** ISO 8601, UTC. */
  readonly startedAt?: string;
  readonly endedAt?: string;
  /** Batches of the whole run. */
  readonly totalBatches?: number;
  /** When, and after which batch, it last resumed from a checkpoint. */
  readonly resumed?: { readonly at: string; readonly batch: number };
  /** No rows where there is no readable metrics.csv. */
  readonly metrics: Metrics;
  /** Where there is a readable layers.csv, one row per measured batch and layer; only set when all rows are read. */
  readonly layers?: Metrics;
  /** Why metrics.csv could not be read. */
  readonly unread?: 'absent' | 'damaged';
  /** The run's summary in run.json. */
  readonly recorded?: Partial<RunSummary>;
}

/** Something that could not be used, as a sentence that names the file. */
export interface Problem {
  readonly path: string;
  readonly message: string;
}

/** A problem, without the control characters of quoted text. */
export const problem = (path: string, message: string): Problem => ({
  path,
  message: withoutControls(message),
});

export interface RunDirectory {
  readonly path: string;
  readonly info?: RunInfo;
  /** Text of config.yaml. */
  readonly config?: string;
  /** In the order of run.json, then by name and seed. */
  readonly runs: readonly Run[];
  readonly problems: readonly Problem[];
}

/** How much of each metrics.csv is read. */
export type Extent = 'all rows' | 'last row';

/**
 * Reads the runs of run directories, or of folders that contain them. Nothing is thrown: what cannot be
 * read becomes a problem, and the rest is returned.
 */
export function loadRuns(
  paths: readonly string[],
  extent: Extent = 'all rows',
): {
  runs: Run[];
  directories: RunDirectory[];
  problems: Problem[];
} {
  const found = new Map<string, string>();
  const problems: Problem[] = [];
  for (const path of paths) {
    const directories = findRunDirectories(path);
    if (directories.length === 0) problems.push(nothingIn(path));
    for (const directory of directories) found.set(realpathSync(directory), directory);
  }
  const directories = [...found.values()].map((path) => loadRunDirectory(path, extent));
  return {
    runs: directories.flatMap(({ runs }) => runs),
    directories,
    problems: [...problems, ...directories.flatMap((directory) => directory.problems)],
  };
}

type Reader = (file: string, key: string) => MetricsFile;

/** What reads the CSVs of a run. */
export interface Readers {
  readonly metrics: Reader;
  /** Absent where no layers.csv is wanted. */
  readonly layers?: Reader;
}

const readersOf: Readonly<Record<Extent, Readers>> = {
  'all rows': {
    metrics: (file) => readMetrics(file),
    layers: (file) => readMetrics(file, layersFile),
  },
  'last row': { metrics: readMetricsEnd },
};

/**
 * Reads one run directory: every metrics.csv in it, run.json and config.yaml where present.
 * @param readers in place of those of the extent; they get the {@link keyOf} of the run too
 */
export function loadRunDirectory(
  path: string,
  extent: Extent = 'all rows',
  readers: Readers = readersOf[extent],
): RunDirectory {
  const problems: Problem[] = [];
  const attempt = <T>(file: string, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      const { message } = error as Error;
      // Errors of readMetrics are complete sentences; the others lack the file.
      const named = error instanceof FlnError ? message : `${file}: ${message}`;
      problems.push(problem(file, named));
      return undefined;
    }
  };
  const runJson = join(path, 'run.json');
  const info = attempt(runJson, () => liveRunInfo(path));
  const config = attempt(join(path, 'config.yaml'), () =>
    readOptional(join(path, 'config.yaml'), { mostBytes: maxConfigBytes }),
  );
  // Parsing YAML costs more than the last rows of the runs do.
  const variants =
    config !== undefined && extent === 'all rows' ? methodVariants(config) : undefined;
  const experiment = info?.name ?? printable(basename(resolve(path)));

  const files = new Map(runFolders(path).map((folder) => [folder.key, folder]));
  const entries = new Map((info?.runs ?? []).map((entry) => [keyOf(entry), entry]));
  const runs: Run[] = [];
  for (const key of new Set([...entries.keys(), ...files.keys()])) {
    const entry = entries.get(key);
    const folder = files.get(key);
    const { label, seed } = entry ?? folder!;
    const tableOf = (file: string, readTable: Reader) => {
      const table = attempt(file, () => readTable(file, key));
      for (const message of table?.warnings ?? []) problems.push(problem(file, message));
      return table;
    };
    const read = folder && tableOf(folder.file, readers.metrics);
    const layersCsv = folder && join(dirname(folder.file), layersName);
    const layers =
      readers.layers && layersCsv && existsSync(layersCsv)
        ? tableOf(layersCsv, readers.layers)?.metrics
        : undefined;
    const metrics = { ...(read?.metrics ?? noMetrics), method: label, seed };
    if (entry === undefined && read === undefined) continue;
    const { error, status = 'COMPLETED', startedAt, endedAt, recorded } = entry ?? {};
    const { totalBatches, resumed, paused } = entry ?? {};
    const unread = folder === undefined ? 'absent' : read === undefined ? 'damaged' : undefined;
    const id = { directory: path, experiment, label, variant: variants?.get(label), seed };
    const times = { startedAt, endedAt, totalBatches, resumed };
    const numbers = { metrics, ...(layers && { layers: { ...layers, method: label, seed } }) };
    runs.push({ ...id, status, error, paused, ...times, ...numbers, unread, recorded });
  }
  return { path, info, config, runs: guessStatus(runs, entries), problems };
}

/** run.json; runs that are recorded as running without a living process that holds the lock were interrupted. */
function liveRunInfo(path: string): RunInfo | undefined {
  const info = readRunInfo(path);
  const isRunning = ({ status }: RecordedRun) => status === 'RUNNING';
  if (!info?.runs.some(isRunning) || livingLock(join(path, 'lock'), false)) return info;
  // Runs may have ended or started in between.
  const now = readRunInfo(path);
  if (JSON.stringify(now?.runs) !== JSON.stringify(info.runs)) return now;
  const runs = info.runs.map((entry) =>
    isRunning(entry) ? { ...entry, status: 'INTERRUPTED' as const } : entry,
  );
  return { ...info, runs };
}

/** The status that lists show: `PAUSED` where a run stopped on request, at `--stop-at-epoch` or a rung. */
export const shownStatus = ({ status, paused }: Run): RunStatus | 'PAUSED' =>
  paused && status === 'INTERRUPTED' ? 'PAUSED' : status;

const noMetrics: Metrics = { method: '', seed: 0, rows: 0, columns: {} };
/** Name of a run in its directory, and of its folder. */
export const keyOf = ({ label, seed }: RunId): string => `${label}-s${seed}`;

/** The folder of a run, with its metrics.csv and checkpoints. */
export const folderOf = (directory: string, run: RunId): string => join(directory, keyOf(run));

/** What the files of one run hold. */
export interface Written {
  readonly metrics: Metrics;
  readonly layers?: Metrics;
}

export const layersName = 'layers.csv';

/** The layers.csv of a run; only lifted methods have one. */
export const layersPath = (directory: string, run: RunId): string =>
  join(folderOf(directory, run), layersName);

/** The metrics.csv of a run. */
export const metricsPath = (directory: string, run: RunId): string =>
  join(folderOf(directory, run), 'metrics.csv');

/**
 * Without an entry in run.json, a run with fewer batches than another seed of its method counts as
 * interrupted: its last accuracy is not a final one.
 */
function guessStatus(runs: readonly Run[], known: ReadonlyMap<string, RecordedRun>): Run[] {
  return runs.map((run) => {
    if (known.has(keyOf(run))) return run;
    const longest = runs
      .filter(({ label }) => label === run.label)
      .reduce((most, { metrics }) => Math.max(most, lastBatch(metrics)), 0);
    return lastBatch(run.metrics) < longest ? { ...run, status: 'INTERRUPTED' as const } : run;
  });
}

/** Number of the last batch recorded; 0 where there is none. */
export function lastBatch({ columns, rows }: Metrics): number {
  return rows > 0 ? columns.batch[rows - 1] : 0;
}

/** Value of a column in the last row; undefined where it is absent or not finite. */
export function lastValue({ columns }: Metrics, name: string): number | undefined {
  const value = columns[name]?.at(-1);
  return Number.isFinite(value) ? value : undefined;
}

/**
 * The run directories of a path: itself, the trials of a sweep, or those up to two levels below it.
 * @param mayEnter whether to look into a folder
 */
export function findRunDirectories(
  path: string,
  mayEnter: (path: string) => boolean = () => true,
  depth = 2,
): string[] {
  if (!isFolder(path) || !mayEnter(path)) return [];
  if (existsSync(join(path, 'sweep.json'))) {
    const trials = join(path, 'trials');
    return subfolders(trials).flatMap((id) => findRunDirectories(join(trials, id), mayEnter, 0));
  }
  if (runFolders(path).length > 0 || existsSync(join(path, 'run.json'))) return [path];
  if (depth === 0) return [];
  return subfolders(path).flatMap((name) =>
    findRunDirectories(join(path, name), mayEnter, depth - 1),
  );
}

/**
 * The only run directory of a path.
 * @throws UsageError where there is none, or more than one
 */
export function oneRunDirectory(path: string): string {
  const found = findRunDirectories(path);
  if (found.length === 1) return found[0];
  if (found.length === 0) {
    throw new UsageError(
      `${path} is not a run directory, and has none below it. "fln ls" lists run directories`,
    );
  }
  const names = found.slice(0, 10).map((directory) => `\n  ${directory}`);
  const rest = found.length > names.length ? `\n  ... and ${found.length - names.length} more` : '';
  throw new UsageError(
    `${path} holds ${found.length} run directories; name one of them:${names.join('')}${rest}`,
  );
}

interface RunFolder {
  readonly key: string;
  readonly label: string;
  readonly seed: number;
  readonly file: string;
}

/** The folders `LABEL-sSEED` that hold a metrics.csv, by label, then by seed. */
export function runFolders(path: string): RunFolder[] {
  return subfolders(path)
    .flatMap((name) => {
      const match = /^(.+)-s(\d+)$/.exec(name);
      const file = join(path, name, 'metrics.csv');
      if (match === null || !existsSync(file)) return [];
      const label = printable(match[1]);
      const seed = Number(match[2]);
      return [{ key: keyOf({ label, seed }), label, seed, file }];
    })
    .sort((a, b) => (a.label === b.label ? a.seed - b.seed : a.label < b.label ? -1 : 1));
}

function subfolders(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
      .map((entry) => entry.name)
      .sort();
  } catch {
    return [];
  }
}

function nothingIn(path: string): Problem {
  if (!existsSync(path)) return problem(path, `${path}: there is no such directory`);
  if (existsSync(join(path, 'metrics.csv'))) {
    const parent = dirname(resolve(path));
    return problem(path, `${path}: this is one run; give its run directory, ${parent}`);
  }
  return problem(path, `${path}: no <method>-s<seed>/metrics.csv here or two levels below`);
}
