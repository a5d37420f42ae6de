import { z } from 'zod';
import { resolvedYaml } from '../../config/print.js';
import { RunError, UsageError } from '../../errors.js';
import { writeFileAtomic } from '../../files/atomic.js';
import { guardDisk } from '../../files/disk.js';
import { makeFolder, refuseSymlinks } from '../../files/folder.js';
import { explainHeld, takeLock } from '../../files/lock.js';
import { readOptional } from '../../files/read.js';
import type { Launcher, LaunchOptions, LaunchResult, SweepEvent } from '../launcher.js';
import { localLauncher } from '../local/launcher.js';
import type { SweepPlanOptions } from '../plan.js';
import { runSweep } from '../run-sweep.js';
import { sweepStatus } from '../status.js';
import { settingsOf, type TunedMethod, type TuneOptions, type Tuning, tunePaths } from './plan.js';

/** tune.json: the settings that all commands in a tuning directory share. */
const Manifest = z.object({
  version: z.literal(1),
  name: z.string(),
  trials: z.int().positive(),
  experiment: z.string(),
  epochs: z.int().positive(),
  eta: z.int().optional(),
  /** By label. */
  methods: z.record(z.string(), z.json()),
});
type Manifest = Readonly<z.infer<typeof Manifest>>;

export interface TuningOptions
  extends TuneOptions,
    Pick<LaunchOptions, 'jobs' | 'flags' | 'signal'> {
  /** Continue the unfinished trials, or add new ones. */
  readonly resume?: boolean;
  /** Train failed trials again. */
  readonly rerun?: 'failed';
}

/** Progress: of the sweep of the method that was begun last. */
export type TuningEvent = SweepEvent | { readonly type: 'method'; readonly method: TunedMethod };

/**
 * Trains the trials of one method after the other.
 * @returns why it stopped before their end
 * @throws UsageError where the directory contains another tuning, or trials and neither `resume` nor `rerun` is given;
 *   RunError when another process tunes there; as `runSweep`
 */
export async function runTuning(
  tuning: Tuning,
  options: TuningOptions,
  emit: (event: TuningEvent) => void,
  launch: Launcher = localLauncher,
): Promise<LaunchResult> {
  const { directory, methods } = tuning;
  checkEarlier(tuning, options);
  const paths = tunePaths(directory);
  refuseSymlinks([paths.manifest, paths.experiment, ...methods.map((one) => one.directory)]);
  makeFolder(directory);
  const lock = guardDisk(paths.lock, () =>
    takeLock(
      paths.lock,
      (held) => new RunError(explainHeld(held, `is tuning in ${directory}`, 'Wait for it')),
    ),
  );
  try {
    const manifest = checkEarlier(tuning, options);
    writeFileAtomic(paths.manifest, `${JSON.stringify(manifest, null, 1)}\n`);
    writeFileAtomic(paths.experiment, resolvedYaml(tuning.experiment));
    for (const method of methods) {
      emit({ type: 'method', method });
      const { stopped } = await runSweep(method.sweep, sweepOptions(method, options), launch, emit);
      if (stopped !== undefined) return { stopped };
    }
    return {};
  } finally {
    lock.release();
  }
}

/** Options of the sweep of a method. That trials may be continued was checked before, for all methods. */
export const sweepOptions = (
  { directory }: TunedMethod,
  { resume, rerun, jobs, flags, signal }: TuningOptions,
): SweepPlanOptions & LaunchOptions => ({
  outDir: directory,
  resume: resume || rerun === undefined,
  rerun,
  jobs,
  flags,
  signal,
});

/**
 * The manifest of a directory after a command, whose methods are added to the earlier ones.
 * @throws UsageError as `runTuning`
 */
export function checkEarlier(
  tuning: Tuning,
  options: Pick<TuningOptions, 'resume' | 'rerun'>,
): Manifest {
  const { directory, name, trials, methods } = tuning;
  const { methods: own, ...shared } = settingsOf(tuning);
  const given = Manifest.parse(
    JSON.parse(JSON.stringify({ version: 1, name, trials, ...shared, methods: own })),
  );
  const earlier = readManifest(directory);
  if (earlier === undefined) return given;
  const labels = Object.keys(given.methods);
  const left = Object.keys(earlier.methods).filter((label) => !labels.includes(label));
  const isOther = (label: string) =>
    Object.hasOwn(earlier.methods, label) &&
    JSON.stringify(earlier.methods[label]) !== JSON.stringify(given.methods[label]);
  // Not trained by this command, but tuned.yaml combines their best settings with their entry in the experiment.
  const hasOtherEntry = (label: string) => {
    const now = tuning.experiment.methods.find((method) => method.label === label);
    return entryText(Entry.parse(earlier.methods[label])) !== (now && entryText(now));
  };
  const hasOtherLength = earlier.epochs !== given.epochs;
  const changed = [
    ...(hasOtherLength ? [`epochs: ${earlier.epochs}, now ${given.epochs}`] : []),
    ...(earlier.eta === given.eta
      ? []
      : [`halving ${earlier.eta ?? 'off'}, now ${given.eta ?? 'off'}`]),
    ...(trials < earlier.trials || (trials > earlier.trials && left.length > 0)
      ? [`${earlier.trials} trials, now ${trials}`]
      : []),
    ...(earlier.name === name && (earlier.experiment === given.experiment || hasOtherLength)
      ? []
      : ['another data set, network, loss, seeds or validation split']),
    ...labels.filter(isOther).map((label) => `other settings or another search space of ${label}`),
    ...left.filter(hasOtherEntry).map((label) => `other settings of ${label}, or it is missing`),
  ];
  if (changed.length > 0) {
    throw new UsageError(
      `${directory} contains a tuning with other settings (${changed.join('; ')}). ` +
        'Each method is to get the same budget: restore the settings, or choose --out DIR to write elsewhere',
    );
  }
  const isStarted = methods.some((method) =>
    sweepStatus(method.directory)?.trials.some(({ state }) => state.status !== 'QUEUED'),
  );
  if (isStarted && !options.resume && !options.rerun) {
    throw new UsageError(
      `${directory} already contains trials of this tuning. Add --resume to train the unfinished ones, ` +
        '--rerun failed to train the failed ones again, or --out DIR to write elsewhere',
    );
  }
  return { ...given, methods: { ...earlier.methods, ...given.methods } };
}

/** Of a method in tune.json. */
const Entry = z.object({ config: z.record(z.string(), z.json()) });

/** The settings of a method without its length, which is that of the tuning. */
function entryText({ config }: { readonly config: object }): string {
  const { epochs: _, ...settings } = config as Readonly<Record<string, unknown>>;
  return JSON.stringify(settings);
}

function readManifest(directory: string): Manifest | undefined {
  const path = tunePaths(directory).manifest;
  const text = readOptional(path);
  if (text === undefined) return undefined;
  try {
    return Manifest.parse(JSON.parse(text));
  } catch {
    throw new UsageError(
      `${path} is damaged or of another program: move ${directory} away, or choose --out DIR`,
    );
  }
}

/** Labels of all methods that were tuned in a directory, in the order in which they were begun. */
export const labelsIn = (directory: string): string[] =>
  Object.keys(readManifest(directory)?.methods ?? {});
