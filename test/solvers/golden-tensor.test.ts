import { beforeAll, describe, expect, it } from 'vitest';
import { activations } from '../../src/core/network/activations/registry.js';
import { denseMap } from '../../src/core/network/maps/dense.js';
import { lossTerm, penaltyTerm, type SmoothTerm } from '../../src/core/network/smooth-term.js';
import { updateActivations } from '../../src/core/solvers/activation-update.js';
import { updateWeights } from '../../src/core/solvers/weight-update.js';
import { startTestBackend } from '../backends.js';
import { familyNamed } from '../reference/golden/families.js';
import { type Named, readInput, toMatrix } from '../reference/golden/family.js';
import { distance, type Matrix } from '../reference/matrix.js';
import { golden, type Instance, number, rows, type Values } from './golden.js';
import { matrix, vector } from './tensors.js';

/**
 * The tensor solvers, in float32, on the golden instances of Fenchel's six sub-problems: objectives to
 * 1e-4, and where it is unique the minimiser of the X-updates to 1e-4 too.
 */
const options = { tolerance: 2e-6, maxIterations: 3000 };

function nextLayer(input: Values): SmoothTerm {
  return penaltyTerm(activations.relu, rows(input, 'X_next'), rows(input, 'X_next'));
}

async function solveX(input: Values, above: SmoothTerm, weight: number): Promise<Named> {
  const { activations: z } = await updateActivations(
    {
      activation: activations.relu,
      predicted: rows(input, 'U_prev'),
      map: denseMap(toMatrix(input.W).length, toMatrix(input.b)[0].length),
      layer: { weights: rows(input, 'W'), bias: vector(toMatrix(input.b)[0]) },
      above,
      weight,
    },
    options,
  );
  return { Z: await z.array() };
}

/** rho ||P||^2 + gamma ||P - P_ref||^2 = (rho + gamma) ||P - P_c||^2 + const, divided by the term's weight. */
async function solveW(input: Values, term: SmoothTerm, weight: number): Promise<Named> {
  const part = (which: 'W' | 'b') => {
    const rho = number(input, `rho_${which}`);
    const gamma = number(input, `gamma_${which}`);
    const share = rho + gamma === 0 ? 1 : gamma / (rho + gamma);
    const reference = toMatrix(input[`${which}_ref`]);
    return {
      ridge: (2 * (rho + gamma)) / weight,
      center: reference.map((row) => row.map((value) => share * value)),
    };
  };
  const [w, b] = [part('W'), part('b')];
  const center = { weights: matrix(w.center), bias: vector(b.center[0]) };
  const { parameters } = await updateWeights(
    {
      inputs: rows(input, 'X'),
      term,
      center,
      start: center,
      ridge: { weights: w.ridge, bias: b.ridge },
    },
    options,
  );
  return { W: await parameters.weights.array(), b: [await parameters.bias.array()] };
}

const solvers: Record<string, (input: Values) => Promise<Named>> = {
  fenchel_X_update: (input) =>
    solveX(input, nextLayer(input), number(input, 'lambda_next') / number(input, 'lambda_prev')),
  XL_update_mse: (input) =>
    solveX(
      input,
      lossTerm('mse', rows(input, 'Y')),
      number(input, 'loss_coef') / number(input, 'lambda_'),
    ),
  XL_update_ce: (input) =>
    solveX(input, lossTerm('cross-entropy', rows(input, 'Y')), 1 / number(input, 'lambda_')),
  W_update_fenchel: (input) => solveW(input, nextLayer(input), number(input, 'lambda_')),
  WL_update_mse: (input) =>
    solveW(input, lossTerm('mse', rows(input, 'Y')), number(input, 'loss_coef')),
  WL_update_ce: (input) => solveW(input, lossTerm('cross-entropy', rows(input, 'Y')), 1),
};

describe('golden instances, tensor solvers', () => {
  beforeAll(startTestBackend);

  for (const [familyName, solve] of Object.entries(solvers)) {
    it.each(
      golden.cases[familyName].map((instance) => [`${instance.name} ${instance.edge}`, instance]),
    )('%s', async (_title, instance) => {
      const { input, solution, objective } = instance as Instance;
      const found = await solve(input);
      const reached = familyNamed(familyName)!.objective(readInput(input), found);
      expect(reached).toBeLessThanOrEqual(objective + 1e-4 * (1 + Math.abs(objective)));
      if (found.Z && solution.unique !== false) {
        const expected: Matrix = toMatrix(solution.Z);
        expect(distance(found.Z, expected)).toBeLessThan(1e-4 * Math.max(1, ...expected.flat()));
      }
    });
  }
});
