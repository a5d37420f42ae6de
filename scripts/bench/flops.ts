import * as tf from '@tensorflow/tfjs';
import type { Training } from '../../src/core/training.js';

import { least } from './statistics.js';
import type { Workload } from './steps.js';

/**
 * Floating-point operations of a step's matrix products and convolutions, 2 for each multiplication
 * and addition, the mean over `steps`: a method may do more on some steps than on others. Counted
 * operation by operation: the current backend must be one that compiles nothing.
 */
export async function stepFlops(
  workload: Workload,
  training: Training,
  steps: number,
): Promise<number> {
  let total = 0;
  for (let t = 0; t < steps; t++) {
    const batch = workload.batch(t);
    const { kernels } = await tf.profile(async () => {
      await training.step(batch);
      return [];
    });
    for (const { name, inputShapes, outputShapes } of kernels) {
      total += kernelFlops(name, inputShapes, outputShapes);
    }
    tf.dispose([batch.x, batch.y]);
  }
  return total / steps;
}

type Shapes = readonly (readonly number[])[];

const size = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1);

function kernelFlops(name: string, inputs: Shapes, outputs: Shapes): number {
  switch (name) {
    case 'BatchMatMul':
    case '_FusedMatMul': {
      // [m, k] [k, n], either of them possibly transposed: (mk)(kn)(mn) = (mkn)^2
      const product = size(inputs[0]) * size(inputs[1]) * size(outputs[0]);
      return 2 * Math.sqrt(product);
    }
    case 'Conv2D': {
      const [kernel, , channels] = inputs[1];
      return 2 * size(outputs[0]) * kernel * kernel * channels;
    }
    case 'Conv2DBackpropInput': {
      const [kernel, , channels] = inputs[1];
      return 2 * size(inputs[0]) * kernel * kernel * channels;
    }
    case 'Conv2DBackpropFilter': {
      const [kernel, , channels] = outputs[0];
      return 2 * size(inputs[1]) * kernel * kernel * channels;
    }
    default:
      return 0;
  }
}

/** The backend's own matrix product of a step's size, [500, 784] [784, 300], to be timed between steps. */
export class ProductTimer {
  readonly #a = tf.randomNormal([500, 784], 0, 1, 'float32', 1);
  readonly #b = tf.randomNormal([784, 300], 0, 1, 'float32', 2);
  readonly #times: number[] = [];

  /** Times a few products at once: only the last is read back. */
  async time(): Promise<void> {
    const repeats = 4;
    const started = performance.now();
    for (let i = 0; i < repeats; i++) {
      const product = tf.matMul(this.#a, this.#b);
      if (i === repeats - 1) await product.data();
      product.dispose();
    }
    this.#times.push((performance.now() - started) / repeats);
  }

  /** Flops a second: the most. */
  get rate(): number {
    return (2 * 500 * 784 * 300) / (least(this.#times) / 1000);
  }

  dispose(): void {
    tf.dispose([this.#a, this.#b]);
  }
}
