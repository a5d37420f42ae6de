import { layerValue } from '../per-layer.js';

/** A network without hidden layers has nothing to lift. */
export function checkHiddenLayer(
  activations: readonly unknown[],
): { path: string[]; message: string }[] {
  if (activations.length > 0) return [];
  const message =
    'needs at least one hidden layer, and the network has none; add one, or train it with sgd or adam';
  return [{ path: ['name'], message }];
}

/** Weights that neither a ridge nor a proximal term holds have no unique minimiser on a batch. */
export function checkHeld(
  { rho, gamma }: { rho: number | readonly number[]; gamma: number | readonly number[] },
  layers: number,
): { path: string[]; message: string }[] {
  // A list of another length is checkPerLayer's to report.
  if ([rho, gamma].some((value) => typeof value !== 'number' && value.length !== layers)) return [];
  for (let l = 0; l < layers; l++) {
    if (layerValue(rho, l) > 0 || layerValue(gamma, l) > 0) continue;
    const message = `layer ${l + 1} has rho = 0 and gamma = 0, so nothing holds its weights; give one of them a positive value`;
    return [{ path: ['gamma'], message }];
  }
  return [];
}
