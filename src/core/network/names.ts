/**
 * Names that a config may use, separate from their implementations so that a config is validated
 * without loading the tensor library. The registries (`activations/registry.ts`, ...) are typed by
 * these lists: a name without an implementation does not compile. Plugins add names (src/config/plugins).
 */
/** Activations that never decrease, without jumps. */
export const monotoneNames = [
  'relu',
  'leaky-relu',
  'softplus',
  'sigmoid',
  'tanh',
  'hard-tanh',
] as const;
/** Activations that decrease somewhere (`Activation.skip`). */
export const nonMonotoneNames = ['gelu', 'silu'] as const;
export const continuousNames = [...monotoneNames, ...nonMonotoneNames] as const;
/** Activations that jump, from one value to another. */
export const discontinuousNames = ['sign', 'step'] as const;
export const activationNames = [...continuousNames, ...discontinuousNames] as const;
export type BuiltInActivation = (typeof activationNames)[number];
/** A built-in activation, or one that a plugin defines. */
export type ActivationName = string;

export const isDiscontinuous = (name: ActivationName): boolean =>
  discontinuousNames.some((other) => other === name);

export const isNonMonotone = (name: ActivationName): boolean =>
  nonMonotoneNames.some((other) => other === name);

/** Normalisations of a layer's pre-activations (norm.ts). */
export const normNames = ['batch', 'rms'] as const;
export type NormName = (typeof normNames)[number];
/** Added to the variance in a norm, as in PyTorch's layers. */
export const normEpsilon = 1e-5;

export const lossNames = ['cross-entropy', 'mse'] as const;
export type BuiltInLoss = (typeof lossNames)[number];
/** A built-in loss, or one that a plugin defines. */
export type LossName = string;

export const initializerNames = ['he', 'xavier', 'lecun', 'truncated-normal', 'dirac'] as const;
export type InitializerName = (typeof initializerNames)[number];
