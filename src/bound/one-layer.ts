import * as tf from '@tensorflow/tfjs';
import { disposeParameters } from '../core/network/network.js';
import type { LayerParameters } from '../core/network/parameters.js';
import { dualValue, type OneLayerProblem } from './dual-value.js';
import { affine64, loss64, penalty64, squares64 } from './float64.js';
import type { BoundProblem } from './lifted-point.js';
import { minimisePrimal } from './primal-descent.js';
import { solveReluRegression } from './relu-regression.js';
import type { BoundReport, BoundRow } from './report.js';
import type { BoundSettings } from './settings.js';

/**
 * One layer with a ReLU, Y ~ relu([X, 1] P), by the lifted problem of Appendix B:
 *
 *     min_P  G = lambda B(Y, [X, 1] P) / m + rho ||P||^2        (convex; its minimum is certified)
 *     beside p = ||Y - relu([X, 1] P)||^2 / m + rho ||P||^2     (the feed-forward objective)
 *
 * Y is one-hot, hence in the range of the ReLU. The ridge holds the bias too. G is solved in float64,
 * p by Adam from the best of the weights that the values of lambda gave.
 */
export async function oneLayerBound(
  { network, x, y, rho: [rho] }: BoundProblem,
  settings: BoundSettings,
  onRow: (row: BoundRow) => void,
): Promise<BoundReport> {
  const rows = y.shape[0];
  const inputs = network.maps[0].patches(x);
  const problem = {
    inputs: withOnes64(await inputs.data(), rows),
    targets: Float64Array.from(await y.data()),
    rows,
  };
  inputs.dispose();
  const found: (BoundRow & { readonly weights: Float64Array })[] = [];
  for (const lambda of settings.lambda) {
    // G = (lambda / m) (B + rho' ||P||^2)
    const scaled = { ...problem, rho: (rho * rows) / lambda };
    const { weights, iterations } = solveReluRegression(scaled, found.at(-1)?.weights);
    const row = { lambda, iterations, ...certified(scaled, weights, lambda / rows) };
    found.push({ ...row, primalObjective: primal64(problem, weights, rho), weights });
    const { weights: _, ...shown } = found.at(-1)!;
    onRow(shown);
  }
  const best = found.reduce((a, b) => (a.primalObjective <= b.primalObjective ? a : b));
  const adamPrimal = primal64(problem, await adam(problem, best.weights, rho), rho);
  return {
    ...settings,
    kind: 'one-layer',
    rows: found.map(({ weights: _, ...row }) => row),
    bestPrimal: Math.min(adamPrimal, best.primalObjective),
    adamPrimal,
  };
}

/** G at P, and the dual value that a = relu([X, 1] P) certifies. */
function certified(problem: OneLayerProblem, weights: Float64Array, scale: number) {
  const { targets, inputs, rho } = problem;
  const u = outputs(problem, inputs, weights);
  const liftedObjective = scale * (penalty64('relu', targets, u) + rho * squares64(weights));
  const dual = dualValue(
    problem,
    u.map((value) => Math.max(0, value)),
  );
  return { liftedObjective, dualValue: scale * dual, gap: liftedObjective - scale * dual };
}

type Data = Omit<OneLayerProblem, 'rho'>;

function primal64(problem: Data, weights: Float64Array, rho: number): number {
  const { inputs, targets, rows } = problem;
  const fitted = outputs(problem, inputs, weights).map((value) => Math.max(0, value));
  return loss64('mse', targets, fitted, targets.length / rows) / rows + rho * squares64(weights);
}

function outputs({ targets, rows }: Data, inputs: Float64Array, weights: Float64Array) {
  return affine64(inputs, weights, new Float64Array(targets.length / rows));
}

async function adam({ inputs, targets, rows }: Data, weights: Float64Array, rho: number) {
  const q = targets.length / rows;
  const x = tf.tensor2d(Float32Array.from(inputs), [rows, inputs.length / rows]);
  const y = tf.tensor2d(Float32Array.from(targets), [rows, q]);
  const start = {
    weights: tf.tensor2d(Float32Array.from(weights), [weights.length / q, q]),
    // The bias is the last row of the weights.
    bias: tf.zeros([q]) as tf.Tensor1D,
  };
  const objective = ([{ weights: p }]: readonly LayerParameters[]) => {
    const fit = tf.sum(tf.squaredDifference(y, tf.relu(tf.matMul(x, p))));
    return tf.add(tf.div(fit, rows), tf.mul(tf.sum(tf.square(p)), rho)) as tf.Scalar;
  };
  const found = await minimisePrimal(objective, [start]);
  const result = Float64Array.from(await found[0].weights.data());
  disposeParameters([...found, start]);
  tf.dispose([x, y]);
  return result;
}

/** [X, 1], row by row. */
function withOnes64(inputs: ArrayLike<number>, rows: number): Float64Array {
  const p = inputs.length / rows;
  const result = new Float64Array(rows * (p + 1)).fill(1);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < p; j++) result[i * (p + 1) + j] = inputs[i * p + j];
  }
  return result;
}
