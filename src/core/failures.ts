import * as tf from '@tensorflow/tfjs';
import { forwardLayers, type Network } from './network/network.js';
import type { Parameters } from './network/parameters.js';

/**
 * The blocks of parameters to name in the message of a run that diverged: those that are not finite, else
 * the one with the largest entry.
 */
export async function suspectBlock(parameters: Parameters): Promise<string> {
  const blocks = parameters.flatMap(({ weights, bias }, l) => [
    { name: `the weights of layer ${l + 1}`, tensor: weights as tf.Tensor },
    { name: `the bias of layer ${l + 1}`, tensor: bias as tf.Tensor },
  ]);
  // max() ignores NaN on some backends; a sum does not.
  const measured = tf.tidy(() =>
    blocks.map(({ tensor }) => tf.stack([tf.sum(tensor), tf.max(tf.abs(tensor))])),
  );
  const found: { name: string; largest: number; isBroken: boolean }[] = [];
  for (const [i, pair] of measured.entries()) {
    const [sum, largest] = await pair.data();
    pair.dispose();
    const isBroken = !Number.isFinite(sum) || !Number.isFinite(largest);
    found.push({ name: blocks[i].name, largest, isBroken });
  }
  const broken = found.filter(({ isBroken }) => isBroken).map(({ name }) => name);
  if (broken.length === found.length) return 'the weights of all layers are NaN or infinite';
  if (broken.length > 0) return `not finite: ${broken.join(', ')}`;
  const { name, largest } = found.reduce((a, b) => (b.largest > a.largest ? b : a));
  return `the largest number is ${largest.toPrecision(2)}, in ${name}`;
}

/**
 * The first hidden layer, from 1, whose activations are the same for every row, so that the network's output
 * does not depend on its input. Dead ReLU units are the usual reason.
 * @param x [m, inputs], distinct rows
 */
export async function deadLayer(
  network: Network,
  parameters: Parameters,
  x: tf.Tensor2D,
): Promise<number | undefined> {
  const spreads = tf.tidy(() =>
    forwardLayers(network, parameters, x)
      .inputs.slice(1)
      .map((values) => tf.max(tf.sub(tf.max(values, 0), tf.min(values, 0)))),
  );
  let dead: number | undefined;
  for (const [l, spread] of spreads.entries()) {
    const [value] = await spread.data();
    spread.dispose();
    if (value === 0) dead ??= l + 1;
  }
  return dead;
}

/**
 * The first measured value that is NaN or infinite, as text; undefined where all are finite.
 * @param values by name; undefined is "not measured"
 */
export function notFinite(
  values: Readonly<Record<string, number | undefined>>,
): string | undefined {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || Number.isFinite(value)) continue;
    return `the ${name} is ${Number.isNaN(value) ? 'NaN' : 'infinite'}`;
  }
  return undefined;
}

/** A loss this many times the first one was never seen to recover. */
const largestGrowth = 1e4;

/** Growth of the loss that counts as divergence although it is finite, as text; undefined where it has not grown so. */
export function explosion(first: number, loss: number): string | undefined {
  if (loss <= largestGrowth * Math.max(first, 1)) return undefined;
  const [from, to] = [first, loss].map((value) => value.toPrecision(3));
  return `training loss ${from} -> ${to}`;
}
