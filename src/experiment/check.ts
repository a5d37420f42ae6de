import type { BackendReport } from '../backend/backend.js';
import type { Experiment } from '../config/experiment.js';
import { epochRows, stepsOf } from '../core/batches.js';
import type { Augmentation, Stream } from '../core/dataset.js';
import type { LayerShape } from '../core/network/shape.js';
import { arraysName } from '../data/arrays/definition.js';
import { splitSizes } from '../data/load.js';
import { folderOf } from '../runs/run-directory.js';
import type { RunId, RunStatus } from '../runs/run-json.js';
import { sameRun } from '../runs/run-json.js';
import { stepMemory } from './memory.js';
import { pauseOf } from './plan.js';
import { type PrepareOptions, prepareExperiment } from './prepare.js';
import type { ExperimentOptions } from './run.js';
import { inspectDirectory } from './session.js';

/** The result of a dry run. */
export interface ExperimentCheck {
  readonly name: string;
  readonly hash: string;
  readonly directory: string;
  /** As in the config: may be `auto`. */
  readonly backend: string;
  readonly device?: string;
  /** The backend that was started; absent when there is nothing to train. */
  readonly computes?: Omit<BackendReport, 'memory'>;
  readonly dataset: {
    readonly name: string;
    /** `unread`: nothing would be trained. In the other states the files were read and verified. */
    readonly state: 'generated' | 'present' | 'absent' | 'unread';
    readonly downloadBytes: number;
    readonly augment?: Augmentation;
    readonly stream?: Stream;
  };
  /** The layers of the network. */
  readonly layers: readonly LayerShape[];
  /** About how many bytes a step of each mini-batch method takes, and how many there are, where the backend knows. */
  readonly memory: {
    readonly steps: readonly { readonly label: string; readonly bytes: number }[];
    readonly available?: number;
  };
  /** The model that the runs start from. */
  readonly init?: Experiment['init'];
  readonly train: readonly PlannedTraining[];
  /** Selected runs that completed earlier. */
  readonly keep: readonly RunId[];
  /** Results of runs that are not selected, which stay as they are. */
  readonly others: readonly (RunId & { readonly status: RunStatus })[];
  /** Warnings of the run. */
  readonly warnings: readonly string[];
}

export interface PlannedTraining extends RunId {
  readonly batches: number;
  /** The batch after which it would pause. */
  readonly stopAt?: number;
  /** Batches of an earlier session, after which the run resumes. */
  readonly done: number;
  /** Status of the earlier results that this run would replace. */
  readonly replaces?: RunStatus;
}

/**
 * A dry run: performs all checks of a run up to its first write, and returns what the run would train.
 * Nothing is written or downloaded.
 * @throws what the run would throw
 */
export async function checkExperiment(
  experiment: Experiment,
  { stopAtEpoch, ...options }: PrepareOptions & Pick<ExperimentOptions, 'stopAtEpoch'>,
): Promise<ExperimentCheck> {
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  const { plan, backend, dataset, downloadBytes } = await prepareExperiment(
    experiment,
    { ...options, dryRun: true },
    (event) => event.type === 'warning' && warn(event.message),
  );
  const { directory, runs, previous } = plan;
  const points = backend ? inspectDirectory(plan, { backend, dataset }, warn) : new Map();
  const definition = experiment.data;
  const { train } = splitSizes(definition, experiment.dataset);
  const rows = epochRows(experiment.dataset, train);
  const recorded = previous?.runs.filter(({ status }) => status !== 'QUEUED') ?? [];
  const { memory: available, ...computes } = backend ?? {};
  const steps = [...new Set(runs.flatMap(({ done, method }) => (done ? [] : [method])))].flatMap(
    (method) => {
      const bytes = backend && stepMemory(experiment, method, train, backend.name);
      return bytes === undefined ? [] : [{ label: method.label, bytes }];
    },
  );
  return {
    name: experiment.name,
    hash: experiment.hash,
    directory,
    backend: experiment.backend,
    device: experiment.device,
    ...(backend && { computes: computes as BackendReport }),
    dataset: {
      name: definition.name,
      state: stateOf(
        backend !== undefined,
        downloadBytes,
        definition.storage === undefined && definition.name !== arraysName,
      ),
      downloadBytes: downloadBytes ?? 0,
      ...(experiment.dataset.augment && { augment: experiment.dataset.augment }),
      ...(experiment.dataset.stream && { stream: experiment.dataset.stream }),
    },
    layers: experiment.network.layers,
    memory: { steps, ...(available !== undefined && { available }) },
    ...(experiment.init && { init: experiment.init }),
    train: runs
      .filter(({ done }) => !done)
      .map(({ label, seed, method }): PlannedTraining => {
        const done = points.get(folderOf(directory, { label, seed }))?.position.batch ?? 0;
        const before = recorded.find((entry) => sameRun(entry, { label, seed }));
        const replaces = done === 0 && before ? { replaces: before.status } : {};
        const stopAt = stopAtEpoch && pauseOf(method, rows, stopAtEpoch);
        const pauses = stopAt ? { stopAt } : {};
        return { label, seed, batches: stepsOf(method, rows), ...pauses, done, ...replaces };
      }),
    keep: runs.filter(({ done }) => done).map(({ label, seed }) => ({ label, seed })),
    others: recorded
      .filter((entry) => !runs.some((run) => sameRun(entry, run)))
      .map(({ label, seed, status }) => ({ label, seed, status })),
    warnings,
  };
}

function stateOf(
  isRead: boolean,
  downloadBytes: number | undefined,
  isGenerated: boolean,
): ExperimentCheck['dataset']['state'] {
  if (isGenerated) return 'generated';
  if (!isRead) return 'unread';
  return downloadBytes === undefined ? 'present' : 'absent';
}
