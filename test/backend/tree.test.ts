import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { startBackend } from '../../src/backend/registry.js';
import { disposeTree, leavesOf, withLeaves } from '../../src/core/tree.js';

describe('trees of tensors', () => {
  beforeAll(() => startBackend('cpu'));

  it('lists the tensors in order and rebuilds the same form around others', () => {
    const [a, b, c, d, e, f] = [1, 2, 3, 4, 5, 6].map((value) => tf.scalar(value));
    const tree = { first: [a, { deep: b }], none: [], last: c };
    expect(leavesOf(tree)).toEqual([a, b, c]);
    const other = withLeaves(tree, [d, e, f]);
    expect(other.first[0]).toBe(d);
    expect((other.first[1] as { deep: tf.Tensor }).deep).toBe(e);
    expect(other.none).toEqual([]);
    expect(other.last).toBe(f);
    disposeTree([tree, other]);
  });

  it('disposes of every tensor', () => {
    const before = tf.memory().numTensors;
    disposeTree({ a: tf.scalar(1), b: [tf.scalar(2), [tf.scalar(3)]] });
    expect(tf.memory().numTensors).toBe(before);
  });
});
