import { z } from 'zod';
import { UsageError } from '../errors.js';
import { writeFileAtomic } from '../files/atomic.js';
import { mostTextBytes, readOptional } from '../files/read.js';
import { plural, sizeText } from '../shared/text.js';
import type { Sweep } from './load.js';
import { sweepPaths } from './paths.js';
import { metricColumns, metricOf, searchOf } from './schema.js';

/** Format of trial ids, which are parts of paths. */
export const trialId = /^[0-9a-f]{12}$/;

const ManifestTrial = z.object({
  /** Hash of the trial's resolved config. */
  id: z.string().regex(trialId),
  overrides: z.record(z.string(), z.json()),
  addedAt: z.string(),
  /** No longer in the sweep file: its results are kept, and it is not run again. */
  retired: z.boolean().default(false),
});

const Manifest = z.object({
  version: z.literal(1),
  name: z.string(),
  /** Path of the experiment, as in the sweep file. */
  config: z.string(),
  search: z.enum(['grid', 'random', 'halving']),
  /** Of search: halving; trials are paused after the epochs of each rung. */
  halving: z
    .object({
      eta: z.int().min(2),
      epochs: z.array(z.int().positive()).min(1),
      /** Seeds that each trial trains. */
      seeds: z.int().positive(),
    })
    .optional(),
  seed: z.number(),
  metric: z.object({
    method: z.string().optional(),
    column: z.enum(metricColumns),
    goal: z.enum(['maximize', 'minimize']),
  }),
  /** Paths of the settings that vary, in the order of the sweep file. */
  parameters: z.array(z.string()),
  trials: z.array(ManifestTrial),
});

/** sweep.json: the trials of a sweep. Their states are in files of their own. */
export type Manifest = Readonly<z.infer<typeof Manifest>>;
export type ManifestTrial = Manifest['trials'][number];
export type Metric = Manifest['metric'];
export type HalvingSearch = NonNullable<Manifest['halving']>;

/**
 * The manifest of a sweep file. Trials of the earlier manifest keep their date where the file still has
 * them, and are retired otherwise.
 */
export function manifestOf(sweep: Sweep, earlier?: Manifest): Manifest {
  const { name, config, seed, parameters, zip } = sweep.config;
  const metric = metricOf(sweep.config);
  const now = new Date().toISOString();
  const known = new Map(earlier?.trials.map((trial) => [trial.id, trial]));
  const current = sweep.trials.map(({ id, overrides }) => ({
    id,
    overrides: overrides as ManifestTrial['overrides'],
    addedAt: known.get(id)?.addedAt ?? now,
    retired: false,
  }));
  const ids = new Set(current.map(({ id }) => id));
  const retired = (earlier?.trials ?? [])
    .filter(({ id }) => !ids.has(id))
    .map((trial) => ({ ...trial, retired: true }));
  const validated = sweep.trials.some(({ experiment }) => experiment.dataset.validation);
  const column = metric.column ?? (validated ? 'validation_accuracy' : 'test_accuracy');
  return {
    version: 1,
    name,
    config,
    search: searchOf(sweep.config).kind,
    ...(sweep.halving && { halving: sweep.halving }),
    seed,
    metric: {
      method: metric.method,
      column,
      goal: metric.goal ?? (column.endsWith('accuracy') ? 'maximize' : 'minimize'),
    },
    parameters: [...Object.keys(parameters), ...zip.flatMap((lists) => Object.keys(lists))],
    trials: [...current, ...retired],
  };
}

/** @throws UsageError when it is too large to be read again; DiskError */
export function writeManifest(directory: string, manifest: Manifest): void {
  const text = `${JSON.stringify(manifest, null, 1)}\n`;
  const bytes = Buffer.byteLength(text);
  if (bytes > mostTextBytes) {
    throw new UsageError(
      `${plural(manifest.trials.length, 'trial')} are too many for one sweep: sweep.json would have ` +
        `${sizeText(bytes)}, the maximum is ${sizeText(mostTextBytes)}`,
    );
  }
  writeFileAtomic(sweepPaths(directory).manifest, text);
}

/**
 * @returns undefined when the directory does not contain a sweep
 * @throws UsageError when its manifest is damaged or cannot be read
 */
export function readManifest(directory: string): Manifest | undefined {
  const path = sweepPaths(directory).manifest;
  const text = readOptional(path);
  if (text === undefined) return undefined;
  try {
    return Manifest.parse(JSON.parse(text));
  } catch {
    throw new UsageError(
      `${path} is damaged or not a sweep manifest. Restore it from a copy, or move the sweep directory ` +
        'away: run directories copied into trials/ of the new one are kept',
    );
  }
}
