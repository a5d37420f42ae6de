import * as tf from '@tensorflow/tfjs';
import { BackendUnavailable } from './backend.js';

/**
 * Makes `name` the tensor library's backend and checks that it is.
 *
 * The library falls back to its slow JavaScript backend when another one does not initialise, and
 * only logs it; here that is an error.
 * @param advice how to make it start: a sentence without its full stop
 * @param alternative as of {@link BackendUnavailable}
 * @throws BackendUnavailable
 */
export async function activate(name: string, advice: string, alternative: string): Promise<void> {
  tf.enableProdMode();
  let reason = 'the tensor library gave no reason';
  let started = false;
  try {
    started = await tf.setBackend(name);
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  if (!started || tf.getBackend() !== name) {
    throw new BackendUnavailable(
      `the backend "${name}" does not start: ${reason}. ${advice}`,
      alternative,
    );
  }
  await tf.ready();
}
