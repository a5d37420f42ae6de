import type { ResolvedMethod } from '../config/experiment.js';
import { RunError } from '../errors.js';
import type { RunId } from './events.js';

/** Where a run is. */
export interface Place {
  readonly run: RunId;
  readonly batch: number;
  readonly epoch: number;
}

/**
 * The error that stops a run: which, where, what, in which block, the likely cause and the way out.
 * @param block what suspect-blocks.ts found
 */
export function divergence(
  what: string,
  block: string,
  { run, batch, epoch }: Place,
  method: ResolvedMethod,
): RunError {
  return new RunError(
    `${run.label}, seed ${run.seed}: ${what} at batch ${batch} (epoch ${epoch}); ${block}. ` +
      `The numbers diverged, most likely because ${causeAndAdvice(method)}`,
  );
}

/** The error of a run whose network gives one answer to everything. */
export function deadNetwork(
  layer: number,
  { run, batch }: Place,
  method: ResolvedMethod,
): RunError {
  return new RunError(
    `${run.label}, seed ${run.seed}: after batch ${batch} hidden layer ${layer} gives the same values for every image: ` +
      `its units are dead or saturated, and the network is useless. Most likely ${causeAndAdvice(method)}; ` +
      'or try another initializer',
  );
}

const longSteps = 'the steps are too long';
const singular = 'a matrix is singular';

/** Fields that are to blame: for what, and which way out. */
const remedies: Readonly<Record<string, readonly [change: string, cause: string]>> = {
  learningRate: ['a smaller', longSteps],
  activationStep: ['a smaller', longSteps],
  stepSize: ['a smaller', longSteps],
  headStepSize: ['a smaller', longSteps],
  trustRegion: ['a smaller', longSteps],
  lossWeight: ['a smaller', longSteps],
  damping: ['a larger', longSteps],
  headDamping: ['a larger', longSteps],
  gamma: ['a larger', longSteps],
  ridge: ['a larger', singular],
  rho: ['a larger', singular],
  headRho: ['a larger', singular],
};

/** The values that the config changed are the first suspects; without any, all of the method's. */
function causeAndAdvice({ config, definition }: ResolvedMethod): string {
  const { name, solver } = config;
  const defaults = definition.schema.safeParse(solver === undefined ? { name } : { name, solver });
  const present = Object.keys(remedies).filter((field) => field in config);
  const changed = present.filter(
    (field) => JSON.stringify(config[field]) !== JSON.stringify(defaults.data?.[field]),
  );
  const suspects = changed.length > 0 ? changed : present.slice(0, 3);
  const changes = suspects.map((field) => {
    // Beyond what the numbers can hold, only less can help.
    const remedy = Number(config[field]) > 1e20 ? 'a smaller' : remedies[field][0];
    return `${remedy} ${field} (now ${config[field]})`;
  });
  if (changed.length === 0 && 'warmup' in config) {
    changes.push(`more warmup batches (now ${config.warmup})`);
  }
  const cause = suspects.length > 0 ? remedies[suspects[0]][1] : longSteps;
  return `${cause}; ${changes.length > 0 ? `try ${changes.join(' or ')}` : 'try smaller steps'}`;
}
