import { dot } from '../core/solvers/orthonormalise.js';
import { addScaled64 } from './float64.js';

/** Pairs of steps and changes of the gradient that are kept. */
const memory = 30;

interface Evaluation {
  readonly value: number;
  readonly gradient: Float64Array;
}

/**
 * Maximises a smooth function on an open set by L-BFGS (Nocedal and Wright, Numerical Optimization, 2nd ed.,
 * algorithm 7.4). Steps are halved until the function rises by 1e-4 of the predicted rise (Armijo), so it never falls.
 *
 * @param evaluate undefined outside of the set
 * @param start inside of the set
 * @param onStep called with every point accepted
 * @returns the last point: after `maxSteps`, or where no step rises any more
 */
export async function maximise(
  evaluate: (x: Float64Array) => Evaluation | undefined,
  start: Float64Array,
  maxSteps: number,
  onStep: (x: Float64Array, value: number) => void,
): Promise<Float64Array> {
  let x = start;
  let now = evaluate(x)!;
  let pairs: { step: Float64Array; change: Float64Array; product: number }[] = [];
  for (let count = 0; count < maxSteps; count++) {
    // Yields to the event loop, so that signals are handled.
    await new Promise((resolve) => setImmediate(resolve));
    let direction = now.gradient.slice();
    const weights = pairs.map(() => 0);
    for (let i = pairs.length - 1; i >= 0; i--) {
      const { step, change, product } = pairs[i];
      weights[i] = dot(step, direction) / product;
      addScaled64(direction, change, -weights[i]);
    }
    const last = pairs.at(-1);
    const length = last
      ? last.product / dot(last.change, last.change)
      : 0.1 / Math.sqrt(dot(direction, direction) || 1);
    direction = direction.map((value) => value * length);
    for (const [i, { step, change, product }] of pairs.entries()) {
      addScaled64(direction, step, weights[i] - dot(change, direction) / product);
    }
    const slope = dot(now.gradient, direction);
    let t = 1;
    let next: Evaluation | undefined;
    let y = x;
    for (; t > 1e-8; t /= next ? 2 : 3) {
      y = x.map((value, i) => value + t * direction[i]);
      next = evaluate(y);
      if (next && next.value >= now.value + 1e-4 * t * slope) break;
    }
    if (!(t > 1e-8) || !next || !(slope > 0)) {
      if (pairs.length === 0) break;
      // Once more along the gradient.
      pairs = [];
      continue;
    }
    const step = y.map((value, i) => value - x[i]);
    const change = now.gradient.map((value, i) => value - next.gradient[i]);
    const product = dot(step, change);
    if (product > 1e-12 * Math.sqrt(dot(step, step) * dot(change, change))) {
      pairs = [...pairs.slice(1 - memory), { step, change, product }];
    }
    [x, now] = [y, next];
    onStep(x, now.value);
  }
  return x;
}
