import type { Tensor2D } from '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { gram } from '../../src/core/methods/full-batch/rows.js';
import { normalEquations, solveNormalEquations } from '../../src/core/solvers/damped-inverse.js';
import { nonNegativeActivations } from '../../src/core/solvers/nonnegative-activations.js';
import { quadraticActivations } from '../../src/core/solvers/quadratic-activations.js';
import { reluProx } from '../../src/core/solvers/relu-prox.js';
import { startTestBackend } from '../backends.js';
import { familyNamed } from '../reference/golden/families.js';
import { type Named, readInput, toMatrix } from '../reference/golden/family.js';
import { type Matrix, maxAbs } from '../reference/matrix.js';
import { golden, type Instance, number, rows, type Values } from './golden.js';
import { vector } from './tensors.js';

/**
 * The tensor solvers of the lifted baselines, in float32, on the golden instances of their
 * sub-problems: objectives to 1e-4, and where it is unique the minimiser too.
 */

const layer = (input: Values) => ({
  weights: rows(input, 'W'),
  bias: vector(toMatrix(input.b)[0]),
});
/** The reference's tie-breaking partner, which the golden file accepts. */
const prox = async (a: Tensor2D, b: Tensor2D, gamma: number) => reluProx(a, b, gamma).array();

const solvers: Record<string, (input: Values) => Promise<Named>> = {
  taylor_W_update_pinv: async (input) => {
    const a = rows(input, 'A_prev');
    const system = await gram([a]);
    const size = a.shape[1];
    const scale = system.reduce((largest, value) => Math.max(largest, value), 1e-12);
    const equations = normalEquations(system, size, () => 1e-9 * scale);
    const { solution } = await solveNormalEquations(
      equations,
      tf.matMul(a, rows(input, 'Z'), true, false),
    );
    return { W: await solution.array() };
  },
  taylor_z_update: async (input) => ({
    z: await prox(
      rows(input, 'a'),
      rows(input, 'm'),
      number(input, 'beta') / number(input, 'gamma'),
    ),
  }),
  lau_V_or_taylor_a_update: async (input) => {
    const weight = number(input, 'beta') / number(input, 'gamma');
    const solve = await quadraticActivations(layer(input), weight);
    const anchor = tf.relu(rows(input, 'Z'));
    return { A: await solve(rows(input, 'Z_next'), anchor).array() };
  },
  lau_relu_prox: async (input) => ({
    u: await prox(rows(input, 'a'), rows(input, 'b'), number(input, 'gamma')),
  }),
  lau_U_update: async (input) => {
    const [gamma, rho, alpha] = ['gamma', 'rho', 'alpha'].map((name) => number(input, name));
    const anchor = tf.add(tf.mul(rows(input, 'P'), rho), tf.mul(rows(input, 'U_old'), alpha));
    const center = tf.div(anchor, rho + alpha) as Tensor2D;
    return { U: await prox(rows(input, 'V'), center, (rho + alpha) / gamma) };
  },
  XL_update_mse: async (input) => {
    const weight = (2 * number(input, 'loss_coef')) / number(input, 'lambda_');
    const options = { tolerance: 1e-7, maxIterations: 100 };
    const solve = await nonNegativeActivations(layer(input), weight, options);
    const { activations } = await solve(rows(input, 'Y'), rows(input, 'U_prev'));
    return { Z: await activations.array() };
  },
};

/** Entries at a tie may take either of two values. */
function expectSolution(actual: Matrix, expected: Matrix, tie: Matrix | undefined): void {
  const scale = Math.max(1, maxAbs(expected));
  for (const [i, row] of expected.entries()) {
    for (const [j, value] of row.entries()) {
      if (tie?.[i][j]) continue;
      expect(Math.abs(actual[i][j] - value)).toBeLessThanOrEqual(1e-4 * scale);
    }
  }
}

describe('golden instances, tensor solvers of the lifted baselines', () => {
  beforeAll(startTestBackend);

  for (const [familyName, solve] of Object.entries(solvers)) {
    it.each(
      golden.cases[familyName].map((instance) => [`${instance.name} ${instance.edge}`, instance]),
    )('%s', async (_title, instance) => {
      const { input, solution, objective } = instance as Instance;
      const found = await solve(input);
      const reached = familyNamed(familyName)!.objective(readInput(input), found);
      expect(reached).toBeLessThanOrEqual(objective + 1e-4 * (1 + Math.abs(objective)));
      const isUnique = solution.unique !== false && familyName !== 'taylor_W_update_pinv';
      for (const [name, values] of Object.entries(found)) {
        const tie = solution.tie === undefined ? undefined : toMatrix(solution.tie);
        if (isUnique) expectSolution(values, toMatrix(solution[name]), tie);
      }
    });
  }
});
