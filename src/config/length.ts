import type { Lookup } from './checks.js';
import type { Experiment, ResolvedMethod } from './experiment.js';
import type { MethodResolution } from './methods.js';
import type { Finding } from './validate.js';

/** How long a method trains, on how many images a step: its own numbers, else the experiment's. */
export function lengthOfTraining(
  { epochs, batchSize }: ResolvedMethod['config'],
  experiment: Pick<Experiment, 'epochs' | 'batchSize'>,
): Pick<ResolvedMethod, 'epochs' | 'batchSize'> {
  return {
    epochs: (epochs as number | undefined) ?? experiment.epochs,
    batchSize: (batchSize as number | 'full' | undefined) ?? experiment.batchSize,
  };
}

/** Finds the methods that know no batches, and are given some. */
export function checkFullBatch(
  get: Lookup,
  resolutions: readonly Pick<MethodResolution, 'method'>[],
): Finding[] {
  return resolutions.flatMap(({ method }, i): Finding[] => {
    if (!method?.definition.fullBatch) return [];
    const own = get<number | 'full'>('methods', i, 'batchSize');
    const batchSize = own ?? method.config.batchSize ?? get<number | 'full'>('batchSize');
    if (batchSize === undefined || batchSize === 'full') return [];
    const all = 'takes all training images in every step';
    const message =
      own === undefined
        ? `${method.config.name} ${all}, not ${batchSize}; give it batchSize: full, or write that at the top level`
        : `must be full: ${method.config.name} ${all}`;
    const field = own === undefined ? 'name' : 'batchSize';
    return [{ path: ['methods', i, field], message, at: 'value' }];
  });
}
