import { dirname } from 'node:path';
import { z } from 'zod';
import { UsageError } from '../errors.js';
import { writeFileAtomic } from '../files/atomic.js';
import { makeFolder } from '../files/folder.js';
import { readOptional } from '../files/read.js';
import type { RunInfo } from '../runs/run-json.js';
import { average } from '../shared/statistics.js';
import { runName } from '../shared/text.js';
import type { MethodVerdict } from './judge.js';

const Accuracies = z.record(z.string(), z.number().min(0).max(1));

const Entry = z.object({
  /** Hash of the config. */
  config: z.string(),
  updatedAt: z.string(),
  /** Of the program that trained. */
  commit: z.string().optional(),
  backend: z.string().optional(),
  /** Method -> seed -> final test accuracy, a share in [0, 1]. */
  methods: z.record(z.string(), Accuracies),
});

const Baseline = z.object({
  version: z.literal(1),
  /** By the name of the experiment. */
  experiments: z.record(z.string(), Entry),
});

/** Accepted accuracies, which later ones must not fall below. */
export type Baseline = Readonly<z.infer<typeof Baseline>>;
export type BaselineEntry = z.infer<typeof Entry>;

/**
 * Reads a baseline file.
 * @returns undefined when there is no such file
 * @throws UsageError when it cannot be read or is not a baseline file
 */
export function readBaseline(path: string): Baseline | undefined {
  const text = readOptional(path);
  if (text === undefined) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${path} is not a baseline file: not valid JSON. ${advice}`, {
      cause: error,
    });
  }
  const parsed = Baseline.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue.path.map(String).join('.') || 'the file';
  throw new UsageError(`${path} is not a baseline file: ${place}: ${issue.message}. ${advice}`);
}

const advice =
  'Pass a file written by --update-baseline; if it is damaged, restore it from version control';

/**
 * The baseline of an experiment.
 * @throws UsageError when there is none, or it was made with other settings
 */
export function entryFor(
  baseline: Baseline | undefined,
  path: string,
  experiment: { readonly name: string; readonly hash: string },
): BaselineEntry {
  const { name, hash } = experiment;
  const update = `Accept the current results with --baseline ${path} --update-baseline`;
  if (baseline === undefined) throw new UsageError(`there is no baseline ${path}. ${update}`);
  const entry = Object.hasOwn(baseline.experiments, name) ? baseline.experiments[name] : undefined;
  if (entry === undefined) throw new UsageError(`${path} has no baseline of ${name}. ${update}`);
  if (entry.config === hash) return entry;
  throw new UsageError(
    `the baseline of ${name} in ${path} is for config ${entry.config}, but the results are of ${hash}: their settings differ. ${update}`,
  );
}

/** Mean accuracy of a method in the baseline before and after an update, shares. */
export interface BaselineChange {
  readonly method: string;
  readonly before?: number;
  readonly after: number;
}

/**
 * Writes the measured accuracies of an experiment into a baseline file; other experiments are kept.
 * @throws UsageError when a result is missing or the file is not a baseline file, DiskError
 */
export function updateBaseline(
  path: string,
  { name, hash }: { readonly name: string; readonly hash: string },
  verdicts: readonly MethodVerdict[],
  info: RunInfo | undefined,
): BaselineChange[] {
  for (const { method, seeds } of verdicts) {
    const lost = seeds.find((result) => 'missing' in result);
    if (lost === undefined || !('missing' in lost)) continue;
    throw new UsageError(
      `${path} is unchanged: ${runName({ label: method, seed: lost.seed })}, has no result (${lost.missing}). Train it first: fln run CONFIG --resume`,
    );
  }
  const old = readBaseline(path) ?? { version: 1 as const, experiments: {} };
  const methods = Object.fromEntries(
    verdicts.flatMap(({ method, seeds }) => {
      const results = seeds.flatMap((result) =>
        'accuracy' in result ? [[String(result.seed), result.accuracy] as const] : [],
      );
      return results.length > 0 ? [[method, Object.fromEntries(results)]] : [];
    }),
  );
  const entry: BaselineEntry = {
    config: hash,
    updatedAt: new Date().toISOString(),
    ...provenanceOf(info),
    methods,
  };
  const before = Object.hasOwn(old.experiments, name) ? old.experiments[name].methods : {};
  makeFolder(dirname(path));
  const experiments = { ...old.experiments, [name]: entry };
  writeFileAtomic(path, `${JSON.stringify({ ...old, experiments }, null, 2)}\n`);
  return Object.entries(methods).map(([method, accuracies]) => ({
    method,
    before: Object.hasOwn(before, method) ? average(Object.values(before[method])) : undefined,
    after: average(Object.values(accuracies)),
  }));
}

function provenanceOf(info: RunInfo | undefined): Pick<BaselineEntry, 'commit' | 'backend'> {
  const { git } = (info?.json ?? {}) as { git?: { commit?: unknown } };
  const commit = typeof git?.commit === 'string' ? git.commit : undefined;
  return { commit, backend: info?.backend };
}
