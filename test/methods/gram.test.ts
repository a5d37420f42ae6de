import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { disposeCompiled } from '../../src/core/compile.js';
import { FenchelGramConfig } from '../../src/core/methods/fenchel/gram/config.js';
import { fenchelGram } from '../../src/core/methods/fenchel/gram/gram.js';
import {
  exactInverse,
  gramMatrix,
  initialGram,
  lowRankInverse,
  type Preconditioner,
  precondition,
  runningGrams,
} from '../../src/core/methods/fenchel/gram/preconditioner.js';
import type { TrainingData } from '../../src/core/methods/method.js';
import {
  type ActivationName,
  activationNames,
  type LossName,
  lossNames,
} from '../../src/core/network/names.js';
import { buildNetwork } from '../../src/core/network/network.js';
import { denseLayers } from '../../src/core/network/shape.js';
import { Random } from '../../src/core/random.js';
import { orthonormaliseRows } from '../../src/core/solvers/orthonormalise.js';
import { Training } from '../../src/core/training.js';
import { startTestBackend } from '../backends.js';
import { scalarActivations } from '../reference/activations.js';
import { dot, type Matrix, map, multiply, transpose, zip } from '../reference/matrix.js';
import { softmax } from '../reference/terms.js';
import { matrix, normal, targets } from '../solvers/tensors.js';
import { norm, solve, stacked } from './float64.js';
import { batchAt, dense, type Setting, startTrainer } from './training.js';

const difference = async (a: tf.Tensor, b: tf.Tensor) => {
  const [relative] = await tf.div(tf.norm(tf.sub(a, b)), tf.norm(b)).data();
  return relative;
};

/** Rows with a few strong directions and a long weak tail, as images have. */
function correlatedData(rows: number, features: number): TrainingData {
  const random = new Random(4, 'correlated');
  const mixing = normal(random, features, features).map((row, i) =>
    row.map((value) => value / (1 + i) ** 1.5),
  );
  const values = multiply(normal(random, rows, features), mixing);
  return {
    split: {
      images: new Uint8Array(rows * features),
      labels: new Uint8Array(rows),
      count: rows,
    },
    rows: (indices) => matrix(Array.from(indices, (i) => values[i])),
  };
}

describe('preconditioners', () => {
  beforeAll(startTestBackend);
  const damping = 0.3;
  const data = correlatedData(200, 40);

  it('low-rank is exact at full rank and close to exact where the tail is weak', async () => {
    const exact = await exactInverse(data, damping);
    const gradient = matrix(normal(new Random(1, 'gradient'), 41, 7));
    const apply = async (rank: number) => {
      const inverse = await lowRankInverse(data, { damping, rank }, new Random(1, 'basis'));
      return difference(precondition(inverse, gradient), tf.matMul(exact, gradient));
    };
    expect(await apply(41)).toBeLessThan(1e-4);
    expect(await apply(1000)).toBeLessThan(1e-4);
    const [rank5, rank20] = [await apply(5), await apply(20)];
    expect(rank20).toBeLessThan(0.05);
    expect(rank20).toBeLessThan(rank5);
  });

  // More rows than the low-rank one samples, and than a chunk holds.
  it.each([200, 4300])(
    'the exact one inverts the damped Gram matrix of all %i rows with a one',
    async (count) => {
      const data = correlatedData(count, 40);
      const inverse = await exactInverse(data, damping);
      const indices = Array.from({ length: count }, (_, i) => i);
      const rows = (await data.rows(indices).array()).map((row) => [...row, 1]);
      const gram = multiply(transpose(rows), rows).map((row, i) =>
        row.map((value, j) => value / count + (i === j ? damping : 0)),
      );
      const gradient = normal(new Random(1, 'gradient'), 41, 3);
      const back = tf.matMul(matrix(gram), tf.matMul(inverse, matrix(gradient)));
      expect(await difference(back, matrix(gradient))).toBeLessThan(1e-4);
    },
  );

  it('the running one averages per batch, whatever its refresh', async () => {
    const context = {};
    const update = runningGrams(() => [{ damping, average: 0.5, refresh: 2, gram: gramMatrix }]);
    let running: Awaited<ReturnType<typeof update>> = [initialGram(7)];
    const batches = [1, 2, 3, 4].map((k) => matrix(normal(new Random(k, 'batch'), 30, 6)));
    for (const [t, batch] of batches.entries()) {
      running = await update(context, t, running, [batch]);
    }
    disposeCompiled(context);
    // Refreshed at batches 1 and 3: the second counts 1 - 0.5^2.
    const gramOf = async (x: tf.Tensor2D) => {
      const rows = (await x.array()).map((row) => [...row, 1]);
      return map(multiply(transpose(rows), rows), (value) => value / 30);
    };
    const expected = zip(
      await gramOf(batches[0]),
      await gramOf(batches[2]),
      (a, b) => 0.25 * a + 0.75 * b,
    ).map((row, i) => row.map((value, j) => value + (i === j ? damping : 0)));
    const gradient = matrix(normal(new Random(9, 'gradient'), 7, 3));
    const back = tf.matMul(
      matrix(expected),
      precondition(running[0].inverse as Preconditioner, gradient),
    );
    expect(await difference(back, gradient)).toBeLessThan(1e-4);
  });

  it('orthonormalise keeps the span, and drops what depends on rows before', () => {
    const [a, b] = normal(new Random(1, 'rows'), 2, 5);
    const flat = Float64Array.from([...a, ...b, ...a.map((x, k) => x + 2 * b[k])]);
    orthonormaliseRows(flat, 3, 5);
    const [p, q, zero] = [0, 5, 10].map((start) => [...flat.slice(start, start + 5)]);
    expect(dot(p, p)).toBeCloseTo(1, 12);
    expect(dot(q, q)).toBeCloseTo(1, 12);
    expect(dot(p, q)).toBeCloseTo(0, 12);
    expect(dot(p, a) ** 2).toBeCloseTo(dot(a, a), 10);
    expect(Math.max(...zero.map(Math.abs))).toBe(0);
  });
});

describe('one gram step', () => {
  beforeAll(startTestBackend);

  for (const activation of activationNames) {
    for (const loss of lossNames) {
      it(`does what its equations say: ${activation}, ${loss}`, async () => {
        const config = FenchelGramConfig.parse({
          name: 'fenchel',
          stepSize: [3, 2],
          damping: [0.5, 0.4],
          headStepSize: 0.3,
          headDamping: 0.1,
          activationStep: 0.25,
          labelSmoothing: 0.1,
          schedule: 'constant',
          inputMetric: 'exact',
          weightAverage: 0,
          trustRegion: 1e6,
        });
        const random = new Random(6, `${activation}/${loss}`);
        const [x, y] = [normal(random, 40, 12), targets(random, 40, 4)];
        const trainer = await Training.start(fenchelGram, {
          config,
          network: buildNetwork({
            layers: denseLayers([12, 8, 6, 4]),
            activations: [activation, activation],
          }),
          loss,
          // The training set is the batch itself, so that all three Gram matrices are the batch's.
          train: {
            split: { images: new Uint8Array(40 * 12), labels: new Uint8Array(40), count: 40 },
            rows: (indices) => matrix(Array.from(indices, (i) => x[i])),
          },
          batchSize: 40,
          totalBatches: 10,
          random,
        });
        const before = await stacked(trainer);
        await trainer.step({ x: matrix(x), y: matrix(y), indices: new Uint32Array(40) });
        const after = await stacked(trainer);
        for (const [l, wanted] of referenceStep(before, x, y, activation, loss).entries()) {
          const change = zip(after[l], before[l], (a, b) => a - b);
          const error = norm(zip(change, wanted, (a, b) => a - b));
          expect(error / norm(wanted), `layer ${l}`).toBeLessThan(1e-4);
        }
        trainer.dispose();
      });
    }
  }

  it('never aims beyond its trust region', async () => {
    const setting: Setting = {
      layers: dense(8),
      activation: 'relu',
      loss: 'cross-entropy',
      batchSize: 40,
      steps: 10,
    };
    const change = async (trustRegion: number) => {
      const config = FenchelGramConfig.parse({
        name: 'fenchel',
        stepSize: 1e6,
        weightAverage: 0,
        trustRegion,
      });
      const trainer = await startTrainer(fenchelGram, config, setting);
      const batch = batchAt(0, 40);
      const preActivation = () => {
        const [{ weights, bias }] = trainer.parameters();
        return tf.add(tf.matMul(batch.x, weights), bias);
      };
      const before = preActivation();
      await trainer.step(batch);
      return difference(preActivation(), before);
    };
    const small = await change(0.05);
    expect(small).toBeGreaterThan(0);
    expect(small).toBeLessThan(0.1);
    expect((await change(0.1)) / small).toBeCloseTo(2, 1);
  });
});

/** The change of [W; b] by the step of gram.ts's comment, in float64, with the fields of the test above. */
function referenceStep(
  parameters: Matrix[],
  x: Matrix,
  y: Matrix,
  activation: ActivationName,
  loss: LossName,
): Matrix[] {
  const { phi, maxSlope } = scalarActivations[activation];
  const ones = (rows: Matrix) => rows.map((row) => [...row, 1]);
  const inputs: Matrix[] = [x];
  const u: Matrix[] = [];
  for (const layer of parameters) {
    u.push(multiply(ones(inputs[inputs.length - 1]), layer));
    inputs.push(map(u[u.length - 1], phi));
  }
  const smooth = map(y, (value) => 0.9 * value + 0.1 / 4);
  const slope =
    loss === 'mse'
      ? zip(u[2], smooth, (a, b) => (a - b) / 2)
      : zip(u[2].map(softmax), smooth, (a, b) => a - b);
  const steps = [3 / maxSlope, 2 / maxSlope, 0.3];
  const dampings = [0.5, 0.4, 0.1];
  const changes: Matrix[] = [];
  let residual: Matrix = slope;
  for (const l of [2, 1, 0]) {
    const rows = ones(inputs[l]);
    const gram = multiply(transpose(rows), rows).map((row, i) =>
      row.map((value, j) => value / rows.length + (i === j ? dampings[l] : 0)),
    );
    const direction = solve(gram, multiply(transpose(rows), residual));
    changes[l] = map(direction, (d) => (-steps[l] / x.length) * d);
    if (l === 0) break;
    const upper = multiply(residual, transpose(parameters[l].slice(0, -1)));
    const pulled = zip(u[l - 1], upper, (a, b) => phi(a - (l === 2 ? 0.25 : 1) * b));
    residual = zip(inputs[l], pulled, (f, v) => f - v);
  }
  return changes;
}
