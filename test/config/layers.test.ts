import { describe, expect, it } from 'vitest';
import { describeLayers } from '../../src/core/network/shape.js';
import { experimentText, issuesOf, parse } from './helpers.js';

const layers = (...entries: string[]) => `{ layers: [${entries.join(', ')}] }`;
const conv = '{ conv: 6, kernel: 5, padding: 2, activation: relu }';
const pool = '{ averagePool: 2 }';
const last = '{ dense: 10 }';
const lenet = layers(
  conv,
  pool,
  '{ conv: 16, kernel: 5, activation: relu }',
  pool,
  '{ dense: 120, activation: relu }',
  '{ dense: 84, activation: relu }',
  last,
);

describe('layers of a convolution network', () => {
  const { experiment } = parse(experimentText({ network: lenet }));

  it('follows the shapes from the image to the classes; pooling belongs to the next layer', () => {
    expect(describeLayers(experiment.network.layers)).toBe(
      '28x28x1-6@28x28-pool2-16@10x10-pool2-120-84-10',
    );
    expect(experiment.network.widths).toEqual([784, 4704, 1600, 120, 84, 10]);
    expect(experiment.network.layers.map(({ pool: side }) => side)).toEqual([1, 2, 2, 1, 1]);
    expect(experiment.network.activations).toEqual(['relu', 'relu', 'relu', 'relu']);
  });

  it('fills in what a convolution leaves open', () => {
    expect(experiment.layers[0]).toEqual({
      conv: 6,
      kernel: 5,
      stride: 1,
      padding: 2,
      activation: 'relu',
    });
  });

  const refused: [string, string, string[]][] = [
    [
      'no kind',
      layers('{ activation: relu }', last),
      [
        'network.layers.0: has no layer type: set one of dense, conv, whiten, averagePool, maxPool, globalPool, residual, repeat',
      ],
    ],
    [
      'two kinds',
      layers('{ dense: 5, conv: 6, kernel: 3, activation: relu }', last),
      ['network.layers.0: has dense and conv: write one layer for each'],
    ],
    [
      'a window on a dense layer',
      layers('{ dense: 5, kernel: 3, activation: relu }', last),
      ['network.layers.0.kernel: belongs to a convolution (conv: CHANNELS)'],
    ],
    [
      'no kernel',
      layers('{ conv: 6, activation: relu }', last),
      ['network.layers.0.kernel: is missing (side of the window of the convolution)'],
    ],
    [
      'too large a window',
      layers('{ conv: 6, kernel: 29, activation: relu }', last),
      [
        'network.layers.0.kernel: is 29, but the image there is 28 x 28; use a smaller window, or padding',
      ],
    ],
    [
      'too large an average',
      layers('{ averagePool: 30 }', last),
      ['network.layers.0.averagePool: is 30, but the image there is 28 x 28'],
    ],
    [
      'an average with an activation',
      layers(conv, '{ averagePool: 2, activation: relu }', last),
      ['network.layers.1.activation: averaging has no activation: the layer before it has one'],
    ],
    [
      'averages in a row',
      layers(conv, pool, pool, last),
      ['network.layers.2: follows another averagePool; use one larger window'],
    ],
    [
      'an average at the end',
      layers(conv, pool),
      ['network.layers.1: must be followed by a layer with weights: the last layer is dense'],
    ],
    [
      'a convolution after a dense layer',
      layers('{ dense: 5, activation: relu }', conv, last),
      ['network.layers.1: convolves an image, but comes after a dense layer'],
    ],
    [
      'a convolution at the end',
      layers('{ conv: 10, kernel: 28 }'),
      ['network.layers.0: cannot be the last layer: add a dense layer with one unit per class'],
    ],
  ];
  it.each(refused)('refuses %s', (_, network, expected) => {
    expect(issuesOf(experimentText({ network }))).toEqual(expected);
  });
});
