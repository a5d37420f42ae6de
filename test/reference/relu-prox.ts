import { type Matrix, map, type Solved, zip } from './matrix.js';

/**
 * The scalar problem behind Lau's U-update and Taylor's z-update:
 *
 *     min over u:   (relu(u) - a)^2 / 2 + gamma (u - b)^2 / 2
 *
 * Not convex. On u >= 0 the minimiser is max(0, (a + gamma b) / (1 + gamma)), on u <= 0 it is min(0, b);
 * the cheaper of both is the solution, the first at a tie. (Lau et al. 2018, "A proximal block coordinate
 * descent algorithm for deep neural network training".)
 */
export interface ReluProx {
  readonly u: number[][];
  /** The minimiser on the other side of zero: as good at a tie, worse elsewhere. */
  readonly other: number[][];
}

/** Entry by entry on [n, d]. */
export function reluProx(a: Matrix, b: Matrix, gamma: number): Solved<ReluProx> {
  const u = map(a, (_, i, j) => solveEntry(a[i][j], b[i][j], gamma).best);
  const other = map(a, (_, i, j) => solveEntry(a[i][j], b[i][j], gamma).other);
  return {
    solution: { u, other },
    objective: map(u, (value, i, j) => cost(value, a[i][j], b[i][j], gamma))
      .flat()
      .reduce((total, value) => total + value, 0),
    residual: Math.max(...map(u, (value, i, j) => step(value, a[i][j], b[i][j], gamma)).flat()),
  };
}

const cost = (u: number, a: number, b: number, gamma: number) =>
  (Math.max(u, 0) - a) ** 2 / 2 + (gamma * (u - b) ** 2) / 2;

function solveEntry(a: number, b: number, gamma: number): { best: number; other: number } {
  const positive = Math.max(0, (a + gamma * b) / (1 + gamma));
  const negative = Math.min(0, b);
  return cost(positive, a, b, gamma) <= cost(negative, a, b, gamma)
    ? { best: positive, other: negative }
    : { best: negative, other: positive };
}

/** How far a descent step would move u: at the kink u = 0, down either side. */
function step(u: number, a: number, b: number, gamma: number): number {
  const right = (u - a + gamma * (u - b)) / (1 + gamma);
  const left = u - b;
  if (u > 0) return Math.abs(right);
  return u < 0 ? Math.abs(left) : Math.max(0, -right, left);
}

/** The convex combination (p x + q y) / (p + q), which both lifted baselines feed to the prox. */
export const blend = (p: number, x: Matrix, q: number, y: Matrix): number[][] =>
  zip(x, y, (xi, yi) => (p * xi + q * yi) / (p + q));
