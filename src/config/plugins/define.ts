import type { z } from 'zod';
import type * as fields from '../../core/methods/fields.js';
import type {
  Batch,
  MethodContext,
  NetworkShape,
  Preset,
  Step,
} from '../../core/methods/method.js';
import type { Activation } from '../../core/network/activations/activation.js';
import type { Loss } from '../../core/network/loss.js';
import type { LinearMap } from '../../core/network/maps/linear-map.js';
import type { Parameters } from '../../core/network/parameters.js';
import type { ImageShape } from '../../core/network/shape.js';
import type { State } from '../../core/tree.js';

/** Fields of a config by name, each with its schema; `.default(...)` makes it optional. */
export type Fields = Readonly<Record<string, z.ZodType>>;

/** Values of fields, as a config that was checked has them. */
export type FieldValues<F extends Fields> = { readonly [Key in keyof F]: z.output<F[Key]> };

/** The config of a method: its own fields, and those that every method has. */
export type MethodConfig<F extends Fields> = FieldValues<F> &
  z.output<z.ZodObject<typeof fields.length>> & { readonly name: string; readonly label: string };

/** A reason why a config is refused, with the path of the field inside the method's entry. */
export interface Refusal {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** A training method: its fields and the pure functions of {@link Method}. */
export interface MethodPlugin<
  F extends Fields = Fields,
  Constants = unknown,
  S extends State = State,
> {
  /** Lower-case letters, digits and "-". */
  readonly name: string;
  /** One line for lists and editors. */
  readonly summary: string;
  readonly fields?: F;
  /** Fields that may be a list with one value a layer: the length of the list is checked. */
  readonly perLayer?: readonly (keyof F & string)[];
  /** Every step takes all training images: needs `batchSize: full`, and gets no batch. */
  readonly fullBatch?: boolean;
  readonly presets?: Readonly<Record<string, Preset>>;
  /** Defaults that depend on the network; presets and explicit fields override them. */
  defaults?(network: NetworkShape): Readonly<Record<string, unknown>>;
  /** Reasons why this method cannot train this network. */
  check?(config: MethodConfig<F>, network: NetworkShape): readonly Refusal[];
  /** Columns that this method adds to metrics.csv: the keys of `extra` that `step` returns. */
  columns?(config: MethodConfig<F>): readonly string[];
  /** Constants of a run, computed once; not part of checkpoints. */
  prepare?(context: MethodContext<MethodConfig<F>>): Promise<Constants> | Constants;
  /** The state before the first step: everything that a checkpoint has to hold. */
  init(context: MethodContext<MethodConfig<F>>, constants: Constants): Promise<S> | S;
  step(
    context: MethodContext<MethodConfig<F>>,
    constants: Constants,
    state: S,
    batch: Batch,
  ): Promise<Step<S>>;
  /** The parameters to evaluate: tensors of the state. */
  parameters(state: S): Parameters;
}

export interface ActivationPlugin extends Activation {
  readonly name: string;
}

export interface LossPlugin extends Loss {
  readonly name: string;
}

/** A layer type: `{ NAME: VALUE, ...fields, activation: relu }` in `network.layers`. */
export interface LayerPlugin<F extends Fields = Fields> {
  /** The key of the layer in a config: letters and digits, the first one lower-case. */
  readonly name: string;
  readonly summary: string;
  /** The keys of the layer; one of them is the name itself. */
  readonly fields: F;
  /**
   * Shape of the layer's values, [1, 1, n] for a vector of n units.
   * @returns a sentence where the layer does not fit its input
   */
  output(config: FieldValues<F>, input: ImageShape): ImageShape | string;
  /** The linear map between the two shapes. */
  map(config: FieldValues<F>, input: ImageShape, output: ImageShape): LinearMap;
}

/** Images and labels of one split: one row an image, height * width * channels values. */
export interface PluginSplit {
  /**
   * [count, height * width * channels], channels last: bytes are pixels from 0 to 255; floats are any numbers,
   * which `preprocessing: standardize` scales and others leave as they are.
   */
  readonly images: Uint8Array | Float32Array;
  /** [count], class indices. */
  readonly labels: Uint8Array;
}

export interface DatasetPlugin {
  readonly name: string;
  readonly title?: string;
  /** [height, width, channels]; a vector of n features is [1, 1, n]. */
  readonly shape: readonly [number, number, number];
  readonly classes: number;
  readonly trainSize: number;
  readonly testSize: number;
  /** @param rows how many of the first rows of each split are needed */
  load(
    rows: { readonly train: number; readonly test: number },
    options: { readonly dataDir?: string; readonly signal?: AbortSignal },
  ):
    | Promise<{ readonly train: PluginSplit; readonly test: PluginSplit }>
    | { readonly train: PluginSplit; readonly test: PluginSplit };
}

export type PluginKind = 'method' | 'activation' | 'loss' | 'layer' | 'dataset';

/** An entry of a plugin's default export. */
export interface Definition<Kind extends PluginKind = PluginKind, Plugin = unknown> {
  readonly kind: Kind;
  readonly plugin: Plugin;
}

/** Defines a training method; see docs/plugins.md. */
export const defineMethod = <F extends Fields, Constants, S extends State>(
  plugin: MethodPlugin<F, Constants, S>,
): Definition<'method', MethodPlugin> => ({
  kind: 'method',
  plugin: plugin as unknown as MethodPlugin,
});

/** Defines an activation function by phi, its conjugate and F. */
export const defineActivation = (
  plugin: ActivationPlugin,
): Definition<'activation', ActivationPlugin> => ({ kind: 'activation', plugin });

/** Defines a training loss by its rows, gradient and curvature. */
export const defineLoss = (plugin: LossPlugin): Definition<'loss', LossPlugin> => ({
  kind: 'loss',
  plugin,
});

/** Defines a layer type by its keys, output shape and linear map. */
export const defineLayer = <F extends Fields>(
  plugin: LayerPlugin<F>,
): Definition<'layer', LayerPlugin> => ({
  kind: 'layer',
  plugin: plugin as unknown as LayerPlugin,
});

/** Defines a data set by its shape, sizes and a function that returns its rows. */
export const defineDataset = (plugin: DatasetPlugin): Definition<'dataset', DatasetPlugin> => ({
  kind: 'dataset',
  plugin,
});
