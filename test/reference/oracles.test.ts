import { describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.js';
import { scalarActivations } from './activations.js';
import { type FamilyName, families, familyNamed } from './golden/families.js';
import { type Family, type Named, readInput } from './golden/family.js';
import { edges, randomInstance } from './golden/random-instances.js';
import { affine, type Matrix, map, maxAbs, sum } from './matrix.js';
import { logSoftmax } from './terms.js';

/** The reference solvers beyond the golden file: seeded random instances, many of them degenerate. */
const names = Object.keys(families) as FamilyName[];
const instancesPerEdge = 2;
const probes = 60;

describe.each(names)('%s, random instances', (name) => {
  it.each(edges)('%s: stationary, and no probe does better', (edge) => {
    const random = new Random(1, `${name}/${edge}`);
    const family = familyNamed(name) as Family;
    for (let instance = 0; instance < instancesPerEdge; instance++) {
      const input = readInput(randomInstance(name, edge, random));
      const { parts, objective, residual } = family.solve(input);

      const sizes = family.variables.map((key) => maxAbs(parts[key]));
      expect(residual).toBeLessThanOrEqual(1e-9 * Math.max(1, ...sizes));

      const value = family.objective(input, parts);
      expect(Math.abs(value - objective)).toBeLessThanOrEqual(1e-9 * (1 + Math.abs(value)));
      for (let probe = 0; probe < probes && family.variables.length > 0; probe++) {
        const other = family.objective(input, perturb(family, parts, random));
        expect(other).toBeGreaterThanOrEqual(value - 1e-10 * (1 + Math.abs(value)));
      }
    }
  });
});

describe('Lau weight update', () => {
  it('minimises over W with the old bias, then over b with the new W', () => {
    const random = new Random(1, 'lau weights');
    for (const edge of edges) {
      const input = readInput(randomInstance('lau_Wb_update', edge, random));
      const { parts } = families.lau_Wb_update.solve(input);
      const cost = (w: Matrix, b: Matrix) => families.lau_Wb_update.objective(input, { W: w, b });
      const oldBias = [input.vector('b_old')];
      const afterWeights = cost(parts.W, oldBias);
      const afterBias = cost(parts.W, parts.b);
      expect(afterBias).toBeLessThanOrEqual(afterWeights);
      for (let probe = 0; probe < probes; probe++) {
        const { W, b } = perturb({ variables: [probe % 2 ? 'W' : 'b'] }, parts, random);
        const slack = 1e-10 * (1 + Math.abs(afterWeights));
        expect(cost(W, oldBias)).toBeGreaterThanOrEqual(afterWeights - slack);
        expect(cost(parts.W, b)).toBeGreaterThanOrEqual(afterBias - slack);
      }
    }
  });
});

describe('lifted prediction', () => {
  it('is never above the feed-forward point, nor above any other z', () => {
    const random = new Random(1, 'prediction');
    for (const edge of edges) {
      const input = readInput(randomInstance('predict_eq12_ce', edge, random));
      const { values, pred } = families.predict_eq12_ce.solve(input).parts;
      for (const [i, u] of input.matrix('U_prev').entries()) {
        const point = u.map(scalarActivations.relu.phi);
        for (let probe = 0; probe < probes; probe++) {
          const z = point.map((zi) =>
            probe === 0 ? zi : Math.max(0, zi + 10 ** (1 - (probe % 6)) * random.normal()),
          );
          const logits = affine([z], input.matrix('W'), input.vector('b'))[0];
          const distance = sum(z.map((zi, j) => scalarActivations.relu.penalty(zi, u[j])));
          for (const [k, value] of values[i].entries()) {
            const cost = -logSoftmax(logits)[k] + input.scalar('lambda_') * distance;
            expect(cost).toBeGreaterThanOrEqual(value - 1e-10 * (1 + Math.abs(value)));
          }
        }
        expect(values[i][pred[0][i]]).toBe(Math.min(...values[i]));
      }
    }
  });
});

type Perturbed = Pick<Family, 'variables' | 'nonNegative'>;

/** One entry, or all of them, moved by 1e-6 to 10 of their size, and kept feasible. */
function perturb({ variables, nonNegative }: Perturbed, parts: Named, random: Random): Named {
  const chosen = variables[random.integer(variables.length)];
  const old = parts[chosen];
  const size = 10 ** (random.integer(8) - 6) * Math.max(1, maxAbs(old));
  const row = random.integer(old.length);
  const column = random.integer(old[0].length);
  const all = random.uniform() < 0.5;
  const moved = map(old, (value, i, j) => {
    const next = all || (i === row && j === column) ? value + size * random.normal() : value;
    return nonNegative ? Math.max(next, 0) : next;
  });
  return { ...parts, [chosen]: moved };
}
