import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Compiled,
  compile,
  compiled as compiledFor,
  disposeCompiled,
  eager,
} from '../../src/core/compile.js';
import { convolutionMap } from '../../src/core/network/maps/convolution.js';
import { disposeTree, leavesOf, type Tree } from '../../src/core/tree.js';
import { peakMemory } from '../../src/shared/memory.js';
import { hasBfloat16 } from '../../src/shared/provenance.js';
import { startTestBackend, testBackend } from '../backends.js';

type Input = {
  readonly x: tf.Tensor2D;
  readonly layers: readonly { readonly w: tf.Tensor2D; readonly b: tf.Tensor1D }[];
  readonly rate: tf.Scalar;
};

/** A little of everything that steps are made of; also a copy of an input. */
function layers({ x, layers, rate }: Input) {
  const outputs: tf.Tensor2D[] = [];
  let value = x;
  for (const { w, b } of layers) {
    value = tf.relu(tf.add(tf.matMul(value, w), b));
    outputs.push(value);
  }
  const gradient = tf.matMul(tf.concat([x, tf.ones([x.shape[0], 1])], 1), value, true, false);
  const scores = tf.stack([
    tf.mean(tf.logSoftmax(value)),
    tf.sum(tf.cast(tf.argMax(value, 1), 'float32')),
  ]);
  return {
    outputs,
    step: tf.mul(tf.slice(gradient, [0, 0], [2, 3]), rate),
    scores,
    rate: rate.clone(),
  };
}

const normal = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, 'float32', seed);

const input = (rows: number, seed = 1): Input => ({
  x: normal([rows, 5], seed) as tf.Tensor2D,
  layers: [
    { w: normal([5, 4], seed + 1) as tf.Tensor2D, b: normal([4], seed + 2) as tf.Tensor1D },
    { w: normal([4, 3], seed + 3) as tf.Tensor2D, b: normal([3], seed + 4) as tf.Tensor1D },
  ],
  rate: tf.scalar(0.5 * seed),
});

const values = async (tree: Tree) =>
  (await Promise.all(leavesOf(tree).map((leaf) => leaf.data()))).flatMap((part) => [...part]);

async function expectSame(tree: Tree, wanted: Tree) {
  const [actual, expected] = [await values(tree), await values(wanted)];
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of actual.entries()) expect(value).toBeCloseTo(expected[i], 4);
}

const compiled: { dispose(): void }[] = [];
const compileHere = <I extends Tree, O extends Tree>(fn: (input: I) => O): Compiled<I, O> => {
  const made = compile(fn);
  compiled.push(made);
  return made;
};

describe(`compiled functions on ${testBackend}`, () => {
  beforeAll(startTestBackend);
  afterAll(() => {
    for (const made of compiled) made.dispose();
  });

  it('may call each other, and are then one', async () => {
    const context = { factor: 3 };
    type X = { readonly x: tf.Tensor };
    const scaled = compiledFor(({ factor }: typeof context, { x }: X) => tf.mul(x, factor));
    const shifted = compiledFor((own: typeof context, { x }: X) => tf.add(scaled(own, { x }), 1));
    for (const value of [2, 5]) {
      const x = tf.tensor1d([value, 0]);
      expect(await values(shifted(context, { x }))).toEqual([3 * value + 1, 1]);
      expect(await values(scaled(context, { x }))).toEqual([3 * value, 0]);
    }
    disposeCompiled(context);
  });

  it('give what the operations one by one give, call after call, for every shape', async () => {
    const fast = compileHere(layers);
    const plain = eager(layers);
    for (const [rows, seed] of [
      [7, 1],
      [7, 2],
      [3, 3],
      [7, 4],
      [2000, 5],
    ]) {
      const given = input(rows, seed);
      const [actual, expected] = [fast.run(given), plain.run(given)];
      expect(actual.outputs.map(({ shape }) => shape)).toEqual([
        [rows, 4],
        [rows, 3],
      ]);
      await expectSame(actual, expected);
      disposeTree([actual, expected, given]);
    }
  });

  it('give the same bits at the first call as later', async () => {
    const fast = compileHere(layers);
    const given = input(9);
    const results = [fast.run(given), fast.run(given), compileHere(layers).run(given)];
    const [first, second, other] = await Promise.all(results.map(values));
    expect(second).toEqual(first);
    expect(other).toEqual(first);
    disposeTree([results, given]);
  });

  it('tell inputs apart that were the same tensor at the first call', async () => {
    const fast = compileHere(({ a, b }: { a: tf.Tensor; b: tf.Tensor }) => [
      tf.sub(a, tf.mul(2, b)),
    ]);
    const [one, three] = [tf.scalar(1), tf.scalar(3)];
    const results = [fast.run({ a: one, b: one }), fast.run({ a: three, b: one })];
    expect(await values(results)).toEqual([-1, 1]);
    disposeTree([results, one, three]);
  });

  it('give new tensors, beyond any tidy, and keep none', async () => {
    const fast = compileHere(layers);
    const given = input(4);
    disposeTree(fast.run(given));
    const before = tf.memory().numTensors;
    const outcome = tf.tidy(() => [fast.run(given)])[0];
    expect(leavesOf(outcome).every(({ isDisposed }) => !isDisposed)).toBe(true);
    expect(tf.memory().numTensors).toBe(before + leavesOf(outcome).length);
    disposeTree(outcome);
    disposeTree(given);
  });

  it('pass on what the function throws, and leave nothing behind', () => {
    const before = tf.memory().numTensors;
    const given = input(4);
    const failing = compileHere((tree: Input): Tree => {
      tf.add(tree.x, 1);
      throw new Error('no such step');
    });
    expect(() => failing.run(given)).toThrow('no such step');
    disposeTree(given);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('can differentiate', async () => {
    const loss = ({ x, w }: { x: tf.Tensor2D; w: tf.Tensor2D }) => {
      const { value, grads } = tf.valueAndGrads((p: tf.Tensor) =>
        tf.mean(tf.square(tf.relu(tf.matMul(x, p as tf.Tensor2D)))),
      )([w]);
      return { value, gradient: grads[0] };
    };
    const given = { x: normal([6, 4], 1) as tf.Tensor2D, w: normal([4, 2], 2) as tf.Tensor2D };
    const [actual, expected] = [compileHere(loss).run(given), eager(loss).run(given)];
    await expectSame(actual, expected);
    disposeTree([actual, expected, given]);
  });

  it('are recorded in the memory of a few of their intermediate results', async ({ skip }) => {
    skip(testBackend !== 'tensorflow' || peakMemory(process.pid) === 0, 'only graphs are recorded');
    const [steps, numbers] = [50, 1 << 22];
    const deep = ({ x }: { x: tf.Tensor2D }) => {
      let value = x;
      for (let i = 0; i < steps; i++) value = tf.add(value, 1);
      return { sum: tf.sum(value) };
    };
    const x: tf.Tensor2D = tf.ones([4, numbers / 4]);
    const before = peakMemory(process.pid);
    const result = compileHere(deep).run({ x });
    expect(await values(result)).toEqual([(steps + 1) * numbers]);
    expect(peakMemory(process.pid) - before).toBeLessThan((steps / 4) * 4 * numbers);
    disposeTree([result, { x }]);
  });

  describe('with convolutions in bfloat16', () => {
    const conv = convolutionMap([7, 7, 5], [7, 7, 6], { kernel: 3, stride: 1, padding: 1 });
    const maps = ({ x, d, w }: { x: tf.Tensor2D; d: tf.Tensor2D; w: tf.Tensor2D }) => ({
      product: conv.product!(x, w),
      inputs: conv.adjoint(d, w),
      weights: conv.weightGradient!(x, d),
      other: tf.mul(x, 1.001),
    });
    const given = () => ({
      x: normal([4, 7 * 7 * 5], 1) as tf.Tensor2D,
      d: normal([4, 7 * 7 * 6], 2) as tf.Tensor2D,
      w: normal([45, 6], 3) as tf.Tensor2D,
    });
    /** To the nearest number of 8 significant bits, ties to even. */
    const rounded = (tensor: tf.Tensor2D): tf.Tensor2D => {
      const bits = new Uint32Array(Float32Array.from(tensor.dataSync()).buffer);
      const up = bits.map((one) => (one + 0x7fff + ((one >>> 16) & 1)) & 0xffff0000);
      return tf.tensor2d(new Float32Array(up.buffer), tensor.shape);
    };

    it('rounds what convolutions multiply and their results, and nothing else', async ({
      skip,
    }) => {
      skip(
        testBackend !== 'tensorflow' || !hasBfloat16(),
        'this machine does not compute in bfloat16',
      );
      const input = given();
      const fast = compile(maps, { convolutionPrecision: 'bfloat16' });
      compiled.push(fast);
      const inexact = { x: rounded(input.x), d: rounded(input.d), w: rounded(input.w) };
      const actual = fast.run(input);
      const exact = eager(maps).run(inexact);
      for (const name of ['product', 'inputs', 'weights'] as const) {
        const [found, wanted] = [await actual[name].data(), await exact[name].data()];
        expect(rounded(actual[name]).dataSync()).toEqual(found);
        // Half a unit of the last of 8 bits, and what sums in another order may add.
        for (const [i, value] of found.entries()) {
          expect(Math.abs(value - wanted[i])).toBeLessThan(2 ** -8 * Math.abs(wanted[i]) + 1e-5);
        }
      }
      expect(await actual.other.data()).toEqual(await tf.mul(input.x, 1.001).data());
      disposeTree([input, inexact, actual, exact]);
    });
  });

  it('may not read values, which would stay the same for ever', ({ skip }) => {
    skip(testBackend !== 'tensorflow', 'only graphs are recorded');
    const given = [tf.scalar(2)];
    const reading = compileHere(([a]: readonly tf.Tensor[]) => [tf.mul(a, a.dataSync()[0])]);
    expect(() => reading.run(given)).toThrow('read the values of a tensor');
    disposeTree(given);
  });
});
