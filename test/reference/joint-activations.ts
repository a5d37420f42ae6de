import type { ScalarActivation } from './activations.js';
import { solveLiftedRows } from './lifted-row.js';
import { affine, type Matrix, map, multiply, sum, transpose, type Vector, zip } from './matrix.js';
import { penaltyTerm, type RowTerm } from './terms.js';

/**
 * All hidden activations together, given the weights:
 *
 *     min over X_1, ..., X_L   sum_i loss_i(U_L) + sum_{l < L} lambda_l B(X_{l+1}, U_l),   U_l = X_l W_l + b_l
 *
 * by the damped passes in error coordinates, by projected gradients on all X at once, and by sweeps over the blocks.
 */
export interface JointProblem {
  readonly x: Matrix;
  /** A matrix and a bias for every unit of the output, of convolutions too. */
  readonly layers: readonly { readonly weights: Matrix; readonly bias: Vector }[];
  readonly activation: ScalarActivation;
  /** One value a hidden layer. */
  readonly lambda: Vector;
  /** Weighted loss of each row. */
  readonly losses: readonly RowTerm[];
}

/** X_1, ..., X_L */
export type Activations = readonly Matrix[];

const preActivations = ({ x, layers }: JointProblem, activations: Activations): Matrix[] =>
  layers.map(({ weights, bias }, l) => affine(l === 0 ? x : activations[l - 1], weights, bias));

export function forwardPass(problem: JointProblem, errors?: readonly Matrix[]): Matrix[] {
  const result: Matrix[] = [];
  for (const [l, { weights, bias }] of problem.layers.slice(0, -1).entries()) {
    const u = affine(l === 0 ? problem.x : result[l - 1], weights, bias);
    const s = errors ? zip(u, errors[l], (a, b) => a + b) : u;
    result.push(map(s, problem.activation.phi));
  }
  return result;
}

export function jointObjective(problem: JointProblem, activations: Activations): number {
  const { activation, lambda, losses } = problem;
  const u = preActivations(problem, activations);
  const penalties = activations.map((x, l) =>
    sum(x.map((row, i) => sum(row.map((v, j) => lambda[l] * activation.penalty(v, u[l][i][j]))))),
  );
  return sum(penalties) + sum(losses.map((loss, i) => loss.value(u[u.length - 1][i])));
}

/** `count` damped passes from E = 0; the activations of the forward pass after the last. */
export function jointPasses(problem: JointProblem, theta: number, count: number): Matrix[] {
  const { activation, lambda, layers, losses } = problem;
  let errors: Matrix[] = forwardPass(problem).map((x) => map(x, () => 0));
  for (let pass = 0; pass < count; pass++) {
    const u = preActivations(problem, forwardPass(problem, errors));
    const next = [...errors];
    let d: Matrix = losses.map((loss, i) => loss.gradient(u[u.length - 1][i]));
    for (let l = errors.length - 1; l >= 0; l--) {
      const r = map(multiply(d, transpose(layers[l + 1].weights)), (value) => value / lambda[l]);
      next[l] = zip(errors[l], r, (e, ri) => (1 - theta) * e - theta * ri);
      d = zip(u[l], next[l], (a, e) => lambda[l] * (activation.phi(a) - activation.phi(a + e)));
    }
    errors = next;
  }
  return forwardPass(problem, errors);
}

/** Projected gradients on X >= 0 of ReLUs, all blocks at once. */
export function projectedGradients(problem: JointProblem, step: number, count: number): Matrix[] {
  const { activation, lambda, layers, losses } = problem;
  let x = forwardPass(problem);
  for (let iteration = 0; iteration < count; iteration++) {
    const u = preActivations(problem, x);
    const outer = u.map((row, l) =>
      l === x.length
        ? losses.map((loss, i) => loss.gradient(row[i]))
        : zip(row, x[l], (a, v) => lambda[l] * (activation.phi(a) - v)),
    );
    x = x.map((value, l) => {
      const back = multiply(outer[l + 1], transpose(layers[l + 1].weights));
      return map(value, (v, i, j) => {
        const gradient = lambda[l] * (v - u[l][i][j]) + back[i][j];
        return Math.max(0, v - step * gradient);
      });
    });
  }
  return x;
}

/** One sweep: every block solved by projected Newton, from the output down. */
export function blockSweep(problem: JointProblem, start: Activations): Matrix[] {
  const { activation, lambda, layers, losses } = problem;
  const x = [...start];
  for (let l = x.length - 1; l >= 0; l--) {
    const u = preActivations(problem, x)[l];
    const rows = u.map((preActivation, i) => ({
      above: l === x.length - 1 ? losses[i] : penaltyTerm(activation, x[l + 1][i], lambda[l + 1]),
      ...layers[l + 1],
      activation,
      preActivation,
      lambda: lambda[l],
    }));
    x[l] = solveLiftedRows(rows).solution;
  }
  return x;
}
