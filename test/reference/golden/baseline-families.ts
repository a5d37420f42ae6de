import { lauPreActivationUpdate, lauWeightUpdate } from '../lau.js';
import { affine, map, multiply, sumAll, zip } from '../matrix.js';
import { quadraticActivationUpdate } from '../quadratic-activation-update.js';
import { reluProx } from '../relu-prox.js';
import { taylorHiddenUpdate, taylorOutputUpdate, taylorWeightUpdate } from '../taylor.js';
import { type Family, linear, minus, relu, squares } from './family.js';

/** Sub-problems of the lifted baselines. */
export const baselineFamilies = {
  taylor_W_update_pinv: {
    variables: ['W'],
    solve: (input) => {
      const { solution, ...rest } = taylorWeightUpdate(input.matrix('A_prev'), input.matrix('Z'));
      const { weights, rank } = solution;
      const fitted = multiply(input.matrix('A_prev'), weights);
      return { parts: { W: weights, rank: [[rank]], fitted }, ...rest };
    },
    objective: (input, { W }) =>
      squares(minus(input.matrix('Z'), multiply(input.matrix('A_prev'), W))),
  },
  taylor_z_update: {
    variables: ['z'],
    solve: (input) => {
      const { solution, ...rest } = taylorHiddenUpdate(input.matrix('a'), input.matrix('m'), {
        beta: input.scalar('beta'),
        gamma: input.scalar('gamma'),
      });
      return { parts: { z: solution.u }, tied: { z: solution.other }, ...rest };
    },
    objective: (input, { z }) =>
      input.scalar('gamma') * squares(minus(input.matrix('a'), map(z, relu))) +
      input.scalar('beta') * squares(minus(z, input.matrix('m'))),
  },
  taylor_zL_update: {
    variables: ['z'],
    solve: (input) => {
      const { solution, ...rest } = taylorOutputUpdate(
        input.matrix('y'),
        input.matrix('lambda_'),
        input.matrix('m'),
        input.scalar('beta'),
      );
      return {
        parts: {
          z: solution.z,
          lambda_new_public_code: solution.replacedMultiplier,
          lambda_new_admm: solution.accumulatedMultiplier,
        },
        ...rest,
      };
    },
    objective: (input, { z }) =>
      squares(minus(z, input.matrix('y'))) / 2 +
      sumAll(zip(input.matrix('lambda_'), z, (l, value) => l * value)) +
      (input.scalar('beta') / 2) * squares(minus(z, input.matrix('m'))),
  },
  lau_V_or_taylor_a_update: {
    variables: ['A'],
    solve: (input) => {
      const { solution, ...rest } = quadraticActivationUpdate({
        weights: input.matrix('W'),
        bias: input.vector('b'),
        next: input.matrix('Z_next'),
        z: input.matrix('Z'),
        beta: input.scalar('beta'),
        gamma: input.scalar('gamma'),
      });
      return { parts: { A: solution }, ...rest };
    },
    objective: (input, { A }) => {
      const predicted = affine(A, input.matrix('W'), input.vector('b'));
      return (
        input.scalar('beta') * squares(minus(input.matrix('Z_next'), predicted)) +
        input.scalar('gamma') * squares(minus(A, map(input.matrix('Z'), relu)))
      );
    },
  },
  lau_relu_prox: {
    variables: ['u'],
    solve: (input) => {
      const { solution, ...rest } = reluProx(
        input.matrix('a'),
        input.matrix('b'),
        input.scalar('gamma'),
      );
      return { parts: { u: solution.u }, tied: { u: solution.other }, ...rest };
    },
    objective: (input, { u }) =>
      squares(minus(map(u, relu), input.matrix('a'))) / 2 +
      (input.scalar('gamma') / 2) * squares(minus(u, input.matrix('b'))),
  },
  lau_U_update: {
    variables: ['U'],
    solve: (input) => {
      const { solution, ...rest } = lauPreActivationUpdate({
        v: input.matrix('V'),
        predicted: input.matrix('P'),
        old: input.matrix('U_old'),
        gamma: input.scalar('gamma'),
        rho: input.scalar('rho'),
        alpha: input.scalar('alpha'),
      });
      return { parts: { U: solution.u }, tied: { U: solution.other }, ...rest };
    },
    objective: (input, { U }) =>
      (input.scalar('gamma') / 2) * squares(minus(input.matrix('V'), map(U, relu))) +
      (input.scalar('rho') / 2) * squares(minus(U, input.matrix('P'))) +
      (input.scalar('alpha') / 2) * squares(minus(U, input.matrix('U_old'))),
  },
  lau_Wb_update: {
    variables: [],
    solve: (input) => {
      const { solution, ...rest } = lauWeightUpdate({
        v: input.matrix('V'),
        u: input.matrix('U'),
        oldWeights: input.matrix('W_old'),
        oldBias: input.vector('b_old'),
        alpha: input.scalar('alpha'),
        rho: input.scalar('rho'),
      });
      return { parts: { W: solution.weights, b: [solution.bias] }, ...rest };
    },
    objective: (input, parts) =>
      (input.scalar('rho') / 2) *
        squares(minus(input.matrix('U'), linear(input.matrix('V'), parts))) +
      (input.scalar('alpha') / 2) * squares(minus(parts.W, input.matrix('W_old'))) +
      (input.scalar('alpha') / 2) * squares(minus(parts.b, [input.vector('b_old')])),
  },
} satisfies Record<string, Family>;
