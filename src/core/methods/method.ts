import type { Tensor2D } from '@tensorflow/tfjs';
import type { z } from 'zod';
import type { ConvolutionPrecision } from '../compile.js';
import type { Split } from '../dataset.js';
import type { ActivationName, LossName } from '../network/names.js';
import type { Network } from '../network/network.js';
import type { Parameters } from '../network/parameters.js';
import type { LayerShape } from '../network/shape.js';
import type { Random } from '../random.js';
import type { State } from '../tree.js';

/**
 * A training method, as pure functions: state in, state out (as in optax and jaxopt). `Training` owns
 * constants and state and frees them; a checkpoint is the state, and to resume is to pass it in. A method
 * has no access to the test set, the clock or files, and need not dispose: tensors that a function creates
 * and does not return are freed when it returns.
 */
export interface Method<Config = unknown, Constants = unknown, S extends State = State> {
  /** Columns that this method adds to metrics.csv after the common ones. */
  columns?(config: Config): readonly string[];
  /**
   * Constants of a run, computed once: the training set on the device, factored equations. Not part of
   * checkpoints.
   */
  prepare?(context: MethodContext<Config>): Promise<Constants> | Constants;
  /** The state before the first step. */
  init(context: MethodContext<Config>, constants: Constants): Promise<S> | S;
  /**
   * One mini-batch update, or one iteration of a full-batch method, for which there is no batch. Must await every
   * device read, so that the time of the whole step is measured.
   * @param state is not changed; tensors of it may be part of the next one
   * @throws RunError when numbers stop being finite or a factorisation breaks down
   */
  step(
    context: MethodContext<Config>,
    constants: Constants,
    state: S,
    batch: Batch,
  ): Promise<Step<S>>;
  /** Parameters to evaluate (an average, where the method keeps one): tensors of the state. */
  parameters(state: S): Parameters;
}

export interface MethodContext<Config> {
  readonly config: Config;
  readonly network: Network;
  readonly loss: LossName;
  /** Training images on the host, for methods that use more of them than a batch (Gram matrices). */
  readonly train: TrainingData;
  readonly batchSize: number;
  /** Of the compiled functions of a step; float32 when absent. */
  readonly convolutionPrecision?: ConvolutionPrecision | undefined;
  /** Number of steps of the whole run, for schedules. */
  readonly totalBatches: number;
  /** Initialisation stream of this seed: the same initial weights for methods with the same initializer. */
  readonly random: Random;
  /**
   * A sequence of random numbers of this seed, from its start. What a step draws is resumed from a checkpoint bit for
   * bit when the step is part of the name, as in `labels/12`.
   */
  stream(name: string): Random;
  /** Called after each block update of a step of `fenchel`, solver exact, which waits for it: to watch Algorithm 2 at work. */
  readonly watch?: (update: WatchedUpdate) => Promise<void>;
}

/** One block that a step has updated. */
export interface WatchedUpdate {
  readonly block: 'X' | 'W';
  /** From 1, as the paper counts: X_l lies above W_l. Absent where all X are updated together. */
  readonly layer?: number;
  /** Optimality residual of the sub-problem, and the iterations that it took. */
  readonly residual: number;
  readonly iterations: number;
}

export interface TrainingData {
  readonly split: Split;
  /** Rows `indices` of the training images after preprocessing, without augmentation, as a new [n, features] tensor. */
  rows(indices: ArrayLike<number>): Tensor2D;
  /** The inputs change in distribution during the run (`dataset.stream`): these rows do not tell what batches are like. */
  readonly isStream?: boolean;
}

export interface Step<S> {
  readonly state: S;
  readonly metrics: StepMetrics;
  /**
   * Measures what the step did to each layer, with `measureLayers`: called after some of the steps, while their
   * tensors still exist. Methods that have it write a layers.csv.
   */
  measure?(): Promise<StepMeasurements>;
}

/** What is measured after some of the steps only, for its cost. */
export interface StepMeasurements {
  /** One per layer, first layer first. */
  readonly layers: readonly LayerMetrics[];
  /** As in {@link StepMetrics}, of methods for which it costs as much as a good part of a step. */
  readonly objective?: number;
}

/**
 * What one step did to one layer of a lifted network, X_l = phi_l(U_l), U_l = A_l(X_{l-1}; W_l) + b_l, with
 * X and W after the step, X- and W- before it, and U-_l = A_l(X_{l-1}; W-_l) + b-_l. The columns of
 * layers.csv, with the same meaning for every method; absent where there is nothing to measure.
 */
export interface LayerMetrics {
  /** sum B(X_l, U_l) / rows; of an output with a variable of its own, whose phi is the identity, half a square. */
  readonly penalty?: number;
  /** ||X_l - phi(U_l)|| / ||phi(U_l)|| */
  readonly constraintViolation?: number;
  /** Largest optimality residual of the sub-problems that the step solved for X_l and W_l. */
  readonly residual?: number;
  /** Share of the units of a hidden layer with phi'(U_l) > sup phi' / 10. */
  readonly activeShare?: number;
  /** ||W_l - W-_l|| / ||W-_l||, without biases and averaging. */
  readonly weightChange?: number;
  /** ||X_l - X-_l|| / ||X-_l|| */
  readonly activationChange?: number;
  /** ||X_l - phi(U-_l)|| / ||phi(U-_l)||: how far the step's X_l is from what the old W-_l gives. */
  readonly targetChange?: number;
  /** Cosine of the layer's learning signal and the back-propagated one; of hidden layers, as the next one. */
  readonly signalCosine?: number;
  /** Mean of the learning signal over its root mean square, minus the same of the back-propagated one. */
  readonly signalBias?: number;
  /** ||X_l - phi(U_l - r_l)|| / ||X_l - phi(U_l)|| after a joint X-update, r_l what the layer above asks for; 0 at the joint minimiser. */
  readonly jointResidual?: number;
}

/** Inputs and targets of one step; owned by the loop, which disposes them. */
export interface Batch {
  /** [m, features], preprocessed and augmented */
  readonly x: Tensor2D;
  /** [m, classes], one-hot, or the targets of a regression */
  readonly y: Tensor2D;
  /** Row numbers in the training split, for methods that keep per-row caches. */
  readonly indices: Uint32Array;
}

export interface StepMetrics {
  /**
   * Mean loss of the batch against its true labels, with the raw weights before the step: no average, no
   * extrapolation.
   */
  readonly loss: number;
  /** Share of the batch classified correctly by the same weights; unused in a regression. */
  readonly accuracy: number;
  /** Lifted objective after the step, where the method has one. */
  readonly objective?: number;
  /**
   * Relative optimality residual of the last sub-problem that the step solved, to a tolerance or in closed
   * form; absent where it solves none. NaN when any of the step's sub-problems has numbers that are not finite.
   */
  readonly residual?: number;
  /** Values of the method's own columns. */
  readonly extra?: Readonly<Record<string, number>>;
}

/** The network as it is known before any tensor exists. */
export interface NetworkShape {
  readonly layers: readonly LayerShape[];
  /** Units of each layer, input first: 784-300-10 is [784, 300, 10]. */
  readonly widths: readonly number[];
  /** One per hidden layer. */
  readonly activations: readonly ActivationName[];
  readonly loss: LossName;
  /** Whether the targets are numbers rather than one-hot classes. */
  readonly isRegression?: boolean;
}

/** One line of the method registry. */
export interface MethodDefinition<Schema extends z.ZodObject = z.ZodObject> {
  readonly name: string;
  /** Where one method has several solvers, the value of `solver` for this entry. */
  readonly solver?: string;
  /** The entry for a config without `solver`. */
  readonly isDefault?: boolean;
  readonly summary: string;
  /**
   * The algorithm, which tables and figures add to the label in brackets where the name does not determine
   * it. The resolved config may be that of an earlier version of the program.
   */
  readonly variant?: (config: Readonly<Record<string, unknown>>) => string;
  /**
   * Every step takes all training images: the method needs `batchSize: full`, the loop gathers no
   * batches, and `epochs` counts iterations.
   */
  readonly fullBatch?: boolean;
  /** Why the method cannot start from the weights of a model (`init` of a config). */
  readonly refusesInit?: string;
  readonly schema: Schema;
  /** Values set by `preset: NAME`; explicit fields override them. */
  readonly presets?: Readonly<Record<string, Preset>>;
  /** Names of earlier versions, which configs may still use. */
  readonly renamed?: RenamedNames;
  /**
   * Defaults that depend on the network, or on the fields that the entry or its preset gives; presets and explicit fields
   * override them.
   */
  readonly defaults?: (
    network: NetworkShape,
    given?: Readonly<Record<string, unknown>>,
  ) => Readonly<Record<string, unknown>>;
  /** Reasons why this method cannot train this network, each with the field that causes it. */
  check?(
    config: z.output<Schema>,
    network: NetworkShape,
  ): readonly { readonly path: readonly (string | number)[]; readonly message: string }[];
  /** Imports the implementation, and with it the tensor library. */
  readonly load: () => Promise<Method>;
}

/** Earlier names of fields and their values: they are accepted with a warning. */
export interface RenamedNames {
  /** Old field -> new field, of the same meaning and values. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Field, by its new name -> old value -> new value; `solver` is such a field. */
  readonly values?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Old field -> what to do instead, as in "use maxChange, the largest relative change of an update". */
  readonly removed?: Readonly<Record<string, string>>;
}

type PresetValues = Readonly<Record<string, unknown>>;

/** Values of fields, which may depend on the network. */
export type Preset = PresetValues | ((network: NetworkShape) => PresetValues);
