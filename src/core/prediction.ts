import type * as tf from '@tensorflow/tfjs';
import { RunError } from '../errors.js';
import type { NetworkShape } from './methods/method.js';
import type { LossName } from './network/names.js';
import type { Network } from './network/network.js';
import type { Parameters } from './network/parameters.js';
import { candidates, liftedValues, type Pairs } from './solvers/lifted-prediction.js';

/** How the class of an image is decided: by the forward pass, or by the lifted model (eq. 12). */
export interface PredictionRule {
  /** Penalty weight of the lifted model; absent: feed-forward. */
  readonly lambda?: number;
  /** Warning where the rule is not computed as the config says. */
  readonly remark?: string;
}

/**
 * The rule of an experiment. With the squared error the targets of eq. 12 are free, and X_l and Y of
 * the forward pass make every term zero, which is the minimum: lifted prediction is feed-forward. The
 * same holds without a hidden layer, where nothing is lifted.
 */
export function predictionRule({
  evaluate: { predict, lambda },
  loss,
  network: { activations },
}: {
  readonly evaluate: { readonly predict?: 'lifted'; readonly lambda?: number };
  readonly loss: LossName;
  readonly network: Pick<NetworkShape, 'activations'>;
}): PredictionRule {
  if (predict !== 'lifted') return {};
  const same =
    'evaluate.predict: lifted is the same as feed-forward prediction here, which is used:';
  if (loss === 'mse') {
    return { remark: `${same} with loss mse the forward pass minimises the lifted model` };
  }
  if (activations.length === 0) return { remark: `${same} the network has no hidden layer` };
  if (activations.length === 1) return { lambda };
  const remark =
    'evaluate.predict: lifted minimises over the last hidden layer; the layers below it are fed forward';
  return { lambda, remark };
}

const solver = { tolerance: 1e-4, maxIterations: 3000 };
/** From this optimality residual on the predicted classes may be wrong. */
const unsolved = 1e-2;
/** Most entries of the activations that are solved for together, to bound memory. */
const maxEntries = 4e6;

/**
 * Classes by the lifted model, one a row of U of the last hidden layer [m, p].
 * @throws RunError when the sub-problems are too ill-conditioned to be solved
 */
export async function liftedClasses(
  network: Network,
  parameters: Parameters,
  predicted: tf.Tensor2D,
  lambda: number,
): Promise<Int32Array> {
  const last = network.activations.length - 1;
  const problem = {
    activation: network.activations[last],
    predicted,
    map: network.maps[last + 1],
    layer: parameters[last + 1],
    lambda,
  };
  const pairs = await candidates(problem);
  const best = new Int32Array(predicted.shape[0]);
  const least = new Float32Array(best.length).fill(Number.POSITIVE_INFINITY);
  const open = undecided(pairs, best);
  const chunk = Math.max(1, Math.floor(maxEntries / problem.map.inputs));
  for (let start = 0; start < open.rows.length; start += chunk) {
    const rows = open.rows.subarray(start, start + chunk);
    const classes = open.classes.subarray(start, start + chunk);
    const { values, residual } = await liftedValues(problem, { rows, classes }, solver);
    if (!(residual <= unsolved)) throw new RunError(unsolvable(residual, lambda));
    for (const [i, row] of rows.entries()) {
      if (values[i] >= least[row]) continue;
      least[row] = values[i];
      best[row] = classes[i];
    }
  }
  return best;
}

/** Sets the class of the rows with one candidate; returns the pairs of the others. */
function undecided({ rows, classes }: Pairs, best: Int32Array): Pairs {
  const count = new Int32Array(best.length);
  for (const [i, row] of rows.entries()) {
    count[row]++;
    best[row] = classes[i];
  }
  const isOpen = (i: number) => count[rows[i]] > 1;
  return {
    rows: rows.filter((_, i) => isOpen(i)),
    classes: classes.filter((_, i) => isOpen(i)),
  };
}

function unsolvable(residual: number, lambda: number): string {
  return (
    `lifted prediction did not converge in ${solver.maxIterations} iterations (optimality residual ${residual.toPrecision(2)}): ` +
    `evaluate.lambda, ${lambda}, is too small for the weights of the output layer. Raise it, or use evaluate.predict: feed-forward`
  );
}
