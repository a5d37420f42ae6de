import type { ResolvedMethod } from '../config/experiment.js';
import { RunError } from '../errors.js';
import type { RunId } from './events.js';

/** Where a run is. */
interface Place {
  readonly run: RunId;
  readonly batch: number;
  readonly epoch: number;
}

/**
 * Stops a run whose numbers have diverged.
 * @param values what was measured, by name; undefined is "not measured"
 * @throws RunError naming the run, the batch and the fields to change
 */
export function checkFinite(
  values: Readonly<Record<string, number | undefined>>,
  place: Place,
  method: ResolvedMethod,
): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || Number.isFinite(value)) continue;
    const became = Number.isNaN(value) ? 'not a number' : 'infinite';
    throw diverged(`the ${name} became ${became}`, place, method);
  }
}

/** No loss that is this many times the first one has been seen to come back to anything useful. */
const largestGrowth = 1e4;

/**
 * Stops a run whose loss has exploded, though its numbers still fit the type.
 * @param first loss of the first batch
 * @throws RunError, as `checkFinite`
 */
export function checkGrowth(
  first: number,
  loss: number,
  place: Place,
  method: ResolvedMethod,
): void {
  if (loss <= largestGrowth * Math.max(first, 1)) return;
  const [from, to] = [first, loss].map((value) => value.toPrecision(3));
  throw diverged(`the training loss grew from ${from} to ${to}`, place, method);
}

function diverged(what: string, { run, batch, epoch }: Place, method: ResolvedMethod): RunError {
  return new RunError(
    `${run.label}, seed ${run.seed}: ${what} at batch ${batch} (epoch ${epoch}). ` +
      `The numbers diverged, most likely because the steps are too long; ${advice(method)}`,
  );
}

/** Fields that shorten the steps, and which way. */
const remedies: Readonly<Record<string, string>> = {
  learningRate: 'a smaller',
  activationStep: 'a smaller',
  stepSize: 'a smaller',
  headStepSize: 'a smaller',
  trustRegion: 'a smaller',
  lossWeight: 'a smaller',
  damping: 'a larger',
  headDamping: 'a larger',
  gamma: 'a larger',
};

/** The values that the config changed are the first suspects; without any, all of the method's. */
function advice({ config, definition }: ResolvedMethod): string {
  const { name, solver } = config;
  const defaults = definition.schema.safeParse(solver === undefined ? { name } : { name, solver });
  const present = Object.keys(remedies).filter((field) => field in config);
  const changed = present.filter(
    (field) => JSON.stringify(config[field]) !== JSON.stringify(defaults.data?.[field]),
  );
  const suspects = changed.length > 0 ? changed : present.slice(0, 3);
  const changes = suspects.map((field) => {
    // Beyond what the numbers can hold, only less can help.
    const remedy = Number(config[field]) > 1e20 ? 'a smaller' : remedies[field];
    return `${remedy} ${field} (now ${config[field]})`;
  });
  if (changed.length === 0 && 'warmup' in config) {
    changes.push(`more warmup batches (now ${config.warmup})`);
  }
  return changes.length > 0 ? `try ${changes.join(' or ')}` : 'try smaller steps';
}
