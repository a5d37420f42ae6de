import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { LayerOutputs } from '../core/evaluate.js';
import { UsageError } from '../errors.js';
import { writeFileAtomic } from '../files/atomic.js';
import { guardDisk } from '../files/disk.js';
import { readBytes } from '../files/read.js';
import { encodeArrays, type NamedArray, parseArrays } from '../files/safetensors.js';

/**
 * The hidden activations of a trained network for a few images: `activations.safetensors`, beside model.json.
 * `layers.0` has the inputs after preprocessing, `layers.1` the outputs of the first hidden layer, and so on, each
 * of shape [images, height, width, channels]. report.html draws them.
 */

export const activationsName = 'activations.safetensors';
/** Bytes, far more than a run writes, of a file that was changed. */
const mostBytes = 1 << 24;

/** Content of the file. */
export interface Activations {
  /** Number of images. */
  readonly count: number;
  /** The inputs, then the outputs of each hidden layer: [count, height, width, channels]. */
  readonly layers: readonly LayerOutputs[];
}

/** @param folder of the run. @throws DiskError */
export function writeActivations(folder: string, { count, layers }: Activations): void {
  const arrays = layers.map(({ shape, values }, l): NamedArray => {
    return { name: `layers.${l}`, dtype: 'F32', shape: [count, ...shape], values };
  });
  writeFileAtomic(join(folder, activationsName), encodeArrays(arrays));
}

/** Removes the activations of an earlier training of a run. @throws DiskError */
export function removeActivations(folder: string): void {
  const path = join(folder, activationsName);
  guardDisk(path, () => rmSync(path, { force: true }));
}

export const hasActivations = (folder: string): boolean =>
  existsSync(join(folder, activationsName));

/** @throws UsageError that names the file and what is wrong with it */
export function readActivations(folder: string): Activations {
  const path = join(folder, activationsName);
  try {
    const layers = [...parseArrays(readBytes(path, mostBytes)).values()].map(
      ({ name, shape, values }, l) => {
        const [, height, width, channels] = shape;
        const isOne = name === `layers.${l}` && shape.length === 4 && shape.every((n) => n > 0);
        if (!isOne || !(values instanceof Float32Array)) {
          throw new Error(`it has no float32 array layers.${l} of four dimensions`);
        }
        return { count: shape[0], shape: [height, width, channels] as const, values };
      },
    );
    const [first] = layers;
    if (first === undefined) throw new Error('it has no arrays');
    if (layers.some(({ count }) => count !== first.count)) {
      throw new Error('its arrays are of different numbers of images');
    }
    return { count: first.count, layers };
  } catch (error) {
    throw new UsageError(`${path} cannot be used: ${(error as Error).message}`, { cause: error });
  }
}
