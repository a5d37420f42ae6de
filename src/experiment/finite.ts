import { RunError } from '../errors.js';
import type { RunId } from './events.js';
import type { ResolvedMethod } from './experiment.js';

/**
 * Stops a run whose numbers have diverged.
 * @param values what was measured, by name; undefined is "not measured"
 * @throws RunError naming the run, the batch and the fields to change
 */
export function checkFinite(
  values: Readonly<Record<string, number | undefined>>,
  { run, batch, epoch }: { run: RunId; batch: number; epoch: number },
  { config }: ResolvedMethod,
): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || Number.isFinite(value)) continue;
    const became = Number.isNaN(value) ? 'not a number' : 'infinite';
    throw new RunError(
      `${run.label}, seed ${run.seed}: the ${name} became ${became} at batch ${batch} (epoch ${epoch}). ` +
        `The numbers diverged, most likely because the steps are too long; ${advice(config)}`,
    );
  }
}

function advice(config: ResolvedMethod['config']): string {
  const changes = [
    'learningRate' in config && `a smaller learningRate (now ${config.learningRate})`,
    'stepSize' in config && `a smaller stepSize (now ${config.stepSize})`,
    'damping' in config && `a larger damping (now ${config.damping})`,
    'gamma' in config && `a larger gamma (now ${config.gamma})`,
    'warmup' in config && `more warmup batches (now ${config.warmup})`,
  ].filter((change) => change !== false);
  return changes.length > 0 ? `try ${changes.join(' or ')}` : 'try smaller steps';
}
