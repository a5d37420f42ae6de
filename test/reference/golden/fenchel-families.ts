import { scalarActivations } from '../activations.js';
import { fenchelActivationUpdate } from '../fenchel-activation-update.js';
import { headActivationUpdate } from '../head-activation-update.js';
import { headWeightUpdate } from '../head-weight-update.js';
import { affine, type Matrix, map, sum, sumAll, zip } from '../matrix.js';
import { predictLifted } from '../predict-lifted.js';
import type { Ridge } from '../ridge.js';
import { logSoftmax, softmax } from '../terms.js';
import { weightUpdate } from '../weight-update.js';
import { type Family, type Input, linear, minus, type Named, relu, squares } from './family.js';

const reluPenalty = (v: Matrix, u: Matrix) =>
  sumAll(zip(v, u, (vi, ui) => vi ** 2 / 2 + relu(ui) ** 2 / 2 - ui * vi));
const crossEntropy = (y: Matrix, logits: Matrix) =>
  -sumAll(zip(y, logits.map(logSoftmax), (yi, p) => (yi === 0 ? 0 : yi * p)));

const ridge = (input: Input): Ridge => ({
  rhoWeights: input.scalar('rho_W'),
  rhoBias: input.scalar('rho_b'),
  gammaWeights: input.scalar('gamma_W'),
  gammaBias: input.scalar('gamma_b'),
  weights0: input.matrix('W_ref'),
  bias0: input.vector('b_ref'),
});

const ridgeCost = (input: Input, { W, b }: Named) =>
  input.scalar('rho_W') * squares(W) +
  input.scalar('rho_b') * squares(b) +
  input.scalar('gamma_W') * squares(minus(W, input.matrix('W_ref'))) +
  input.scalar('gamma_b') * squares(minus(b, [input.vector('b_ref')]));

const headFamily = (loss: 'mse' | 'cross-entropy'): Family => ({
  variables: ['Z'],
  nonNegative: true,
  solve: (input) => {
    const previous = input.matrix('U_prev');
    const lambda = input.scalar('lambda_');
    const { solution, objective, residual } = headActivationUpdate({
      targets: input.matrix('Y'),
      weights: input.matrix('W'),
      bias: input.vector('b'),
      previous,
      activation: scalarActivations.relu,
      loss,
      lambda,
      lossWeight: loss === 'mse' ? input.scalar('loss_coef') : 1,
    });
    // lambda/2 ||Z - U||^2 = lambda B(Z, U) + lambda/2 ||min(U, 0)||^2
    const constant = (lambda / 2) * squares(map(previous, (u) => Math.min(u, 0)));
    return { parts: { Z: solution }, objective: objective + constant, residual };
  },
  objective: (input, { Z }) => {
    const logits = affine(Z, input.matrix('W'), input.vector('b'));
    const misfit =
      loss === 'mse'
        ? input.scalar('loss_coef') * squares(minus(input.matrix('Y'), logits))
        : crossEntropy(input.matrix('Y'), logits);
    return misfit + (input.scalar('lambda_') / 2) * squares(minus(Z, input.matrix('U_prev')));
  },
});

/** Sub-problems of the Fenchel lifted network. */
export const fenchelFamilies = {
  fenchel_X_update: {
    variables: ['Z'],
    nonNegative: true,
    solve: (input) => {
      const { solution, ...rest } = fenchelActivationUpdate({
        next: input.matrix('X_next'),
        weights: input.matrix('W'),
        bias: input.vector('b'),
        previous: input.matrix('U_prev'),
        activation: scalarActivations.relu,
        lambdaNext: input.scalar('lambda_next'),
        lambdaPrevious: input.scalar('lambda_prev'),
      });
      return { parts: { Z: solution }, ...rest };
    },
    objective: (input, { Z }) =>
      input.scalar('lambda_next') *
        reluPenalty(input.matrix('X_next'), affine(Z, input.matrix('W'), input.vector('b'))) +
      input.scalar('lambda_prev') * reluPenalty(Z, input.matrix('U_prev')),
  },
  XL_update_mse: headFamily('mse'),
  XL_update_ce: headFamily('cross-entropy'),
  W_update_fenchel: {
    variables: ['W', 'b'],
    alwaysUnique: ['reluU'],
    solve: (input) => {
      const { solution, ...rest } = weightUpdate({
        ...ridge(input),
        x: input.matrix('X'),
        next: input.matrix('X_next'),
        activation: scalarActivations.relu,
        lambda: input.scalar('lambda_'),
      });
      const parts = { W: solution.weights, b: [solution.bias] };
      return { parts: { ...parts, reluU: map(linear(input.matrix('X'), parts), relu) }, ...rest };
    },
    objective: (input, parts) =>
      input.scalar('lambda_') *
        reluPenalty(input.matrix('X_next'), linear(input.matrix('X'), parts)) +
      ridgeCost(input, parts),
  },
  WL_update_mse: {
    variables: ['W', 'b'],
    alwaysUnique: ['fitted'],
    solve: (input) => {
      const { solution, ...rest } = headWeightUpdate({
        ...ridge(input),
        x: input.matrix('X'),
        targets: input.matrix('Y'),
        loss: 'mse',
        lossWeight: input.scalar('loss_coef'),
      });
      const parts = { W: solution.weights, b: [solution.bias] };
      return { parts: { ...parts, fitted: linear(input.matrix('X'), parts) }, ...rest };
    },
    objective: (input, parts) =>
      input.scalar('loss_coef') *
        squares(minus(input.matrix('Y'), linear(input.matrix('X'), parts))) +
      ridgeCost(input, parts),
  },
  WL_update_ce: {
    variables: ['W', 'b'],
    alwaysUnique: ['softmax'],
    solve: (input) => {
      const { solution, ...rest } = headWeightUpdate({
        ...ridge(input),
        x: input.matrix('X'),
        targets: input.matrix('Y'),
        loss: 'cross-entropy',
      });
      const parts = { W: solution.weights, b: [solution.bias] };
      return {
        parts: { ...parts, softmax: linear(input.matrix('X'), parts).map(softmax) },
        ...rest,
      };
    },
    objective: (input, parts) =>
      crossEntropy(input.matrix('Y'), linear(input.matrix('X'), parts)) + ridgeCost(input, parts),
  },
  predict_eq12_ce: {
    variables: [],
    solve: (input) => {
      const { solution, ...rest } = predictLifted({
        previous: input.matrix('U_prev'),
        weights: input.matrix('W'),
        bias: input.vector('b'),
        activation: scalarActivations.relu,
        lambda: input.scalar('lambda_'),
      });
      return {
        parts: {
          values: solution.values,
          pred: [solution.lifted],
          pred_feedforward: [solution.feedForward],
          logits: affine(map(input.matrix('U_prev'), relu), input.matrix('W'), input.vector('b')),
        },
        ...rest,
      };
    },
    objective: (_, { values }) => sum(values.map((row) => Math.min(...row))),
  },
} satisfies Record<string, Family>;
