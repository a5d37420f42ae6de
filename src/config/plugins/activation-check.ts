import type { Activation } from '../../core/network/activations/activation.js';

/** Where an activation is checked: away from 0, where many have a kink. */
export const checkPoints: readonly number[] = Array.from(
  { length: 49 },
  (_, i) => -5.97 + i * 0.25,
);

const step = 1e-5;

/** phi(u) in float64: the derivative of F*, by central differences. */
export const phi64 = ({ float64 }: Pick<Activation, 'float64'>, u: number): number =>
  (float64.conjugate(u + step) - float64.conjugate(u - step)) / (2 * step);

/**
 * Checks the float64 part of an activation: phi = F*' does not decrease, its slope is at most `maxSlope`,
 * and F and F* are conjugate, F(phi(u)) + F*(u) = u phi(u).
 * @returns the first problem
 */
export function activationProblem(
  activation: Pick<Activation, 'float64' | 'maxSlope'>,
): string | undefined {
  const { F, conjugate } = activation.float64;
  let before = Number.NEGATIVE_INFINITY;
  for (const [i, u] of checkPoints.entries()) {
    const v = phi64(activation, u);
    if (!Number.isFinite(v)) return `float64.conjugate is not finite near ${shown(u)}`;
    if (v < before - 1e-6) {
      return `phi, the derivative of float64.conjugate, decreases between ${shown(checkPoints[i - 1])} and ${shown(u)}: an activation has to be non-decreasing`;
    }
    const rise = (v - before) / (u - (checkPoints[i - 1] ?? Number.NaN));
    if (rise > activation.maxSlope * 1.001 + 1e-6) {
      return `phi has the slope ${shown(rise)} near ${shown(u)}, more than maxSlope, ${activation.maxSlope}`;
    }
    const gap = F(v) + conjugate(u) - u * v;
    if (!(Math.abs(gap) <= 1e-5 * (1 + Math.abs(u * v)))) {
      return (
        `float64.F and float64.conjugate are not conjugate: at u = ${shown(u)}, with phi(u) = ${shown(v)}, ` +
        `F(phi(u)) + F*(u) - u phi(u) is ${shown(gap)} instead of 0`
      );
    }
    before = v;
  }
  return undefined;
}

const shown = (value: number): string => String(Number(value.toPrecision(4)));
