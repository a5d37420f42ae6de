import type { z } from 'zod';
import type { ResolvedMethod } from '../config/experiment.js';
import { adviceOf, type FieldAdvice, isUsed } from '../core/methods/fields.js';
import type { Network } from '../core/network/network.js';
import type { NotPositiveDefiniteError } from '../core/solvers/cholesky.js';
import { RunError } from '../errors.js';
import type { RunId } from '../runs/run-json.js';
import { runName } from '../shared/text.js';

/** Position of a run in its training. */
export interface Place {
  readonly run: RunId;
  readonly batch: number;
  readonly epoch: number;
}

/**
 * The error of a run that diverged: run, position, symptom, block, the likely cause and what to try.
 * @param what the symptom, as `notFinite` and `explosion` return it
 * @param block as `suspectBlock` returns it
 */
export function divergence(
  what: string,
  block: string,
  { run, batch, epoch }: Place,
  method: ResolvedMethod,
): RunError {
  return new RunError(
    `${runName(run)}: training diverged at batch ${batch} (epoch ${epoch}): ${what}; ${block}; ` +
      causeAndAdvice(method),
  );
}

/** The error of a run whose network has the same output for every image. */
export function deadNetwork(
  layer: number,
  { run, batch }: Place,
  method: ResolvedMethod,
): RunError {
  return new RunError(
    `${runName(run)}: after batch ${batch} hidden layer ${layer} gives the same values for every image: ` +
      `its units are dead or saturated, and the output does not depend on the input; ${causeAndAdvice(method)}; ` +
      'or try another initializer',
  );
}

/**
 * The error of a run in which a matrix was singular or not finite.
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
      `${matrix} not finite: ${broken}. Training diverged; ${causeAndAdvice(method)}`,
    );
  }
  const { fields } = suspects(method, ({ whenSingular }) => whenSingular);
  const changes = fields.map(change);
  const advice = changes.length > 0 ? `Try ${changes.join(' or ')}` : 'Try other settings';
  return new RunError(`${matrix} singular: ${broken}. ${advice}`);
}

/** The layers whose number of inputs, with or without the bias, is this size: the matrices of methods have it. */
function inputsOfSize({ maps }: Network, size: number): string {
  const layers = maps.flatMap(({ weightShape: [inputs] }, l) =>
    size === inputs || size === inputs + 1 ? [l + 1] : [],
  );
  return layers.length > 0
    ? `over the inputs of layer ${layers.join(' or ')} (${size} rows) `
    : `of ${size} rows `;
}

/** The likely cause, and what to try. */
function causeAndAdvice(method: ResolvedMethod): string {
  const { fields, areChanged } = suspects(
    method,
    ({ whenDiverging, whenSingular }) => whenDiverging ?? whenSingular,
  );
  const also = areChanged ? [] : fieldsWith(method, ({ whenUnstable }) => whenUnstable);
  const changes = [...fields, ...also].map(change);
  const isSingular = fields.length > 0 && fields[0].advice.whenDiverging === undefined;
  const cause = isSingular ? 'a matrix is singular' : 'the step size is too large';
  return `likely ${cause}; ${changes.length > 0 ? `try ${changes.join(' or ')}` : 'try smaller steps'}`;
}

/** A field with the advice of its schema. */
interface Remedy {
  readonly field: string;
  readonly advice: FieldAdvice;
  readonly direction: string;
  readonly value: unknown;
  readonly isChanged: boolean;
}

type Aspect = (advice: FieldAdvice) => string | undefined;

function fieldsWith({ config, definition }: ResolvedMethod, aspect: Aspect): Remedy[] {
  const { name, solver } = config;
  const defaults = definition.schema.safeParse(solver === undefined ? { name } : { name, solver });
  return Object.entries(definition.schema.shape).flatMap(([field, schema]): Remedy[] => {
    const advice = adviceOf(schema as z.ZodType);
    const direction = aspect(advice);
    if (direction === undefined || !(field in config) || !isUsed(advice, config)) return [];
    const value = config[field];
    const isChanged = JSON.stringify(value) !== JSON.stringify(defaults.data?.[field]);
    return [{ field, advice, direction, value, isChanged }];
  });
}

/** The fields that the config changed; without any, the method's first three. */
function suspects(method: ResolvedMethod, aspect: Aspect) {
  const all = fieldsWith(method, aspect);
  const changed = all.filter(({ isChanged }) => isChanged);
  return changed.length > 0
    ? { fields: changed, areChanged: true }
    : { fields: all.slice(0, 3), areChanged: false };
}

/** `a larger rho (now 0.1)` */
function change({ field, direction, value }: Remedy): string {
  // A value that overflows float32 cannot be increased.
  return `a ${Number(value) > 1e20 ? 'smaller' : direction} ${field} (now ${value})`;
}
