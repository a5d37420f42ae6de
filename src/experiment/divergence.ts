import type { ResolvedMethod } from '../config/experiment.js';
import type { Network } from '../core/network/network.js';
import type { NotPositiveDefiniteError } from '../core/solvers/cholesky.js';
import { RunError } from '../errors.js';
import type { RunId } from '../runs/run-json.js';
import { runName } from '../shared/text.js';

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
    `${runName(run)}: ${what} at batch ${batch} (epoch ${epoch}); ${block}. ` +
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
    `${runName(run)}: after batch ${batch} hidden layer ${layer} gives the same values for every image: ` +
      `its units are dead or saturated, and the network is useless. Most likely ${causeAndAdvice(method)}; ` +
      'or try another initializer',
  );
}

/**
 * The error of a run that met a singular matrix, or one that is not finite.
 * @param error of the factorisation
 * @param where "at batch 3 (epoch 1)"
 */
export function singularMatrix(
  { pivot, pivotIndex, size }: NotPositiveDefiniteError,
  network: Network,
  run: RunId,
  where: string,
  method: ResolvedMethod,
): RunError {
  const matrix = `${runName(run)}: ${where}, the matrix ${inputsOfSize(network, size)}is`;
  const broken = `its Cholesky pivot ${pivotIndex + 1} is ${pivot.toPrecision(3)}`;
  if (!Number.isFinite(pivot)) {
    return new RunError(
      `${matrix} not finite: ${broken}. The numbers diverged, most likely because ${causeAndAdvice(method)}`,
    );
  }
  const { fields } = suspects(method, regularising);
  const changes = fields.map((field) => change(method, field));
  const advice = changes.length > 0 ? `Try ${changes.join(' or ')}` : 'Try other settings';
  return new RunError(`${matrix} singular: ${broken}. ${advice}`);
}

/** Which layers have inputs, with or without a bias, of this size: the matrices of methods are over these. */
function inputsOfSize({ maps }: Network, size: number): string {
  const layers = maps.flatMap(({ weightShape: [inputs] }, l) =>
    size === inputs || size === inputs + 1 ? [l + 1] : [],
  );
  return layers.length > 0
    ? `over the inputs of layer ${layers.join(' or ')} (${size} rows) `
    : `of ${size} rows `;
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

/** Fields that are added to the diagonal of a matrix. */
const regularising = Object.keys(remedies).filter((field) => remedies[field][0] === 'a larger');

/** What is likely to be the cause, and what to try. */
function causeAndAdvice(method: ResolvedMethod): string {
  const { config } = method;
  const { fields, areChanged } = suspects(method, Object.keys(remedies));
  const changes = fields.map((field) => change(method, field));
  if (!areChanged && 'warmup' in config) {
    changes.push(`more warmup batches (now ${config.warmup})`);
  }
  const cause = fields.length > 0 ? remedies[fields[0]][1] : longSteps;
  return `${cause}; ${changes.length > 0 ? `try ${changes.join(' or ')}` : 'try smaller steps'}`;
}

/** The values that the config changed are the first suspects; without any, the first of the method's. */
function suspects({ config, definition }: ResolvedMethod, fields: readonly string[]) {
  const { name, solver } = config;
  const defaults = definition.schema.safeParse(solver === undefined ? { name } : { name, solver });
  const present = fields.filter((field) => field in config);
  const changed = present.filter(
    (field) => JSON.stringify(config[field]) !== JSON.stringify(defaults.data?.[field]),
  );
  return changed.length > 0
    ? { fields: changed, areChanged: true }
    : { fields: present.slice(0, 3), areChanged: false };
}

/** `a larger rho (now 0.1)` */
function change({ config }: ResolvedMethod, field: string): string {
  // Beyond what the numbers can hold, only less can help.
  const direction = Number(config[field]) > 1e20 ? 'a smaller' : remedies[field][0];
  return `${direction} ${field} (now ${config[field]})`;
}
