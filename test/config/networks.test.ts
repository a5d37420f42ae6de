import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { NetworkShape } from '../../src/core/methods/method.js';
import { methods } from '../../src/core/methods/registry.js';
import { activationNames } from '../../src/core/network/names.js';

const document = readFileSync(new URL('../../docs/networks.md', import.meta.url), 'utf8');

/** A network of `depth` hidden layers; with a convolution, if asked for. */
const network = (over: Partial<NetworkShape> & { depth: number; conv?: boolean }): NetworkShape => {
  const { depth, conv = false, ...rest } = over;
  const layers = Array.from({ length: depth + 1 }, (_, l) => ({
    input: [1, 1, 4] as const,
    output: [1, 1, 4] as const,
    pool: 1,
    ...(conv && l === 0 && { window: { kernel: 1, stride: 1, padding: 0 } }),
  }));
  return {
    layers,
    widths: layers.map(() => 4).concat(4),
    activations: Array.from({ length: depth }, () => 'relu' as const),
    loss: 'mse',
    ...rest,
  };
};

it('docs/networks.md says what the checks of each method allow', () => {
  const rows = new Map<string, string>();
  for (const [, names, cells] of document.matchAll(
    /^\| (`[^|]+) \| (\d(?: or more)? \| [^\n]+) \|$/gm,
  )) {
    const solver = /`solver: ([a-z-]+)`/.exec(names)?.[1];
    const found = [...names.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name);
    for (const name of found) rows.set(`${name} ${solver ?? ''}`, cells);
  }
  const range = (allowed: boolean[]) =>
    allowed[0] ? '0 or more' : allowed[2] ? '1 or more' : allowed[1] ? '1' : 'none';
  const activations = (refused: readonly string[]) => {
    if (refused.length === 0) return 'all';
    return refused.includes('tanh') ? 'relu' : `all but ${refused.join(', ')}`;
  };
  for (const { name, solver, isDefault, schema, check } of methods) {
    const required = {
      name,
      ...(solver && { solver }),
      ...(name === 'sgd' || name === 'adam' ? { learningRate: 1 } : {}),
    };
    const config = schema.parse(required);
    const trains = (shape: NetworkShape) => (check?.(config, shape) ?? []).length === 0;
    const trainsWith = (name: string) => trains(network({ depth: 1, activations: [name] }));
    const cells = [
      range([0, 1, 2].map((depth) => trains(network({ depth })))),
      trains(network({ depth: 1, conv: true })) ? 'yes' : 'no',
      activations(activationNames.filter((activation) => !trainsWith(activation))),
      trains(network({ depth: 1, loss: 'cross-entropy' })) ? 'all' : 'mse',
    ];
    const row = rows.get(`${name} ${isDefault ? '' : (solver ?? '')}`);
    expect(row, `${name} ${solver}`).toBe(cells.join(' | '));
  }
  expect(rows.size).toBe(methods.length);
});
