import * as tf from '@tensorflow/tfjs';
import { forwardLayers, type Network } from './network/network.js';
import type { Parameters } from './network/parameters.js';

/**
 * Which block of the parameters went wrong, for the message of a run that diverged: those with numbers
 * that are not finite, else the one with the largest number.
 */
export async function suspectBlock(parameters: Parameters): Promise<string> {
  const blocks = parameters.flatMap(({ weights, bias }, l) => [
    { name: `the weights of layer ${l + 1}`, tensor: weights as tf.Tensor },
    { name: `the bias of layer ${l + 1}`, tensor: bias as tf.Tensor },
  ]);
  // max() passes over NaN on some backends; a sum does not.
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
  if (broken.length === found.length) return 'no weight of any layer is finite any more';
  if (broken.length > 0) return `not finite: ${broken.join(', ')}`;
  const { name, largest } = found.reduce((a, b) => (b.largest > a.largest ? b : a));
  return `the largest number is ${largest.toPrecision(2)}, in ${name}`;
}

/**
 * The first hidden layer, from 1, whose units give the same values for every row: nothing of the input
 * gets past it, and the network gives one answer to everything. Dead ReLU units are the usual reason.
 * @param x [m, inputs], rows that differ
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
 * What of the measured numbers is not finite; undefined where all are.
 * @param values what was measured, by name; undefined is "not measured"
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

/** No loss that is this many times the first one has been seen to come back to anything useful. */
const largestGrowth = 1e4;

/** How a loss has exploded, though its numbers still fit the type; undefined where it has not. */
export function explosion(first: number, loss: number): string | undefined {
  if (loss <= largestGrowth * Math.max(first, 1)) return undefined;
  const [from, to] = [first, loss].map((value) => value.toPrecision(3));
  return `training loss ${from} -> ${to}`;
}
