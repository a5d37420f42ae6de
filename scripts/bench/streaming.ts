import * as tf from '@tensorflow/tfjs';
import { chunkRows } from '../../src/core/batches.js';
import { affineRows, crossProduct } from '../../src/core/methods/full-batch/rows.js';
import { pairedRatio, type Ratio } from './statistics.js';

/** Figure 1's first layer, on a third of MNIST. */
const rows = 20_000;
const features = 784;
const units = 300;

/**
 * The two products that an iteration over all training images is made of, X W + b and X^T G, streamed
 * over chunks of rows as the methods do it, and the backend's own products of whole matrices of the
 * same size, in turn.
 *
 * @returns seconds of the backend's own over those streamed, by rounds
 */
export async function timeStreaming(rounds: number): Promise<Ratio> {
  const chunks = rows / chunkRows;
  const parts = (columns: number) =>
    Array.from({ length: chunks }, (_, chunk) => normal([chunkRows, columns], chunk + 1));
  const [x, g] = [parts(features), parts(units)];
  const layer = { weights: normal([features, units], 1), bias: tf.zeros([units]) as tf.Tensor1D };
  const [wholeX, wholeG] = [tf.concat(x), tf.concat(g)];
  const transposed = tf.transpose(wholeX) as tf.Tensor2D;
  const streamed: number[] = [];
  const own: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    streamed.push(await time(() => [...affineRows(x, layer), crossProduct(x, g)]));
    own.push(await time(() => [tf.matMul(wholeX, layer.weights), tf.matMul(transposed, wholeG)]));
  }
  tf.dispose([x, g, layer, wholeX, wholeG, transposed]);
  // The first round warms up.
  return pairedRatio(own.slice(1), streamed.slice(1));
}

async function time(products: () => tf.Tensor[]): Promise<number> {
  const started = performance.now();
  const results = products();
  await results[results.length - 1].data();
  const seconds = (performance.now() - started) / 1000;
  tf.dispose(results);
  return seconds;
}

function normal(shape: [number, number], seed: number): tf.Tensor2D {
  return tf.randomNormal(shape, 0, 1, 'float32', seed);
}
