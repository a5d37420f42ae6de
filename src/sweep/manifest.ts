import { z } from 'zod';
import { UsageError } from '../errors.js';
import { writeFileAtomic } from '../files/atomic.js';
import { mostTextBytes, readOptional } from '../files/read.js';
import { plural, sizeText } from '../shared/text.js';
import type { Sweep } from './load.js';
import { sweepPaths } from './paths.js';
import { metricColumns } from './schema.js';

/** The ids of trials; paths are made of them. */
export const trialId = /^[0-9a-f]{12}$/;

const ManifestTrial = z.object({
  /** Content hash: the hash of the trial's resolved config. */
  id: z.string().regex(trialId),
  overrides: z.record(z.string(), z.json()),
  addedAt: z.string(),
  /** No longer in the sweep file: its results stay, and it is not run again. */
  retired: z.boolean().default(false),
});

const Manifest = z.object({
  version: z.literal(1),
  name: z.string(),
  /** The experiment that is varied, as the sweep file names it. */
  config: z.string(),
  search: z.enum(['grid', 'random']),
  seed: z.number(),
  metric: z.object({
    method: z.string().optional(),
    column: z.enum(metricColumns),
    goal: z.enum(['maximize', 'minimize']),
  }),
  /** Paths that vary, in the order of the sweep file. */
  parameters: z.array(z.string()),
  trials: z.array(ManifestTrial),
});

/** sweep.json: which trials a sweep has. What became of them is in their own state files. */
export type Manifest = Readonly<z.infer<typeof Manifest>>;
export type ManifestTrial = Manifest['trials'][number];
export type Metric = Manifest['metric'];

/**
 * The manifest of a sweep file. Trials of an earlier one stay: those that the file still has, with
 * their date, and the others as retired.
 */
export function manifestOf(sweep: Sweep, earlier?: Manifest): Manifest {
  const { name, config, search, seed, metric, parameters, zip } = sweep.config;
  const now = new Date().toISOString();
  const known = new Map(earlier?.trials.map((trial) => [trial.id, trial]));
  const current = sweep.trials.map(({ id, overrides }) => ({
    id,
    overrides: overrides as ManifestTrial['overrides'],
    addedAt: known.get(id)?.addedAt ?? now,
    retired: false,
  }));
  const ids = new Set(current.map(({ id }) => id));
  const rest = (earlier?.trials ?? []).filter(({ id }) => !ids.has(id));
  const retired = rest.map((trial) => ({ ...trial, retired: true }));
  const validated = sweep.trials.some(({ experiment }) => experiment.dataset.validation);
  const column = metric.column ?? (validated ? 'validation_accuracy' : 'test_accuracy');
  return {
    version: 1,
    name,
    config,
    search,
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

/** @throws UsageError when it would be too long to be read again; DiskError */
export function writeManifest(directory: string, manifest: Manifest): void {
  const text = `${JSON.stringify(manifest, null, 1)}\n`;
  const bytes = Buffer.byteLength(text);
  if (bytes > mostTextBytes) {
    throw new UsageError(
      `${plural(manifest.trials.length, 'trial')} are too many for one sweep: their settings take ` +
        `${sizeText(bytes)} of sweep.json, which may have ${sizeText(mostTextBytes)}`,
    );
  }
  writeFileAtomic(sweepPaths(directory).manifest, text);
}

/**
 * @returns undefined when the directory holds no sweep
 * @throws UsageError when its manifest is damaged or cannot be read
 */
export function readManifest(directory: string): Manifest | undefined {
  const path = sweepPaths(directory).manifest;
  const text = readOptional(path);
  if (text === undefined) return undefined;
  const parsed = Manifest.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  throw new UsageError(
    `${path} is damaged, or no manifest of this program. Put back a copy, or move the sweep directory ` +
      'away: trials that are copied into the trials folder of the new one are found and kept',
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
