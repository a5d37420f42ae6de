import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { computeBound } from '../../src/bound/bound.js';
import { penalty64 } from '../../src/bound/float64.js';
import { boundSettings, statements } from '../../src/bound/problem.js';
import { continuousNames } from '../../src/core/network/names.js';
import { Random } from '../../src/core/random.js';
import { tinyExperiment } from '../experiment/tiny.js';
import { scalarActivations } from '../reference/activations.js';

const request = { lambda: [10, 0.1, 1, 10], rho: [0.01], sweeps: 2 };
const small = [
  'dataset.limit=40',
  'batchSize=20',
  'network.layers=[{ averagePool: 7 }, { dense: 5, activation: relu }, { dense: 10 }]',
];
const oneLayer = [...small.slice(0, 2), 'network.layers=[{ averagePool: 4 }, { dense: 10 }]'];

async function bound(overrides: readonly string[]) {
  const experiment = tinyExperiment(...overrides);
  const settings = boundSettings(experiment, request);
  const { report } = await computeBound(experiment, settings, {});
  if (report.kind === 'certificate') throw new Error('not asked for');
  return report;
}

describe('the bound of a network', () => {
  it.each([
    ['relu, cross-entropy', []],
    ['tanh, mse', ['network.layers.1.activation=tanh', 'loss=mse']],
  ])('never falls as lambda grows, nor exceeds a feed-forward objective: %s', async (_, change) => {
    const before = tf.memory().numTensors;
    const report = await bound([...small, ...change]);
    expect(tf.memory().numTensors).toBe(before);
    expect(report).toMatchObject({ kind: 'network', lambda: [0.1, 1, 10], seed: 1 });
    expect(report.rho).toEqual([0.01, 0.01]);
    const lifted = report.rows.map(({ liftedObjective }) => liftedObjective);
    expect(lifted).toEqual(lifted.toSorted((a, b) => a - b));
    expect(lifted[2]).toBeLessThanOrEqual(report.adamPrimal);
    for (const row of report.rows) {
      expect(row.liftedObjective).toBeGreaterThan(0);
      expect(row.primalObjective).toBeGreaterThanOrEqual(report.bestPrimal);
      expect(row).not.toHaveProperty('dualValue');
    }
    // Only one-layer problems have a certified lower bound.
    expect(statements(report).join(' ')).not.toContain('lower bound');
  });
});

describe('the bound of one layer', () => {
  it('certifies the minimum of the lifted objective', async () => {
    const report = await bound([...oneLayer, 'loss=mse']);
    expect(report.kind).toBe('one-layer');
    for (const { dualValue, liftedObjective, gap } of report.rows) {
      expect(Math.abs(gap!)).toBeLessThan(1e-9 * liftedObjective);
      expect(liftedObjective - dualValue!).toBe(gap);
    }
    expect(statements(report)[0]).toContain('lower bound');
  });

  it('needs the squared error, or hidden layers whose activations have a slope', async () => {
    await expect(bound(oneLayer)).rejects.toThrow(/needs loss mse, not cross-entropy/);
    const signs = 'network.layers=[{ dense: 4, activation: sign }, { dense: 10 }]';
    await expect(bound([signs])).rejects.toThrow(
      /bounded slope, and the network has sign, which jumps/,
    );
    await expect(bound([signs.replace('sign', 'silu')])).rejects.toThrow(
      /monotone activations, for convex sub-problems, and the network has silu, which is not/,
    );
  });
});

describe('the settings of a bound', () => {
  const settings = (change: object, ...overrides: string[]) => {
    const experiment = tinyExperiment(...overrides);
    return boundSettings(experiment, { ...request, ...change });
  };

  it('take one rho a layer', () => {
    expect(settings({ rho: [0.1, 0.2], seed: 7 })).toMatchObject({ rho: [0.1, 0.2], seed: 7 });
  });

  it.each([
    ['a layer without ridge', { rho: [0.1, 0] }, /^--rho must be positive in every layer/],
    [
      'a list of rho that does not fit',
      { rho: [1, 1, 1] },
      /^--rho has 3 values, but the network has 2/,
    ],
    ['lambda 0', { lambda: [1, 0] }, /^--lambda: expected positive numbers, got 0/],
  ])('refuse %s', (_, change, message) => {
    expect(() => settings(change)).toThrow(message);
  });

  it('refuse more images than can be solved for at once', () => {
    const mnist = tinyExperiment('dataset.name=mnist', 'dataset.limit=20000');
    expect(() => boundSettings(mnist, request)).toThrow(
      /all 20000 training images at once, and supports at most 10000/,
    );
  });
});

describe('the float64 penalty', () => {
  it.each(continuousNames)('is that of the reference: %s', (name) => {
    const random = new Random(1, `float64 ${name}`);
    const reference = scalarActivations[name];
    for (let trial = 0; trial < 50; trial++) {
      const v = reference.phi(2 * random.normal());
      const u = 3 * random.normal();
      expect(penalty64(name, [v], [u])).toBeCloseTo(reference.penalty(v, u), 12);
    }
  });
});
