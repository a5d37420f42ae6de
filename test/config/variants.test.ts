import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { methodVariants } from '../../src/config/methods.js';
import { curvesOf } from '../../src/report/content.js';
import { loadRunDirectory } from '../../src/runs/run-directory.js';

const reference = (name: string) =>
  new URL(`../../results/reference/${name}`, import.meta.url).pathname;
const variantsOf = (name: string) =>
  Object.fromEntries(methodVariants(readFileSync(`${reference(name)}/config.yaml`, 'utf8')));

describe('the algorithm behind a label', () => {
  it('says what the default solver is, and which runs are the algorithms of the paper', () => {
    expect(variantsOf('mnist-mlp')).toEqual({
      fenchel: 'preconditioned',
      'fenchel-exact': 'Algorithm 2',
    });
    expect(variantsOf('mnist-lifted')).toEqual({
      fenchel: 'Algorithm 1, accelerated',
      'fenchel-plain': 'Algorithm 1, inexact',
    });
    expect(variantsOf('mnist-lenet5-exact')).toEqual({ 'fenchel-exact': 'Algorithm 2, modified' });
  });

  it('stands beside the label in a figure', () => {
    const { runs } = loadRunDirectory(reference('mnist-mlp'));
    expect(curvesOf(runs)?.curves.map(({ name }) => name)).toEqual([
      'fenchel (preconditioned)',
      'fenchel-exact (Algorithm 2)',
      'adam',
      'adam-tuned',
      'sgd',
    ]);
  });

  it('is nothing for methods that are not known, and for what is no config', () => {
    for (const text of ['methods: [{ name: removed }, 3, null]', 'methods: 7', '[', '']) {
      expect(methodVariants(text)).toEqual(new Map());
    }
  });
});
