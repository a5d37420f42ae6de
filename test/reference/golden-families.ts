import { scalarActivations } from './activations.js';
import { fenchelActivationUpdate } from './fenchel-activation-update.js';
import { headActivationUpdate } from './head-activation-update.js';
import { headWeightUpdate } from './head-weight-update.js';
import { lauPreActivationUpdate, lauWeightUpdate } from './lau.js';
import { affine, type Matrix, map, multiply, sum, sumAll, zip } from './matrix.js';
import { predictLifted } from './predict-lifted.js';
import { quadraticActivationUpdate } from './quadratic-activation-update.js';
import { reluProx } from './relu-prox.js';
import type { Ridge } from './ridge.js';
import { taylorHiddenUpdate, taylorOutputUpdate, taylorWeightUpdate } from './taylor.js';
import { logSoftmax, softmax } from './terms.js';
import { weightUpdate } from './weight-update.js';

/** Inputs and solutions carry the names of the golden file; a vector is a one-row matrix here. */
export type Named = Readonly<Record<string, Matrix>>;

export interface Input {
  matrix(name: string): Matrix;
  vector(name: string): readonly number[];
  scalar(name: string): number;
}

export interface Answer {
  readonly parts: Named;
  /** The equally good answer where the golden file marks a tie. */
  readonly tied?: Named;
  /** The solver's own objective and residual. */
  readonly objective: number;
  readonly residual: number;
}

/** How one family of golden sub-problems is solved and judged. */
export interface Family {
  solve(input: Input): Answer;
  /** The README formula of the golden file, written again and apart from the solver. */
  objective(input: Input, parts: Named): number;
  /** The parts that are minimised over, and whether they must stay non-negative. */
  readonly variables: readonly string[];
  readonly nonNegative?: boolean;
  /** Parts that are unique even where the solution says `unique: false`. */
  readonly alwaysUnique?: readonly string[];
}

const relu = (u: number) => Math.max(u, 0);
const squares = (a: Matrix) => sumAll(map(a, (value) => value ** 2));
const minus = (a: Matrix, b: Matrix) => zip(a, b, (x, y) => x - y);
const linear = (x: Matrix, { W, b }: Named) => affine(x, W, b[0]);
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

export const families = {
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

export type FamilyName = keyof typeof families;

/** Every family, by name; undefined for a name that is none. */
export const familyNamed = (name: string): Family | undefined =>
  (families as Readonly<Record<string, Family>>)[name];
