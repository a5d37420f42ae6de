import { expect, it } from 'vitest';
import { evaluationText } from '../../src/cli/render/evaluation.js';
import { cifar100 } from '../../src/data/sets/cifar100.js';

it('names the most frequent mistakes where a confusion matrix of 100 classes would not fit', () => {
  const classes = cifar100.classNames!;
  const confusion = classes.map((_, k) => classes.map((_, other) => Number(other === k) * 7));
  const [apple, orange, pear, sweetPepper, plate] = [
    'apple',
    'orange',
    'pear',
    'sweet_pepper',
    'plate',
  ].map((name) => classes.indexOf(name));
  Object.assign(confusion[apple], { [plate]: 1, [orange]: 9, [pear]: 3, [sweetPepper]: 3 });
  const one = { folder: 'run', label: 'adam', seed: 1, data: 'cifar100', split: 'test' as const };
  const measured = { images: 716, loss: 1, accuracy: 0.5, backend: 'wasm', classes, confusion };
  const lines = evaluationText([{ ...one, ...measured }]).split('\n');
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(80);
  expect(lines).toContain('100 classes; --csv and --json have the whole confusion matrix');
  const line = (name: string) => lines.find((text) => text.startsWith(`${name} `))?.split(/ {2,}/);
  expect(line('apple')).toEqual(['apple', 'orange 9, pear 3, sweet_pepper 3', '23', '30.43 %']);
  expect(line('worm')).toEqual(['worm', '–', '7', '100.00 %']);
});
