import type { ScalarActivation } from './activations.js';
import { map, sum, type Vector, zeros } from './matrix.js';

/** A convex function h(u) of one row of pre-activations or logits u, with its derivatives. */
export interface RowTerm {
  value(u: Vector): number;
  gradient(u: Vector): number[];
  hessian(u: Vector): number[][];
  /** h'' <= curvature I */
  readonly curvature: number;
}

/** weight B(v, u) */
export const penaltyTerm = (activation: ScalarActivation, v: Vector, weight: number): RowTerm => ({
  value: (u) => weight * sum(u.map((uj, j) => activation.penalty(v[j], uj))),
  gradient: (u) => u.map((uj, j) => weight * (activation.phi(uj) - v[j])),
  hessian: (u) => diagonal(u.map((uj) => weight * activation.phiPrime(uj))),
  curvature: weight * activation.maxSlope,
});

/** weight ||y - u||^2 */
export const squaredError = (y: Vector, weight: number): RowTerm => ({
  value: (u) => weight * sum(u.map((uj, j) => (uj - y[j]) ** 2)),
  gradient: (u) => u.map((uj, j) => 2 * weight * (uj - y[j])),
  hessian: (u) => diagonal(u.map(() => 2 * weight)),
  curvature: 2 * weight,
});

/** -weight y . log softmax(u); y >= 0, usually a distribution. */
export const crossEntropy = (y: Vector, weight: number): RowTerm => ({
  value: (u) => -weight * sum(logSoftmax(u).map((value, j) => (y[j] === 0 ? 0 : y[j] * value))),
  gradient: (u) => softmax(u).map((p, j) => weight * (p * sum(y) - y[j])),
  hessian: (u) => {
    const p = softmax(u);
    // 1 - p_i as the sum of the others: exact when the softmax is saturated.
    const others = (i: number) => sum(p.filter((_, j) => j !== i));
    return map(
      zeros(p.length, p.length),
      (_, i, j) => weight * sum(y) * p[i] * (i === j ? others(i) : -p[j]),
    );
  },
  curvature: (weight * sum(y)) / 2,
});

export function logSoftmax(u: Vector): number[] {
  const top = Math.max(...u);
  const logSum = Math.log(sum(u.map((uj) => Math.exp(uj - top))));
  return u.map((uj) => uj - top - logSum);
}

export const softmax = (u: Vector): number[] => logSoftmax(u).map(Math.exp);

const diagonal = (values: Vector): number[][] =>
  map(zeros(values.length, values.length), (_, i, j) => (i === j ? values[i] : 0));
