import { beforeAll, describe, expect, it } from 'vitest';
import { dataOf } from '../../src/playground/browser/data.js';
import { openSession, resolveEntry, shapeOf } from '../../src/playground/browser/trainer.js';
import { methodForms } from '../../src/playground/form.js';
import type { Block, PlaygroundExperiment } from '../../src/playground/protocol.js';
import { startTestBackend } from '../backends.js';

const dataset = { name: 'synthetic-digits', limit: 20, testLimit: 10 } as const;

const experimentWith = (hidden: number, method: object): PlaygroundExperiment => ({
  name: 'test',
  dataset,
  network: {
    layers: [
      ...Array.from({ length: hidden }, () => ({ dense: 6, activation: 'relu' })),
      { dense: 10 },
    ],
  },
  loss: 'cross-entropy',
  epochs: 1,
  batchSize: 10,
  seeds: [1],
  evaluate: { every: 1 },
  backend: 'wasm',
  methods: [{ name: 'fenchel', ...method }],
});

describe('the worker of the playground', () => {
  beforeAll(startTestBackend);

  const x = (layer: number) => ({ block: 'X', layer });
  const w = (layer: number) => ({ block: 'W', layer });
  it.each([
    [{}, [x(2), x(1), w(1), w(2), w(3)]],
    [{ order: 'interleaved' }, [x(2), w(2), x(1), w(1), w(3)]],
    [{ xSolve: 'joint' }, [{ block: 'X' }, w(1), w(2), w(3)]],
  ])('lists the blocks of %o as they are updated', async (fields, lines) => {
    const method = { solver: 'exact', tolerance: 0.5, alternations: 2, ...fields };
    const experiment = experimentWith(2, method);
    const updated: [number, Block][] = [];
    const session = openSession(
      experiment,
      dataOf(experiment, undefined),
      async (_, update, at) => {
        const { block, layer, residual } = update;
        expect(residual).toBeGreaterThanOrEqual(0);
        updated.push([at, { block, ...(layer !== undefined && { layer }) }]);
      },
    );
    const [run] = session.runs;
    const { blocks, alternations } = run.description;
    expect({ blocks, alternations }).toEqual({ blocks: lines, alternations: 2 });
    await run.start();
    await run.step();
    await run.step();
    const batch = [...lines, ...lines].map((block, at) => [at, block]);
    expect(updated).toEqual([...batch, ...batch]);
    session.dispose();
  });

  it('starts every method that can be chosen, whatever the depth', () => {
    for (const hidden of [1, 2, 4]) {
      for (const { name, solver, start } of methodForms()) {
        const experiment = experimentWith(hidden, { name, ...(solver && { solver }), ...start });
        const [entry] = experiment.methods;
        expect(resolveEntry(entry, shapeOf(experiment), experiment).label).toBe(name);
      }
    }
  });

  it('draws digits once, and refuses more than there are before it draws any', () => {
    const many = dataOf({ dataset: { ...dataset, limit: 40 } }, undefined).train;
    const few = dataOf({ dataset }, undefined).train;
    expect(few.count).toBe(20);
    expect(few.images.buffer).toBe(many.images.buffer);
    expect(few.images).toEqual(many.images.subarray(0, 20 * 784));
    const endless = { ...dataset, limit: 1e9, testLimit: 2001 };
    expect(() => dataOf({ dataset: endless }, undefined)).toThrow(
      'limit is more than the 10000 training images of synthetic-digits. testLimit is more than the 2000 test images of synthetic-digits.',
    );
    expect(() => dataOf({ dataset: { ...dataset, name: 'mnist' } }, undefined)).toThrow('Drop the');
  });
});
