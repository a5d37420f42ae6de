import { discontinuousNames, isDiscontinuous, isNonMonotone } from '../network/names.js';
import { hasConvolution, hasStages } from '../network/shape.js';
import type { NetworkShape } from './method.js';
import type { Smoothing } from './schedule.js';

/**
 * Reasons why a lifted method whose sub-problems are least squares and ReLU steps cannot train a
 * network.
 *
 * @param depth `one` for a method that is defined for a single hidden layer
 */
export function checkReluLeastSquares(
  { layers, activations, loss }: NetworkShape,
  depth: 'one' | 'any',
): { path: string[]; message: string }[] {
  const findings: { path: string[]; message: string }[] = [];
  const refuse = (message: string) => findings.push({ path: ['name'], message });
  if (loss !== 'mse') {
    refuse(`its sub-problems are least squares: needs loss: mse, and the loss is ${loss}`);
  }
  findings.push(...checkStages({ layers }, 'its blocks are a map and an activation each'));
  if (hasConvolution(layers)) {
    const type = layers.find(({ own }) => own !== undefined)?.own?.type;
    const others = type === undefined ? 'convolutions or pooling' : `a layer of type ${type}`;
    refuse(`is defined for fully connected layers, and the network has ${others}`);
  }
  if (activations.length === 0) {
    refuse('needs a hidden layer, and the network has none; add one, or train it with sgd or adam');
  }
  const other = activations.findIndex((activation) => activation !== 'relu');
  if (other >= 0) {
    refuse(`is defined for relu, and hidden layer ${other + 1} has ${activations[other]}`);
  }
  if (depth === 'one' && activations.length > 1) {
    refuse(
      `is defined for one hidden layer, and the network has ${activations.length}; remove ${activations.length - 1}, or use taylor-admm, lau-bcd, zhang-brand or lpom`,
    );
  }
  return findings;
}

/** Label smoothing is defined for classes: it would shrink the targets of a regression. */
export function checkSmoothing(
  { labelSmoothing }: Readonly<{ labelSmoothing?: unknown }>,
  { isRegression }: NetworkShape,
): { path: string[]; message: string }[] {
  if (!isRegression || typeof labelSmoothing !== 'number' || labelSmoothing === 0) return [];
  const message = 'is for classes, and the targets are those of a regression; remove it, or set 0';
  return [{ path: ['labelSmoothing'], message }];
}

/**
 * Methods that minimise over the weights of a layer: B(v, u) has to be convex in u, and curve by a bounded amount. Of a
 * phi that decreases somewhere it is convex at a fixed v_1 = v + kappa u alone, where v changes with u.
 */
export function checkConvexPenalty({
  activations,
}: Pick<NetworkShape, 'activations'>): { path: string[]; message: string }[] {
  const l = activations.findIndex((name) => isDiscontinuous(name) || isNonMonotone(name));
  if (l < 0) return [];
  const [needed, problem] = isDiscontinuous(activations[l])
    ? ['activations of bounded slope for the step sizes of its solvers', 'which jumps']
    : ['monotone activations, for convex sub-problems', 'which is not monotone'];
  const message =
    `needs ${needed}, and hidden layer ${l + 1} has ${activations[l]}, ${problem}; ` +
    'use fenchel without solver: exact, or a method that back-propagates, such as foof or adam';
  return [{ path: ['name'], message }];
}

/** Only activations that jump are smoothed. */
export function checkJumpSmoothing(
  { smoothing }: { readonly smoothing: Smoothing },
  { activations }: NetworkShape,
): { path: string[]; message: string }[] {
  if (smoothing === 'none' || activations.some(isDiscontinuous)) return [];
  const message = `is for the activations ${discontinuousNames.join(' and ')}, of which the network has none; remove it, or set none`;
  return [{ path: ['smoothing'], message }];
}

/** Stages of layers, and what they are called in a config. */
const stageNames = {
  norm: 'a norm',
  maxPool: 'max-pooling',
  outerPool: 'max-pooling',
  skipFrom: 'a residual block',
  dropout: 'dropout',
  whiten: 'a whitening layer',
} as const;

type StageName = keyof typeof stageNames;

/**
 * Methods whose derivation needs X_{l+1} = phi(A(X_l; W_l) + b_l), without some of the other stages of a layer.
 * @param refused stages that they cannot train
 * @param reason as in "its blocks are ..."
 */
export function checkStages(
  { layers }: Pick<NetworkShape, 'layers'>,
  reason: string,
  refused: readonly StageName[] = Object.keys(stageNames) as StageName[],
): { path: string[]; message: string }[] {
  for (const [l, layer] of layers.entries()) {
    const stage = refused.find((name) => layer[name] !== undefined);
    if (stage === undefined) continue;
    const message =
      `${reason}, and layer ${l + 1} has ${stageNames[stage]}; ` +
      'use fenchel without solver: exact, or a method that back-propagates, such as sgd, adam or muon';
    return [{ path: ['name'], message }];
  }
  return [];
}

/** The simulated hardware is that of a chain of maps and activations. */
export function checkHardware(
  { noise, quantize }: { readonly noise?: object; readonly quantize?: object },
  { layers }: Pick<NetworkShape, 'layers'>,
): { path: string[]; message: string }[] {
  const key = noise ? 'noise' : quantize ? 'quantize' : undefined;
  if (key === undefined || !layers.some(hasStages)) return [];
  const message =
    'is for networks of maps and activations alone, without norms, max-pooling, residual blocks, dropout and whitening; remove it';
  return [{ path: [key], message }];
}

/** A network without hidden layers has nothing to lift. */
export function checkHiddenLayer(
  activations: readonly unknown[],
): { path: string[]; message: string }[] {
  if (activations.length > 0) return [];
  const message =
    'needs at least one hidden layer, and the network has none; add one, or train it with sgd or adam';
  return [{ path: ['name'], message }];
}
