/** A network without hidden layers has nothing to lift. */
export function checkHiddenLayer(
  activations: readonly unknown[],
): { path: string[]; message: string }[] {
  if (activations.length > 0) return [];
  const message =
    'needs at least one hidden layer, and the network has none; add one, or train it with sgd or adam';
  return [{ path: ['name'], message }];
}
