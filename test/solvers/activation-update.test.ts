import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { activations } from '../../src/core/network/activations/registry.js';
import { denseMap } from '../../src/core/network/maps/dense.js';
import { type LossName, monotoneNames } from '../../src/core/network/names.js';
import { lossTerm, penaltyTerm } from '../../src/core/network/smooth-term.js';
import { Random } from '../../src/core/random.js';
import { updateActivations } from '../../src/core/solvers/activation-update.js';
import { startTestBackend } from '../backends.js';
import { scalarActivations } from '../reference/activations.js';
import { fenchelActivationUpdate } from '../reference/fenchel-activation-update.js';
import { headActivationUpdate } from '../reference/head-activation-update.js';
import { distance, map } from '../reference/matrix.js';
import { matrix, normal, targets, vector } from './tensors.js';

const options = { tolerance: 1e-6, maxIterations: 3000 };

/** The tensor X-updates against the float64 reference, in float32 on the embedded backend. */
describe('X-updates', () => {
  beforeAll(startTestBackend);

  for (const name of monotoneNames) {
    for (const above of name === 'relu' ? monotoneNames : new Set(['relu', name] as const)) {
      it(`${name} below ${above} (eq. 14)`, async () => {
        const random = new Random(3, `${name}/${above}`);
        const weights = normal(random, 6, 4);
        const bias = normal(random, 1, 4)[0];
        const previous = normal(random, 9, 6);
        const s = normal(random, 9, 4);
        const next = map(s, scalarActivations[above].phi);
        const reference = fenchelActivationUpdate({
          next,
          weights,
          bias,
          previous,
          activation: scalarActivations[name],
          nextActivation: scalarActivations[above],
          lambdaNext: 1.5,
          lambdaPrevious: 0.8,
        });
        const result = await updateActivations(
          {
            activation: activations[name],
            predicted: matrix(previous),
            map: denseMap(weights.length, bias.length),
            layer: { weights: matrix(weights), bias: vector(bias) },
            above: penaltyTerm(activations[above], matrix(s), matrix(next)),
            weight: 1.5 / 0.8,
          },
          options,
        );
        expect(result.residual).toBeLessThan(1e-5);
        expect(distance(await result.activations.array(), reference.solution)).toBeLessThan(1e-4);
        const image = activations[name].phi(result.preimage);
        expect(distance(await image.array(), await result.activations.array())).toBeLessThan(1e-6);
      });
    }

    for (const loss of ['mse', 'cross-entropy'] satisfies LossName[]) {
      const isSlow = name === 'softplus' || name === 'hard-tanh';
      for (const lossWeight of isSlow ? [0.2] : [0.2, 5]) {
        it(`${name} below the ${loss} loss, weight ${lossWeight} (eq. 15-16)`, async () => {
          const random = new Random(5, `${name}/${loss}`);
          const weights = normal(random, 6, 3);
          const bias = normal(random, 1, 3)[0];
          const previous = normal(random, 9, 6);
          const y = targets(random, 9, 3, true);
          const reference = headActivationUpdate({
            targets: y,
            weights,
            bias,
            previous,
            activation: scalarActivations[name],
            loss,
            lambda: 2,
            lossWeight,
          });
          const result = await updateActivations(
            {
              activation: activations[name],
              predicted: matrix(previous),
              map: denseMap(weights.length, bias.length),
              layer: { weights: matrix(weights), bias: vector(bias) },
              above: lossTerm(loss, matrix(y)),
              weight: lossWeight / 2,
            },
            options,
          );
          expect(result.residual).toBeLessThan(1e-5);
          expect(distance(await result.activations.array(), reference.solution)).toBeLessThan(1e-4);
        });
      }
    }
  }

  it('says so when it stops before the tolerance, and leaks nothing', async () => {
    const random = new Random(7, 'stop');
    const problem = {
      activation: activations.relu,
      predicted: matrix(normal(random, 9, 6)),
      map: denseMap(6, 3),
      layer: { weights: matrix(normal(random, 6, 3)), bias: vector([0, 0, 0]) },
      above: lossTerm('mse', matrix(targets(random, 9, 3))),
      weight: 5,
    };
    const before = tf.memory().numTensors;
    const result = await updateActivations(problem, { tolerance: 1e-12, maxIterations: 2 });
    expect(result.iterations).toBe(2);
    expect(result.residual).toBeGreaterThan(1e-12);
    expect(tf.memory().numTensors - before).toBe(2);
  });

  it('stays put where nothing pulls: the forward pass is optimal below a satisfied constraint', async () => {
    const random = new Random(8, 'fixed');
    const predicted = matrix(normal(random, 5, 4));
    const layer = { weights: matrix(normal(random, 4, 3)), bias: vector([0.1, 0, -0.1]) };
    const v = activations.relu.phi(predicted);
    const s = tf.add(tf.matMul(v, layer.weights), layer.bias) as tf.Tensor2D;
    const result = await updateActivations(
      {
        activation: activations.relu,
        predicted,
        map: denseMap(4, 3),
        layer,
        above: penaltyTerm(activations.relu, s, activations.relu.phi(s)),
        weight: 1,
      },
      { tolerance: 1e-6, maxIterations: 10 },
    );
    expect(result.iterations).toBe(0);
    expect(distance(await result.activations.array(), await v.array())).toBe(0);
  });
});
