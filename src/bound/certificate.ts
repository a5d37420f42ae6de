import { type CholeskyFactor, factor, NotPositiveDefiniteError } from '../core/solvers/cholesky.js';
import { squares64 } from './float64.js';
import { maximise } from './maximise.js';

/**
 * A certified lower bound for networks of one hidden ReLU layer of any width, with ridge on both layers:
 *
 *     p* = min_{W, A, c}  ||relu(X W) A + 1 c^T - Y||^2 / 2 + beta/2 (||W||^2 + ||A||^2)
 *
 * Weak duality: for every R [n, q] with 1^T R = 0 (c is free) and N(R) <= beta,
 *
 *     p* >= <R, Y> - ||R||^2 / 2,      N(R) = max_{||u|| <= 1} ||R^T relu(X u)||,
 *
 * because a unit contributes <R, relu(X w) a^T> <= N(R) ||w|| ||a|| <= beta (||w||^2 + ||a||^2) / 2.
 * N is not convex to compute. It is bounded by the semidefinite relaxation of h = relu(z), z = X u:
 * h_i (h_i - z_i) = 0, h_i h_j >= 0 and h_i (h_j - z_j) >= 0. With multipliers d of the first and S, T >= 0
 * (zero diagonals, S symmetric) of the others, D = diag(d), B = D - T and K = X X^T / (4 beta^2),
 *
 *     M = D - R R^T - S - (T + T^T)/2 - B K B^T  positive semidefinite   implies   N(R) <= beta:
 *
 * for u with ||u|| <= 1,  ||R^T h||^2 <= h^T (R R^T - D + S + T) h + h^T B X u  (the added terms are >= 0)
 *                        <= beta^2 ||u||^2 + h^T (R R^T - D + S + (T + T^T)/2 + B K B^T) h <= beta^2.
 *
 * The set of (R, d, S, T) is convex. The bound is raised in it by an interior-point method, L-BFGS on
 * <R, Y> - ||R||^2/2 + tau log det M for decreasing tau.
 *
 * Rounding: M is factored after all errors of computing and factoring it, `slack`, are subtracted from its
 * diagonal, so that every point the ascent visits is a certificate. Entries of R are multiples of 2^-36, so that
 * its columns sum to exactly 0.
 *
 * References: Shor (1987) and Sherali and Adams (1990) for the relaxation; Pilanci and Ergen (ICML 2020) for the dual
 * problem; Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 10.1, for the factorisation's error.
 */
export interface CertificateProblem {
  /** X [n, p], row by row. */
  readonly inputs: Float64Array;
  /** Y [n, q], row by row. */
  readonly targets: Float64Array;
  /** n */
  readonly rows: number;
  /** > 0 */
  readonly beta: number;
}

/** What proves a bound. */
export interface Multipliers {
  /** R [n, q]; its columns sum to exactly 0. */
  readonly r: Float64Array;
  /** d [n], > 0 */
  readonly d: Float64Array;
  /** S and T [n, n], >= 0 with zero diagonals, S symmetric; left out: 0. */
  readonly s?: Float64Array;
  readonly t?: Float64Array;
}

export interface Certificate {
  /** A lower bound of p*, rounding included. */
  readonly value: number;
  readonly multipliers: Multipliers;
  /** Steps of the ascent. */
  readonly steps: number;
}

/** Images up to which pairs have multipliers S and T, and a stage of the ascent has 200 steps rather than 60. */
export const maxPairedRows = 200;

/** Weights of the barrier, n tau: what the ascent may miss of the best bound, as a fraction of it. */
const gaps = [0.3, 0.1, 0.03, 0.01, 0.003, 0.001];
const unitRoundoff = 2 ** -53;
const grid = 2 ** 36;

/**
 * @param onStep called with n tau, the objective of the ascent and the bound so far after every step
 * @throws RangeError for beta <= 0
 */
export async function certify(
  problem: CertificateProblem,
  onStep: (gap: number, objective: number, value: number) => void = () => {},
): Promise<Certificate> {
  const { targets, rows: n, beta } = problem;
  if (!(beta > 0)) throw new RangeError('the certificate needs beta > 0');
  const q = targets.length / n;
  const kernel = gram(problem);
  // d = 1 / (2 ||K||_inf) and R = S = T = 0 are strictly feasible.
  let largest = 0;
  for (let i = 0; i < n; i++) {
    largest = Math.max(
      largest,
      kernel.subarray(i * n, (i + 1) * n).reduce((a, b) => a + Math.abs(b), 0),
    );
  }
  let d: Float64Array = new Float64Array(n).fill(largest > 0 ? 0.5 / largest : 1);
  let multipliers: Multipliers = { r: new Float64Array(n * q), d };
  let best: Certificate = { value: 0, multipliers, steps: 0 };
  let steps = 0;
  let reference = squaredDeviation(targets, q) / 2;
  // R = scale x, d = base exp(x), S and T = scale_i scale_j x^2.
  let scale = new Float64Array(n);
  for (const [stage, gap] of gaps.entries()) {
    const tau = (gap * reference) / n;
    const paired = stage > 0 && n <= maxPairedRows;
    if (stage < 2) scale = d.map(Math.sqrt);
    const base = d;
    const read = (x: Float64Array) => unpack(x, { base, scale, q, paired });
    const evaluate = (x: Float64Array) => {
      const point = read(x);
      const slack = slackMatrix(problem, kernel, point);
      if (!slack) return undefined;
      const value = dualObjective(problem, point.r);
      const objective = value + tau * slack.factor.logDeterminant();
      return {
        value: objective,
        gradient: gradient(problem, kernel, point, slack, { x, tau, scale }),
      };
    };
    let start = pack(multipliers, scale, paired);
    // Pairs may begin too large: smaller S, T and R are feasible.
    for (let k = 0; k < 50 && !evaluate(start); k++) {
      start = start.map((value, i) => (i >= n * q && i < n * q + n ? value : value / 2));
    }
    if (!evaluate(start)) break;
    const found = await maximise(evaluate, start, n <= maxPairedRows ? 200 : 60, (x, objective) => {
      const { r } = read(x);
      const value = safeObjective(problem, r);
      steps++;
      if (value > best.value) best = { value, multipliers: read(x), steps };
      onStep(gap, objective, best.value);
    });
    multipliers = read(found);
    d = multipliers.d;
    if (best.value > 0) reference = best.value;
  }
  return { ...best, steps };
}

/**
 * The bound that multipliers prove, or undefined where M is not positive definite beyond rounding.
 *
 * @throws RangeError for multipliers outside their domain
 */
export function certifiedValue(
  problem: CertificateProblem,
  multipliers: Multipliers,
): number | undefined {
  const { rows: n, targets } = problem;
  const { r, d, s, t } = multipliers;
  const q = targets.length / n;
  for (let k = 0; k < q; k++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += r[i * q + k];
    if (sum !== 0) throw new RangeError('the columns of R must sum to 0');
  }
  if (!d.every((value) => value > 0)) throw new RangeError('d must be positive');
  for (const pairs of [s, t]) {
    if (pairs?.some((value, e) => !(value >= 0) || (value > 0 && e % (n + 1) === 0)))
      throw new RangeError('S and T must be non-negative, with zero diagonals');
  }
  const proved = slackMatrix(problem, gram(problem), multipliers) !== undefined;
  return proved ? safeObjective(problem, r) : undefined;
}

/** K = X X^T / (4 beta^2) */
function gram({ inputs, rows: n, beta }: CertificateProblem): Float64Array {
  const p = inputs.length / n;
  const kernel = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let f = 0; f < p; f++) sum += inputs[i * p + f] * inputs[j * p + f];
      kernel[i * n + j] = kernel[j * n + i] = sum / (4 * beta * beta);
    }
  }
  return kernel;
}

interface Slack {
  readonly factor: CholeskyFactor;
  /** B K [n, n] */
  readonly bk: Float64Array;
}

/** The factor of M less its rounding errors; undefined where that is not positive definite. */
function slackMatrix(
  { inputs, rows: n, beta, targets }: CertificateProblem,
  kernel: Float64Array,
  { r, d, s, t }: Multipliers,
): Slack | undefined {
  const q = targets.length / n;
  const p = inputs.length / n;
  const bk = kernel.map((value, e) => d[Math.floor(e / n)] * value);
  if (t) product(t, kernel, n, (e, value) => (bk[e] -= value));
  const m = new Float64Array(n * n);
  let trace = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let value = -bk[i * n + j] * d[j];
      if (t) for (let k = 0; k < n; k++) value += bk[i * n + k] * t[j * n + k];
      for (let k = 0; k < q; k++) value -= r[i * q + k] * r[j * q + k];
      if (s && t) value -= s[i * n + j] + (t[i * n + j] + t[j * n + i]) / 2;
      m[i * n + j] = value;
    }
    m[i * n + i] += d[i];
    trace += Math.abs(m[i * n + i]);
  }
  // Every entry is a sum of at most 2 n + p + q + 6 products; the moduli of all terms have this norm at most.
  const [normD, normS, normT] = [d, s, t].map((values) =>
    values ? Math.sqrt(squares64(values)) : 0,
  );
  const terms =
    normD +
    normS +
    normT +
    squares64(r) +
    ((normD + normT) ** 2 * squares64(inputs)) / (4 * beta * beta);
  const errors = 2 * unitRoundoff * ((2 * n + p + q + 20) * terms + (n + 20) * trace);
  for (let i = 0; i < n; i++) m[i * n + i] -= errors;
  try {
    return { factor: factor(m, n), bk };
  } catch (error) {
    if (error instanceof NotPositiveDefiniteError) return undefined;
    throw error;
  }
}

/** Of <R, Y> - ||R||^2/2 + tau log det M in the variables x of {@link unpack}. */
function gradient(
  { targets, rows: n }: CertificateProblem,
  kernel: Float64Array,
  { r, d, s, t }: Multipliers,
  { factor, bk }: Slack,
  { x, tau, scale }: { x: Float64Array; tau: number; scale: Float64Array },
): Float64Array {
  const q = targets.length / n;
  const inverse = factor.inverse();
  const result = new Float64Array(x.length);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < q; k++) {
      let sum = 0;
      for (let j = 0; j < n; j++) sum += inverse[i * n + j] * r[j * q + k];
      const e = i * q + k;
      result[e] = targets[e] - r[e] - 2 * tau * sum;
    }
  }
  centre(result, n, q);
  for (let e = 0; e < n * q; e++) result[e] *= scale[Math.floor(e / q)];
  const pull = new Float64Array(n * n);
  if (t) product(inverse, bk, n, (e, value) => (pull[e] = value));
  const pairs = n * q + n;
  for (let i = 0; i < n; i++) {
    let own = pull[i * n + i];
    if (!t) for (let j = 0; j < n; j++) own += inverse[i * n + j] * d[j] * kernel[j * n + i];
    result[n * q + i] = tau * (inverse[i * n + i] - 2 * own) * d[i];
    for (let j = 0; s && t && j < n; j++) {
      if (i === j) continue;
      const e = i * n + j;
      const slope = 2 * tau * scale[i] * scale[j];
      if (i < j) result[pairs + e] = -2 * slope * inverse[e] * x[pairs + e];
      result[pairs + n * n + e] = slope * (2 * pull[e] - inverse[e]) * x[pairs + n * n + e];
    }
  }
  return result;
}

interface Variables {
  readonly base: Float64Array;
  readonly scale: Float64Array;
  readonly q: number;
  readonly paired: boolean;
}

/** x = (R, log d, and where pairs have multipliers: roots of S above its diagonal, roots of T), all scaled. */
function unpack(x: Float64Array, { base, scale, q, paired }: Variables): Multipliers {
  const n = base.length;
  const r = Float64Array.from({ length: n * q }, (_, e) => scale[Math.floor(e / q)] * x[e]);
  centre(r, n, q);
  for (let k = 0; k < q; k++) {
    let sum = 0;
    for (let i = 0; i < n - 1; i++) {
      r[i * q + k] = Math.round(r[i * q + k] * grid) / grid;
      sum += r[i * q + k];
    }
    r[(n - 1) * q + k] = 0 - sum;
  }
  const d = base.map((value, i) => value * Math.exp(x[n * q + i]));
  if (!paired) return { r, d };
  const s = new Float64Array(n * n);
  const t = new Float64Array(n * n);
  const pairs = n * q + n;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      if (i === j) continue;
      const e = i * n + j;
      if (i < j) s[e] = s[j * n + i] = scale[i] * scale[j] * x[pairs + e] ** 2;
      t[e] = scale[i] * scale[j] * x[pairs + n * n + e] ** 2;
    }
  }
  return { r, d, s, t };
}

/** The start of a stage; pairs without multipliers begin with small ones, where the roots have a slope. */
function pack({ r, d, s, t }: Multipliers, scale: Float64Array, paired: boolean): Float64Array {
  const n = d.length;
  const q = r.length / n;
  const x = new Float64Array(n * q + n + (paired ? 2 * n * n : 0));
  for (let e = 0; e < r.length; e++) x[e] = r[e] / scale[Math.floor(e / q)];
  for (let e = 0; paired && e < n * n; e++) {
    const size = scale[Math.floor(e / n)] * scale[e % n];
    x[n * q + n + e] = s ? Math.sqrt(s[e] / size) : 0.01;
    x[n * q + n + n * n + e] = t ? Math.sqrt(t[e] / size) : 0.01;
  }
  return x;
}

function dualObjective({ targets }: CertificateProblem, r: Float64Array): number {
  let total = 0;
  for (let e = 0; e < r.length; e++) total += r[e] * (targets[e] - r[e] / 2);
  return total;
}

/** <R, Y> - ||R||^2 / 2, rounded down. */
function safeObjective(problem: CertificateProblem, r: Float64Array): number {
  const size = r.reduce(
    (sum, value, e) => sum + Math.abs(value * problem.targets[e]),
    squares64(r),
  );
  return dualObjective(problem, r) - 2 * unitRoundoff * (r.length + 10) * size;
}

/** sum_i ||y_i - mean||^2 */
export function squaredDeviation(targets: Float64Array, q: number): number {
  const rest = Float64Array.from(targets);
  centre(rest, targets.length / q, q);
  return squares64(rest);
}

/** Subtracts the mean of each column of a matrix [n, columns]. */
export function centre(matrix: Float64Array, n: number, columns: number): void {
  for (let k = 0; k < columns; k++) {
    let mean = 0;
    for (let i = 0; i < n; i++) mean += matrix[i * columns + k] / n;
    for (let i = 0; i < n; i++) matrix[i * columns + k] -= mean;
  }
}

/** Entries of A B for matrices [n, n], row by row. */
function product(
  a: Float64Array,
  b: Float64Array,
  n: number,
  put: (e: number, value: number) => void,
): void {
  const row = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    row.fill(0);
    for (let k = 0; k < n; k++) {
      const value = a[i * n + k];
      if (value === 0) continue;
      for (let j = 0; j < n; j++) row[j] += value * b[k * n + j];
    }
    for (let j = 0; j < n; j++) put(i * n + j, row[j]);
  }
}
