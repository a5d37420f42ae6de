import { describe, expect, it } from 'vitest';
import { checkFullBatch } from '../../src/config/checks.js';
import type { MethodResolution } from '../../src/config/methods.js';
import { methods } from '../../src/core/methods/registry.js';
import { experimentText, issuesOf, parse } from './helpers.js';

describe('epochs and batch size of one method', () => {
  it('win over the experiment, and are part of the resolved config and the hash', () => {
    const own = experimentText({
      batchSize: 'full',
      methods: '[{ name: adam }, { name: sgd, batchSize: 500, epochs: 7 }]',
    });
    const { experiment } = parse(own);
    const lengths = experiment.methods.map(({ epochs, batchSize }) => [epochs, batchSize]);
    expect(lengths).toEqual([
      [2, 'full'],
      [7, 500],
    ]);
    const [adam, sgd] = experiment.resolved.methods as Record<string, unknown>[];
    expect(adam).not.toHaveProperty('epochs');
    expect(sgd).toMatchObject({ epochs: 7, batchSize: 500 });
    expect(parse(own, ['methods.sgd.epochs=8']).experiment.hash).not.toBe(experiment.hash);
  });

  it('are checked as the experiment is', () => {
    const sgd = '{ name: sgd, batchSize: 0, epochs: 1.5 }';
    const adam = '{ name: adam, batchSize: 70000 }';
    expect(issuesOf(experimentText({ methods: `[${sgd}, ${adam}]` }))).toEqual([
      'methods.0.batchSize: must be greater than 0, not 0',
      'methods.0.epochs: must be an integer, not 1.5',
      'methods.1.batchSize: is more than the 60000 training images; use at most 60000, or full',
    ]);
  });
});

describe('a full-batch method', () => {
  const definition = { ...methods.find(({ name }) => name === 'sgd')!, fullBatch: true };
  const check = (top: number | 'full' | undefined, own?: number | 'full') => {
    const config = { name: 'sgd', batchSize: own };
    const resolution: Pick<MethodResolution, 'method'> = {
      method: { label: 'sgd', definition, config },
    };
    const get = (...path: unknown[]) => (path[0] === 'batchSize' ? top : own);
    return checkFullBatch(get as never, [resolution]).map(({ path }) => path.join('.'));
  };

  it('needs batchSize: full, of its own or from the experiment', () => {
    expect(check('full')).toEqual([]);
    expect(check(500, 'full')).toEqual([]);
    expect(check(500)).toEqual(['methods.0.name']);
    expect(check('full', 500)).toEqual(['methods.0.batchSize']);
  });
});
