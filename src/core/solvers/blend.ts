import * as tf from '@tensorflow/tfjs';
import { type Tree, zipTrees } from '../tree.js';

/** f old + rest current, for an exponential average with rest = 1 - f. */
export const blend = <T extends Tree>(
  old: T,
  current: T,
  [f, rest]: readonly (tf.Scalar | number)[],
): T => zipTrees(old, current, (a, b) => tf.add(tf.mul(a, f), tf.mul(b, rest)));

/** now + factor (now - before): the extrapolation of Nesterov's momentum. */
export const extrapolate = <T extends Tree>(now: T, before: T, factor: number): T =>
  zipTrees(now, before, (a, b) => tf.tidy(() => tf.add(a, tf.mul(tf.sub(a, b), factor))));
