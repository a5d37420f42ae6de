/**
 * Lower bound of the one-layer lifted problem (Appendix B), certified by weak duality:
 *
 *     min_P  B(Y, X P) + rho ||P||^2,        B for the ReLU, summed over all entries,  Y >= 0.
 *
 * F*(u) = max_{a >= 0} a u - a^2/2, so that for every a >= 0
 *
 *     B(Y, X P) + rho ||P||^2 >= ||Y||^2/2 - ||a||^2/2 + <a - Y, X P> + rho ||P||^2,
 *
 * and minimising the right side over P, in closed form,
 *
 *     min >= ||Y||^2/2 - ||a||^2/2 - ||X^T (Y - a)||^2 / (4 rho).
 *
 * The bound is tight at a = relu(X P) for the minimiser P.
 */
export interface OneLayerProblem {
  /** X [m, p], row by row; a column of ones makes the last row of P a bias. */
  readonly inputs: Float64Array;
  /** Y [m, q], every entry >= 0: the values that the ReLU can take, and where B is finite. */
  readonly targets: Float64Array;
  readonly rows: number;
  /** > 0 */
  readonly rho: number;
}

/**
 * The lower bound that `a` [m, q] certifies, in float64.
 * @throws RangeError where the bound does not hold: rho <= 0, or a negative entry of Y or a
 */
export function dualValue(
  { inputs, targets, rows, rho }: OneLayerProblem,
  a: Float64Array,
): number {
  if (!(rho > 0)) throw new RangeError('the dual value needs rho > 0');
  if (!a.every((value) => value >= 0)) throw new RangeError('the dual value needs a >= 0');
  if (!targets.every((y) => y >= 0)) throw new RangeError('the dual value needs Y >= 0');
  const p = inputs.length / rows;
  const q = targets.length / rows;
  const correlation = new Float64Array(p * q);
  let squares = 0;
  for (let i = 0; i < targets.length; i++) squares += targets[i] ** 2 - a[i] ** 2;
  for (let row = 0; row < rows; row++) {
    for (let j = 0; j < p; j++) {
      const x = inputs[row * p + j];
      if (x === 0) continue;
      for (let k = 0; k < q; k++) {
        correlation[j * q + k] += x * (targets[row * q + k] - a[row * q + k]);
      }
    }
  }
  let norm = 0;
  for (const value of correlation) norm += value ** 2;
  return squares / 2 - norm / (4 * rho);
}
