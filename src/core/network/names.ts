/**
 * Names that a config may use, separate from their implementations so that a config is validated
 * without loading the tensor library. The registries (`activations/registry.ts`, ...) are typed by
 * these lists: a name without an implementation does not compile.
 */
export const activationNames = ['relu', 'leaky-relu', 'sigmoid', 'tanh'] as const;
export type ActivationName = (typeof activationNames)[number];

export const lossNames = ['cross-entropy', 'mse'] as const;
export type LossName = (typeof lossNames)[number];

export const initializerNames = ['he', 'xavier', 'lecun', 'truncated-normal'] as const;
export type InitializerName = (typeof initializerNames)[number];
