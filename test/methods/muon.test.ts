import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Place } from '../../src/core/methods/back-propagation.js';
import { MuonConfig } from '../../src/core/methods/muon/config.js';
import { muonRule, orthogonalised } from '../../src/core/methods/muon/muon.js';
import { scalars } from '../../src/core/methods/scalars.js';
import { convolutionMap } from '../../src/core/network/maps/convolution.js';
import { denseMap } from '../../src/core/network/maps/dense.js';
import type { LinearMap } from '../../src/core/network/maps/linear-map.js';
import { Random } from '../../src/core/random.js';
import { startTestBackend } from '../backends.js';
import {
  distance,
  type Matrix,
  map,
  maxAbs,
  multiply,
  svd,
  transpose,
  zip,
} from '../reference/matrix.js';
import { matrix, normal } from '../solvers/tensors.js';
import { norm } from './float64.js';

beforeAll(startTestBackend);

const random = new Random(3, 'muon');

/** The quintic polynomial on the singular values, in float64: what Newton-Schulz does without forming them. */
function reference(a: Matrix, iterations = 5): { matrix: Matrix; values: number[] } {
  const { u, s, v } = svd(a);
  const values = s.map((value) => {
    let x = value / norm(a);
    for (let i = 0; i < iterations; i++) x = 3.4445 * x - 4.775 * x ** 3 + 2.0315 * x ** 5;
    return x;
  });
  const scaled = map(u, (value, i) => value * values[i]);
  return { matrix: multiply(transpose(scaled), v), values };
}

const place = (linear: LinearMap, more: Partial<Place> = {}): Place => ({
  isWeights: true,
  layer: 0,
  isLastLayer: false,
  isNormalised: false,
  map: linear,
  ...more,
});

const config = (fields: object = {}) =>
  MuonConfig.parse({ name: 'muon', learningRate: 0.1, ...fields });

describe('Muon', () => {
  it.each([
    [17, 6],
    [6, 17],
    [9, 9],
  ])(
    'orthogonalises [%i, %i] as the polynomial of the singular values does in float64',
    async (rows, columns) => {
      const a = normal(random, rows, columns);
      const wanted = reference(a);
      const result = (await orthogonalised(matrix(a), 5).array()) as Matrix;
      expect(distance(result, wanted.matrix)).toBeLessThan(1e-4);
      // The band of 5 iterations, in which the update is orthogonal.
      for (const value of svd(result).s) {
        expect(value).toBeGreaterThan(0.65);
        expect(value).toBeLessThan(1.25);
      }
    },
  );

  it('takes a gradient of zeros to zeros', async () => {
    expect(maxAbs((await orthogonalised(tf.zeros([3, 4]), 5).array()) as Matrix)).toBe(0);
  });

  it.each([
    { shape: 'tall', linear: denseMap(12, 5), scale: 1 },
    { shape: 'wide', linear: denseMap(5, 20), scale: 2 },
    // in = 2 * 2 * 1, out = 36
    {
      shape: 'convolution',
      linear: convolutionMap([6, 6, 1], [5, 5, 36], { kernel: 2, stride: 1, padding: 0 }),
      scale: 3,
    },
  ])(
    'steps by the orthogonal matrix of the momentum, scaled for its shape: $shape',
    async ({ linear, scale }) => {
      for (const nesterov of [true, false]) {
        const rule = muonRule(config({ nesterov, momentum: 0.8 }));
        const at = place(linear);
        const [rows, columns] = linear.weightShape;
        let averages = rule.init(tf.zeros([rows, columns]), at);
        let m: Matrix = map(normal(random, rows, columns), () => 0);
        for (let t = 1; t <= 3; t++) {
          const g = normal(random, rows, columns, 0.01);
          m = zip(m, g, (old, now) => 0.8 * old + 0.2 * now);
          const direction = nesterov ? zip(m, g, (old, now) => 0.8 * old + 0.2 * now) : m;
          const step = rule.step(matrix(g), averages, scalars(rule.coefficients(t, 0.05)), at);
          averages = step.averages;
          const wanted = map(reference(direction).matrix, (value) => 0.05 * scale * value);
          expect(distance((await step.step.array()) as Matrix, wanted)).toBeLessThan(2e-5);
        }
      }
    },
  );

  it('fixes the size of hidden weights before a norm, and of no others', async () => {
    const rule = muonRule(config({ weightNorm: 'fixed' }));
    const linear = denseMap(6, 9);
    const weights = normal(random, 6, 9);
    const rescaled = async (more: Partial<Place>, own = rule) =>
      (await own.rescaled!(matrix(weights), place(linear, more)).array()) as Matrix;
    const fixed = map(weights, (value) => (value * 3) / norm(weights));
    expect(distance(await rescaled({ isNormalised: true }), fixed)).toBeLessThan(1e-6);
    const others: Partial<Place>[] = [
      {},
      { isNormalised: true, isWeights: false },
      { isNormalised: true, isLastLayer: true },
    ];
    for (const other of others) expect(distance(await rescaled(other), weights)).toBeLessThan(1e-6);
    const free = await rescaled({ isNormalised: true }, muonRule(config()));
    expect(distance(free, weights)).toBeLessThan(1e-6);
  });

  it('leaves biases, the output layer and on request the first layer to Adam at its own rate', async () => {
    const rule = muonRule(config({ adamLearningRate: 0.01, firstLayer: 'adam' }));
    const linear = denseMap(4, 3);
    const adam = [
      place(linear, { isWeights: false, layer: 1 }),
      place(linear, { layer: 1, isLastLayer: true }),
      place(linear),
    ];
    for (const at of adam) {
      const g = normal(random, 4, 3);
      const step = rule.step(
        matrix(g),
        rule.init(tf.zeros([4, 3]), at),
        scalars(rule.coefficients(1, 0.05)),
        at,
      );
      // The first step of Adam is the sign; half of the full rate, by the schedule.
      const wanted = map(g, (value) => 0.005 * Math.sign(value));
      expect(distance((await step.step.array()) as Matrix, wanted)).toBeLessThan(1e-6);
      expect(rule.rateOf?.(at, 0.05)).toBeCloseTo(0.005, 12);
    }
    const hidden = place(linear, { layer: 1 });
    expect(rule.init(tf.zeros([4, 3]), hidden)).toHaveLength(1);
    expect(rule.rateOf?.(hidden, 0.05)).toBe(0.05);
  });
});
