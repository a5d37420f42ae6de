import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { families, familyNamed } from './reference/golden/families.js';
import { type Named, readInput, toMatrix } from './reference/golden/family.js';
import { distance, type Matrix, maxAbs } from './reference/matrix.js';

/**
 * The float64 reference solvers against exact solutions of tiny instances of every sub-problem.
 * FLN_GOLDEN names another file of the same form.
 */
interface Instance {
  readonly name: string;
  readonly edge: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly solution: Readonly<Record<string, unknown>>;
  readonly objective: number;
}

const file = process.env.FLN_GOLDEN ?? new URL('golden/golden.json', import.meta.url);
const golden = JSON.parse(readFileSync(file, 'utf8')) as { cases: Record<string, Instance[]> };

/** Largest difference in units of 1, or of the expected value where that is larger; ties take either answer. */
function mismatch(actual: Matrix, expected: Matrix, tie?: Matrix, other?: Matrix): number {
  expect(actual.map((row) => row.length)).toEqual(expected.map((row) => row.length));
  let worst = 0;
  for (const [i, row] of expected.entries()) {
    for (const [j, value] of row.entries()) {
      const choices = tie?.[i][j] && other ? [actual[i][j], other[i][j]] : [actual[i][j]];
      const gaps = choices.map((choice) => distance([[choice]], [[value]]));
      worst = Math.max(worst, Math.min(...gaps) / Math.max(1, Math.abs(value)));
    }
  }
  return worst;
}

/** Rows of a prediction that rounding cannot decide are left out of the comparison. */
function undecided(name: string, { solution }: Instance, logits: Matrix, at: number): boolean {
  if (name === 'pred') return toMatrix(solution.margin)[0][at] < 1e-9;
  const [first, second] = [...logits[at]].sort((a, b) => b - a);
  return first - second < 1e-9;
}

function checkPart(name: string, instance: Instance, parts: Named, tied: Named | undefined): void {
  const { solution } = instance;
  const expected = toMatrix(solution[name]);
  if (name === 'pred' || name === 'pred_feedforward') {
    const kept = expected[0].flatMap((_, at) =>
      undecided(name, instance, parts.logits, at) ? [] : [at],
    );
    expect(kept.map((at) => parts[name][0][at])).toEqual(kept.map((at) => expected[0][at]));
    return;
  }
  const tie = solution.tie === undefined ? undefined : toMatrix(solution.tie);
  expect(mismatch(parts[name], expected, tie, tied?.[name]), name).toBeLessThanOrEqual(1e-6);
}

describe('golden instances', () => {
  it('cover every sub-problem, and every family in the file has a solver', () => {
    expect(Object.keys(golden.cases).sort()).toEqual(Object.keys(families).sort());
    for (const instances of Object.values(golden.cases)) expect(instances).not.toHaveLength(0);
  });

  describe.each(Object.entries(golden.cases))('%s', (familyName, instances) => {
    it.each(
      instances.map((instance) => ({ instance, title: `${instance.name} ${instance.edge}` })),
    )('$title', ({ instance }) => {
      const family = familyNamed(familyName);
      if (!family) expect.unreachable(`no solver is registered for ${familyName}`);
      const input = readInput(instance.input);
      const { parts, tied, objective, residual } = family.solve(input);

      const tolerance = 1e-8 * (1 + Math.abs(instance.objective));
      const value = family.objective(input, parts);
      expect(value).toBeLessThanOrEqual(instance.objective + tolerance);
      expect(Math.abs(objective - value)).toBeLessThanOrEqual(tolerance);

      const variables = family.variables.map((name) => maxAbs(parts[name]));
      expect(residual).toBeLessThanOrEqual(1e-9 * Math.max(1, ...variables));

      const shared = Object.keys(parts).filter((name) => name in instance.solution);
      expect(shared).not.toHaveLength(0);
      for (const name of shared) {
        const comparable =
          instance.solution.unique !== false || family.alwaysUnique?.includes(name);
        if (comparable) checkPart(name, instance, parts, tied);
      }
    });
  });
});
