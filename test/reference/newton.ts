import { dot, type Matrix, map, solvePositiveDefinite, type Vector } from './matrix.js';

/**
 * Damped Newton for min f(x), over all x or over x >= 0; f once differentiable, its (generalised)
 * Hessian positive semi-definite.
 *
 *     d = -(H_free + mu diag(scale))^-1 g_free,   x <- P(x + t d),   t by Armijo, P = max(., 0) or identity
 *
 * Over x >= 0 this is Bertsekas' two-metric projection (SIAM J. Control Optim. 20, 1982): variables at
 * their bound with a positive gradient leave the Newton system. mu falls to 1e-11, so that a singular H
 * still gives a step; on piecewise quadratic functions the iteration ends in finitely many steps.
 */
export interface NewtonModel {
  readonly value: number;
  readonly gradient: Vector;
  readonly hessian: Matrix;
  /** Size of the curvature along each variable, > 0: conditions the system and scales the residual. */
  readonly scale: Vector;
}

export interface NewtonResult {
  readonly x: number[];
  readonly value: number;
  /** max_i |x_i - P(x_i - g_i / scale_i)| */
  readonly residual: number;
}

const maxIterations = 1000;
const smallestDamping = 1e-11;
/** Residuals, relative to x, of a solution good enough and of one that rounding cannot improve. */
const solved = 1e-11;
const exact = 1e-17;

export function minimize(
  model: (x: Vector) => NewtonModel,
  start: Vector,
  { nonNegative = false } = {},
): NewtonResult {
  const project = (x: number) => (nonNegative ? Math.max(x, 0) : x);
  const residualAt = (x: Vector, { gradient, scale }: NewtonModel) =>
    x.reduce((r, xi, i) => Math.max(r, Math.abs(xi - project(xi - gradient[i] / scale[i]))), 0);

  let x = start.map(project);
  let at = model(x);
  let best: NewtonResult = { x, value: at.value, residual: residualAt(x, at) };
  let damping = 1e-4;
  let stalled = 0;
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    const size = x.reduce((largest, xi) => Math.max(largest, Math.abs(xi)), 1);
    if (best.residual <= exact * size || (best.residual <= solved * size && stalled >= 3)) break;
    const residual = residualAt(x, at);
    const isBound = x.map((xi, i) => nonNegative && xi <= residual && at.gradient[i] > 0);
    const direction = newtonDirection(at, isBound, damping);
    const next = direction && lineSearch(model, project, x, at, direction, isBound);
    if (!next) {
      if (damping > 1e6) break;
      damping = Math.max(damping, 1e-8) * 100;
      continue;
    }
    damping = next.t < 0.1 ? damping * 10 : Math.max(smallestDamping, damping / 100);
    x = next.x;
    at = next.model;
    const r = residualAt(x, at);
    stalled = r < best.residual ? 0 : stalled + 1;
    if (r < best.residual) best = { x, value: at.value, residual: r };
  }
  return best;
}

/** Newton's step on the free variables, a scaled gradient step on the bound ones. */
function newtonDirection(
  { gradient, hessian, scale }: NewtonModel,
  isBound: readonly boolean[],
  damping: number,
): number[] | undefined {
  const free = gradient.flatMap((_, i) => (isBound[i] ? [] : [i]));
  const root = free.map((i) => Math.sqrt(scale[i]));
  const system = map(
    free.map((i) => free.map((j) => hessian[i][j])),
    (value, i, j) => value / (root[i] * root[j]) + (i === j ? damping : 0),
  );
  const step = solvePositiveDefinite(
    system,
    free.map((i, k) => -gradient[i] / root[k]),
  );
  if (!step) return undefined;
  const direction = gradient.map((g, i) => -g / scale[i]);
  for (const [k, i] of free.entries()) direction[i] = step[k] / root[k];
  return direction.every(Number.isFinite) ? direction : undefined;
}

function lineSearch(
  model: (x: Vector) => NewtonModel,
  project: (x: number) => number,
  x: Vector,
  at: NewtonModel,
  direction: Vector,
  isBound: readonly boolean[],
): { x: number[]; model: NewtonModel; t: number } | undefined {
  for (let t = 1; t > 1e-14; t /= 2) {
    const candidate = x.map((xi, i) => project(xi + t * direction[i]));
    const moved = candidate.map((value, i) => value - x[i]);
    if (moved.every((value) => value === 0)) return undefined;
    const next = model(candidate);
    const promised = -sumOver(isBound, (bound, i) =>
      bound ? at.gradient[i] * moved[i] : t * at.gradient[i] * direction[i],
    );
    if (at.value - next.value >= 1e-4 * promised) return { x: candidate, model: next, t };
    // Differences of f drown in rounding near the solution; slopes do not (Hager and Zhang 2005).
    const flat = next.value <= at.value + 1e-10 * (1 + Math.abs(at.value));
    const slope = -dot(at.gradient, moved);
    if (flat && dot(next.gradient, moved) <= 0.8 * slope && slope > 0) {
      return { x: candidate, model: next, t };
    }
  }
  return undefined;
}

function sumOver<T>(items: readonly T[], f: (item: T, i: number) => number): number {
  return items.reduce((total, item, i) => total + f(item, i), 0);
}
