import type { ScalarActivation } from './activations.js';
import { affine, dot, type Matrix, map, type Solved, sum, type Vector } from './matrix.js';
import { minimize, type NewtonModel } from './newton.js';
import type { RowTerm } from './terms.js';

/**
 * One row of an activation update, the shape that eqs. (14), (15) and (16) share:
 *
 *     min over v in the domain of phi:   h(v W + b) + lambda B(v, u)
 *
 * ReLU: projected Newton over v >= 0. Others: Newton on the pre-image s, v = phi(s), where
 * d/dv = W h' + lambda (s - u); v never leaves its domain and phi^-1 is never evaluated.
 */
export interface LiftedRow {
  readonly above: RowTerm;
  /** [p, q] and [q] */
  readonly weights: Matrix;
  readonly bias: Vector;
  readonly activation: ScalarActivation;
  /** u, [p] */
  readonly preActivation: Vector;
  readonly lambda: number;
}

export function solveLiftedRow(row: LiftedRow): Solved<number[]> {
  return row.activation.name === 'relu' ? solveProjected(row) : solveMirrored(row);
}

/** Applies the row solver to every row: objectives add up, the worst residual is kept. */
export function solveLiftedRows(rows: readonly LiftedRow[]): Solved<number[][]> {
  const solved = rows.map(solveLiftedRow);
  return {
    solution: solved.map(({ solution }) => solution),
    objective: sum(solved.map(({ objective }) => objective)),
    residual: Math.max(...solved.map(({ residual }) => residual)),
  };
}

function solveProjected(row: LiftedRow): Solved<number[]> {
  const { above, weights, activation, preActivation, lambda } = row;
  const scale = weights.map((w) => lambda + above.curvature * dot(w, w) || 1);
  const model = (v: Vector): NewtonModel => {
    const u = affine([v], weights, row.bias)[0];
    const slope = above.gradient(u);
    return {
      value:
        above.value(u) + lambda * sum(v.map((vi, i) => activation.penalty(vi, preActivation[i]))),
      gradient: v.map((vi, i) => dot(weights[i], slope) + lambda * (vi - preActivation[i])),
      hessian: curvatureThrough(weights, above.hessian(u), (value, i, j) =>
        i === j ? value + lambda : value,
      ),
      scale,
    };
  };
  const { x, value, residual } = minimize(model, preActivation, { nonNegative: true });
  return { solution: x, objective: value, residual };
}

function solveMirrored(row: LiftedRow): Solved<number[]> {
  const { above, weights, activation, preActivation, lambda } = row;
  const model = (s: Vector): NewtonModel => {
    const u = affine([s.map(activation.phi)], weights, row.bias)[0];
    const slope = above.gradient(u);
    // Where phi saturates, everything scales with phi': the floor only keeps 0/0 away.
    const d = s.map((si) => Math.max(activation.phiPrime(si), 1e-150));
    return {
      value:
        above.value(u) + lambda * sum(s.map((si, i) => activation.penaltyAt(si, preActivation[i]))),
      gradient: s.map(
        (si, i) => d[i] * (dot(weights[i], slope) + lambda * (si - preActivation[i])),
      ),
      hessian: curvatureThrough(weights, above.hessian(u), (value, i, j) =>
        i === j ? d[i] * (d[i] * value + lambda) : d[i] * value * d[j],
      ),
      scale: d.map((di) => lambda * di),
    };
  };
  const { x, value } = minimize(model, preActivation);
  const { gradient, scale } = model(x);
  const v = x.map(activation.phi);
  const residual = v.map((vi, i) => Math.abs(vi - activation.phi(x[i] - gradient[i] / scale[i])));
  return { solution: v, objective: value, residual: Math.max(...residual) };
}

/** W H W^T, each entry then passed through f. */
function curvatureThrough(
  weights: Matrix,
  hessian: Matrix,
  f: (value: number, i: number, j: number) => number,
): number[][] {
  const wh = weights.map((w) => hessian.map((h) => dot(w, h)));
  return map(
    wh.map((row) => weights.map((w) => dot(row, w))),
    f,
  );
}
