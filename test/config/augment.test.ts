import { describe, expect, it } from 'vitest';
import { experimentText, issuesOf, parse } from './helpers.js';

const withAugment = (augment: string, changes: Record<string, string> = {}) =>
  experimentText({ dataset: `{ name: cifar10, augment: ${augment} }`, ...changes });
const resolved = (text: string) => parse(text).experiment;

describe('dataset.augment', () => {
  it('is part of the config and of its hash, without what is switched off', () => {
    const plain = resolved(experimentText({ dataset: '{ name: cifar10 }' }));
    const off = resolved(withAugment('{ flip: none, translate: 0, cutout: 0 }'));
    expect(off.resolved).toEqual(plain.resolved);
    expect(off.hash).toBe(plain.hash);
    const some = resolved(withAugment('{ flip: alternating, translate: 2, cutout: 0 }'));
    expect(some.dataset.augment).toEqual({ flip: 'alternating', translate: 2 });
    expect(some.resolved.dataset).toMatchObject({ augment: { flip: 'alternating', translate: 2 } });
    expect(some.hash).not.toBe(plain.hash);
  });

  it('is refused with a method that takes the same images in every step, and with it alone', () => {
    const changes = { loss: 'mse', methods: '[{ name: sgd }, { name: lau-bcd, batchSize: full }]' };
    expect(issuesOf(withAugment('{ cutout: 8 }', changes))).toEqual([
      'methods.1.name: lau-bcd takes the same training images in every step, and dataset.augment changes them in every epoch; remove one of the two',
    ]);
    expect(resolved(withAugment('{ cutout: 0 }', changes)).methods).toHaveLength(2);
    expect(resolved(withAugment('{ cutout: 8 }', { batchSize: 'full' })).methods).toHaveLength(1);
  });

  it.each([
    ['{}', 'dataset.augment: is empty: set flip, translate or cutout'],
    [
      '{ flip: vertical }',
      'dataset.augment.flip: must be one of none, alternating, random, not "vertical"',
    ],
    ['{ translate: -1 }', 'dataset.augment.translate: must be at least 0, not -1'],
    ['{ translate: 1.5 }', 'dataset.augment.translate: must be an integer, not 1.5'],
    ['{ shift: 2 }', 'dataset.augment.shift: unknown key; known here: flip, translate, cutout'],
    [
      '{ translate: 32 }',
      'dataset.augment.translate: must be less than the smaller side of the images, which are 32x32: the reflected border is not wider',
    ],
    [
      '{ cutout: 33 }',
      'dataset.augment.cutout: is more than the smaller side of the images, which are 32x32',
    ],
  ])('refuses %s', (augment, message) => {
    expect(issuesOf(withAugment(augment))).toEqual([message]);
  });

  it('is refused for rows of features', () => {
    const { experiment } = parse(withAugment('{ flip: random }').replace('cifar10', 'arrays'));
    const rows = { x: { values: new Float32Array(8), shape: [4, 2] }, y: [0, 1, 9, 3] };
    const data = { train: rows, test: rows };
    expect(() => experiment.withData?.(data)).toThrow(
      'dataset.augment: is for images, and the rows of arrays are 2 features without height and width; remove it',
    );
  });
});

describe('evaluate.flips', () => {
  it('is part of the config and of its hash where it is on', () => {
    const hash = (evaluate: string) => resolved(experimentText({ evaluate })).hash;
    expect(hash('{ flips: false }')).toBe(hash('{}'));
    expect(hash('{ flips: true }')).not.toBe(hash('{}'));
  });

  it('is refused without images, without accuracies, and beside lifted prediction', () => {
    expect(issuesOf(experimentText({ evaluate: '{ flips: true, predict: lifted }' }))).toEqual([
      'evaluate.flips: takes the mean of outputs of the forward pass, and predict: lifted does not classify by them; remove one of the two',
    ]);
    const x = { values: new Float32Array(8), shape: [4, 2] };
    const on = (changes: object, y: Float32Array | number[]) => {
      const text = experimentText({
        dataset: '{ name: arrays }',
        evaluate: '{ flips: true }',
        ...changes,
      });
      const data = { train: { x, y }, test: { x, y } };
      return () => parse(text).experiment.withData?.(data);
    };
    expect(on({}, [0, 1, 9, 3])).toThrow(
      'evaluate.flips: is for images, and the rows of arrays are features without height and width; remove it',
    );
    expect(on({ loss: 'mse', network: '{ layers: [{ dense: 1 }] }' }, new Float32Array(4))).toThrow(
      'evaluate.flips: is an accuracy, which a regression does not have; remove it',
    );
  });
});
