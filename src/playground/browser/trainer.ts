import { Evaluator, sumOf } from '../../core/evaluate.js';
import { explosion, notFinite, suspectBlock } from '../../core/failures.js';
import type { FenchelExactConfig } from '../../core/methods/fenchel/exact/config.js';
import { blockOrder } from '../../core/methods/fenchel/exact/exact.js';
import type { MethodDefinition, NetworkShape, WatchedUpdate } from '../../core/methods/method.js';
import { fillIn, methods, misfitsOf } from '../../core/methods/registry.js';
import { buildNetwork, type Network } from '../../core/network/network.js';
import type { LayerShape } from '../../core/network/shape.js';
import type { Training } from '../../core/training.js';
import { TrainingRun } from '../../core/training-run.js';
import type { BatchRow, MethodEntry, PlaygroundExperiment, TrainedMethod } from '../protocol.js';
import { type PlaygroundData, Refused } from './data.js';

export interface ResolvedEntry {
  readonly label: string;
  readonly definition: MethodDefinition;
  readonly config: Readonly<Record<string, unknown>>;
  readonly epochs: number;
  readonly batchSize: number | 'full';
}

/** The network of an experiment, as the config's own reader describes it. */
export function shapeOf({ network, loss }: PlaygroundExperiment): NetworkShape {
  const side = 28;
  const units = network.layers.map(({ dense }) => dense);
  const layers = units.map((output, l): LayerShape => {
    const input = l === 0 ? ([side, side, 1] as const) : ([1, 1, units[l - 1]] as const);
    return { input, output: [1, 1, output], pool: 1 };
  });
  const activations = network.layers.slice(0, -1).map(({ activation = 'relu' }) => activation);
  return { layers, widths: [side * side, ...units], activations, loss };
}

/** An entry of `methods` with its defaults, as `fln run` fills it in. @throws Refused */
export function resolveEntry(
  entry: MethodEntry,
  shape: NetworkShape,
  { epochs, batchSize }: Pick<PlaygroundExperiment, 'epochs' | 'batchSize'>,
): ResolvedEntry {
  const named = methods.filter(({ name }) => name === entry.name);
  const definition =
    entry.solver === undefined
      ? (named.find(({ isDefault }) => isDefault) ?? named[0])
      : named.find(({ solver }) => solver === entry.solver);
  const label = entry.label ?? entry.name;
  if (!definition) throw new Refused([`${label}: there is no method ${entry.name}.`]);
  const parsed = definition.schema.safeParse(fillIn(definition, entry, shape).filled);
  if (!parsed.success) {
    throw new Refused(
      parsed.error.issues.map(({ path, message }) => `${label}: ${path.join('.')}: ${message}`),
    );
  }
  const config = parsed.data as ResolvedEntry['config'];
  const misfits = misfitsOf(definition, config, shape);
  if (misfits.length > 0) {
    throw new Refused(
      misfits.map(({ path, message }) => `${label}: ${path.join('.')} ${message}.`),
    );
  }
  const own = config as { epochs?: number; batchSize?: number | 'full' };
  const length = { epochs: own.epochs ?? epochs, batchSize: own.batchSize ?? batchSize };
  if (definition.fullBatch && length.batchSize !== 'full') {
    throw new Refused([`${label} takes all training images in every step: set batchSize: full.`]);
  }
  return { label, definition, config, ...length };
}

/** The training of one method: the loop of `fln run` (experiment/train.ts), batch by batch. */
export class MethodRun {
  readonly #run: TrainingRun;
  #training: Training | undefined;
  #seconds = 0;
  #waited = 0;
  /** Block updates of the current batch. */
  #updates = 0;
  #firstLoss: number | undefined;
  /** Batches done. */
  batch = 0;
  /** A run that has failed takes no more steps. */
  hasFailed = false;

  /** @param watch called after each block update of Algorithm 2, which waits for it, with its place in the batch */
  constructor(
    readonly entry: ResolvedEntry,
    readonly experiment: PlaygroundExperiment,
    readonly network: Network,
    data: PlaygroundData,
    readonly evaluator: Evaluator,
    watch: (update: WatchedUpdate, place: number) => Promise<void>,
  ) {
    const { loss, seeds } = experiment;
    this.#run = new TrainingRun({
      ...{ method: entry, network, loss, dataset: data, seed: seeds[0] },
      watch: async (update) => {
        const started = performance.now();
        await watch(update, this.#updates++);
        this.#waited += performance.now() - started;
      },
    });
  }

  get isDone(): boolean {
    return this.hasFailed || this.batch >= this.#run.totalBatches;
  }

  get isExact(): boolean {
    return this.entry.config.solver === 'exact';
  }

  get description(): TrainedMethod {
    const { totalBatches } = this.#run;
    const { label } = this.entry;
    if (!this.isExact) return { label, totalBatches, blocks: [], alternations: 0 };
    const config = this.entry.config as FenchelExactConfig;
    const blocks = blockOrder(config, this.experiment.network.layers.length).map(
      ({ block, l }) => ({
        block,
        layer: block === 'X' ? l : l + 1,
      }),
    );
    const joint = config.xSolve === 'joint' ? [{ block: 'X' as const }] : [];
    const { alternations } = config;
    return { label, totalBatches, blocks: [...joint, ...blocks], alternations };
  }

  get training(): Training {
    if (!this.#training) throw new Error('the training has not started');
    return this.#training;
  }

  /** Initial weights; before them, start-up costs of the kernels are spent on others, so that they are not measured. */
  async start(): Promise<void> {
    if (!this.isExact && !this.entry.definition.fullBatch) {
      const warm = await this.#run.start('warm-up');
      await this.#run.step(1);
      warm.dispose();
    }
    const started = performance.now();
    this.#training = await this.#run.start();
    this.#seconds += (performance.now() - started) / 1000;
  }

  /**
   * One batch.
   * @returns its row, and the layers where they are measured; a text instead where the training diverged
   */
  async step(): Promise<{ row: BatchRow; layers?: readonly object[] } | string> {
    const batch = this.batch + 1;
    const { every } = this.experiment.evaluate;
    const isEvaluated = batch === 1 || batch % every === 0 || batch === this.#run.totalBatches;
    const started = performance.now();
    this.#waited = 0;
    this.#updates = 0;
    let ended: number | undefined;
    const stepped = isEvaluated ? () => (ended = performance.now()) : undefined;
    const step = await this.#run.step(batch, stepped);
    this.#seconds += ((ended ?? performance.now()) - started - this.#waited) / 1000;
    this.batch = batch;
    this.#firstLoss ??= step.loss;
    const measured = { 'training loss': step.loss, objective: step.objective };
    const symptom = notFinite(measured) ?? explosion(this.#firstLoss, step.loss);
    if (symptom !== undefined) return this.#diverged(symptom);
    const row: BatchRow = {
      label: this.entry.label,
      batch,
      seconds: this.#seconds,
      trainLoss: step.loss,
      trainAccuracy: step.accuracy ?? Number.NaN,
    };
    if (!isEvaluated) return { row };
    const parameters = this.training.parameters();
    const test = await this.evaluator.evaluate(parameters);
    const values = { 'test loss': test.loss, 'sum of the weights': await sumOf(parameters) };
    const broken = notFinite(values);
    if (broken !== undefined) return this.#diverged(broken);
    const evaluated = { ...row, testLoss: test.loss, testAccuracy: test.accuracy };
    return { row: evaluated, layers: step.layers };
  }

  async #diverged(symptom: string): Promise<string> {
    const where = await suspectBlock(this.training.parameters());
    return `diverged at batch ${this.batch}: ${symptom}; ${where}. Most likely the step size is too large.`;
  }

  dispose(): void {
    this.#training?.dispose();
  }
}

/** All methods of an experiment, with the same network and data. */
export interface Session {
  readonly runs: readonly MethodRun[];
  readonly network: Network;
  readonly shape: NetworkShape;
  readonly data: PlaygroundData;
  dispose(): void;
}

/** @throws Refused */
export function openSession(
  experiment: PlaygroundExperiment,
  data: PlaygroundData,
  watch: (run: MethodRun, update: WatchedUpdate, place: number) => Promise<void>,
): Session {
  const shape = shapeOf(experiment);
  const problems: string[] = [];
  const entries = experiment.methods.flatMap((entry) => {
    try {
      return [resolveEntry(entry, shape, experiment)];
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      problems.push(...error.problems);
      return [];
    }
  });
  if (experiment.batchSize > data.train.count) {
    problems.push(`batchSize is more than the ${data.train.count} training images.`);
  }
  if (problems.length > 0) throw new Refused(problems);
  const network = buildNetwork(shape);
  const evaluator = new Evaluator(data.test, data, network, experiment.loss);
  const runs = entries.map((entry): MethodRun => {
    const run: MethodRun = new MethodRun(entry, experiment, network, data, evaluator, (...update) =>
      watch(run, ...update),
    );
    return run;
  });
  const dispose = () => {
    for (const run of runs) run.dispose();
    evaluator.dispose();
  };
  return { runs, network, shape, data, dispose };
}
