import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { convolvedSide, type LayerShape } from '../../src/core/network/shape.js';
import { fromStored, storedShape, toStored } from '../../src/core/network/weight-layout.js';
import { loadDataset } from '../../src/data/load.js';
import { runExperiment } from '../../src/experiment/run.js';
import { encodeArrays, readArrays } from '../../src/files/safetensors.js';
import { evaluateModels } from '../../src/model/evaluate.js';
import { readModel } from '../../src/runs/model-file.js';
import { loadRunDirectory } from '../../src/runs/run-directory.js';
import { temporaryFolder, tinyExperiment } from '../experiment/tiny.js';
import { imageOf, softmax } from '../reference/forward.js';
import { argMax, deep, lenet, readAsStranger, trainTiny } from './trained.js';

describe('the weights of a completed run', () => {
  it.each([
    ['a fully connected network', ['methods.sgd.weightAverage=0.9']],
    ['a convolutional network', [lenet, 'methods.adam.learningRate=0.02']],
    ['a network with every stage', [deep, 'methods.sgd.weightAverage=0.9']],
    [
      'the squared error',
      ['loss=mse', 'dataset.preprocessing=standardize', 'methods.sgd.learningRate=0.001'],
    ],
  ])('give the reported results in a float64 forward pass: %s', async (_, overrides) => {
    const folder = temporaryFolder();
    await trainTiny(folder, ...overrides);
    const { dataset: request, loss } = tinyExperiment(...overrides);
    const { test, shape } = await loadDataset(request);
    for (const run of loadRunDirectory(folder).runs) {
      const { json, logits } = readAsStranger(join(folder, `${run.label}-s1`));
      let correct = 0;
      let total = 0;
      for (let row = 0; row < test.count; row++) {
        const outputs = logits(imageOf(test, row, shape));
        const label = test.labels[row];
        if (argMax(outputs) === label) correct++;
        total +=
          loss === 'mse'
            ? outputs.reduce((sum, u, k) => sum + (u - Number(k === label)) ** 2, 0)
            : -Math.log(softmax(outputs)[label]);
      }
      const { accuracy, loss: reported, images } = json.results.test;
      expect({ accuracy, images }).toEqual({ accuracy: correct / test.count, images: 100 });
      expect(total / test.count / reported).toBeCloseTo(1, 5);
      expect(accuracy).toBe(run.metrics.columns.test_accuracy.at(-1));
      expect(reported).toBe(run.metrics.columns.test_loss.at(-1));
    }
  });

  it('have the statistics of batch norms for these weights, averages too, and are evaluated to the bit', async () => {
    const folder = temporaryFolder();
    const overrides = [deep, 'methods=[{ name: sgd, weightAverage: 0.9 }]'];
    await trainTiny(folder, ...overrides);
    const run = join(folder, 'sgd-s1');
    const { train } = await loadDataset(tinyExperiment(...overrides).dataset);
    const { json, arrays, logits } = readAsStranger(run);
    expect(json.network.layers[0].stride).toBe(2);
    // Of the first norm, channel by channel, for batches as in training: 50 of the 200 images.
    const batches = [0, 1, 2, 3].map((b) => {
      const channels = Array.from({ length: 5 }, (): number[] => []);
      for (let i = 0; i < 50; i++) {
        logits(imageOf(train, 4 * i + b, [28, 28, 1]), (layer, { values }) => {
          const pixels = values.length / 5;
          if (layer !== 1) return;
          for (const [k, value] of values.entries()) channels[Math.floor(k / pixels)].push(value);
        });
      }
      return channels;
    });
    const mean = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b) / numbers.length;
    const varianceOf = (numbers: readonly number[]) => {
      const center = mean(numbers);
      return numbers.reduce((sum, value) => sum + (value - center) ** 2, 0) / (numbers.length - 1);
    };
    const [means, variances] = ['mean', 'variance'].map(
      (name) => arrays.get(`layers.1.norm.${name}`)!.values,
    );
    for (let c = 0; c < 5; c++) {
      const own = batches.map((channels) => channels[c]);
      expect(means[c]).toBeCloseTo(mean(own.map(mean)), 5);
      expect(variances[c]).toBeCloseTo(mean(own.map(varianceOf)), 5);
    }
    const [{ agrees, accuracy }] = await evaluateModels([readModel(run)]);
    expect({ agrees, accuracy }).toEqual({ agrees: true, accuracy: json.results.test.accuracy });
  });

  it('are described in model.json, with the hash of the file', async () => {
    const folder = temporaryFolder();
    await trainTiny(
      folder,
      lenet,
      'dataset.validation=20',
      'evaluate.test=never',
      'evaluate.predict=lifted',
    );
    const { json, arrays } = readAsStranger(join(folder, 'sgd-s1'));
    const shapes = [...arrays.values()].map(({ name, shape }) => [name, shape]);
    expect(Object.fromEntries(shapes)).toEqual({
      'layers.0.weight': [3, 1, 5, 5],
      'layers.0.bias': [3],
      'layers.1.weight': [4, 3, 3, 3],
      'layers.1.bias': [4],
      'layers.2.weight': [12, 16],
      'layers.2.bias': [12],
      'layers.3.weight': [10, 12],
      'layers.3.bias': [10],
    });
    const { hash } = tinyExperiment(
      'backend=wasm',
      lenet,
      'dataset.validation=20',
      'evaluate.test=never',
      'evaluate.predict=lifted',
    );
    expect(json).toMatchObject({
      format: 1,
      label: 'sgd',
      seed: 1,
      configHash: hash,
      network: { input: [1, 28, 28] },
      preprocessing: { name: 'scale', mean: [0], std: [255] },
      classes: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
      prediction: { rule: 'lifted', lambda: 1 },
      dataset: { name: 'synthetic-digits', config: { limit: 200, validation: 20 } },
      results: { batches: 8, validation: { images: 20 } },
    });
    expect(json.results.test).toBeUndefined();
    const bytes = readFileSync(join(folder, 'sgd-s1', 'model.safetensors'));
    expect(json.weights.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(readModel(join(folder, 'sgd-s1')).layers).toEqual(tinyExperiment(lenet).network.layers);
  });

  it('are not written with model: false', async () => {
    const folder = temporaryFolder();
    await runExperiment(tinyExperiment('backend=wasm'), { outDir: folder, model: false });
    expect(readdirSync(join(folder, 'sgd-s1'))).toEqual(['metrics.csv']);
  });

  it('are those of an uninterrupted run, where it was killed before it was recorded as completed', async () => {
    const folder = temporaryFolder();
    const experiment = tinyExperiment('backend=wasm');
    const options = { outDir: folder, keepCheckpoints: true };
    await runExperiment(experiment, options);
    const file = join(folder, 'sgd-s1', 'model.safetensors');
    const bytes = readFileSync(file);
    const record = JSON.parse(readFileSync(join(folder, 'run.json'), 'utf8'));
    record.runs[1].status = 'RUNNING';
    writeFileSync(join(folder, 'run.json'), JSON.stringify(record));
    writeFileSync(file, 'of another training');
    await runExperiment(experiment, { ...options, resume: true });
    expect(readFileSync(file)).toEqual(bytes);
    expect(readModel(join(folder, 'sgd-s1')).description.results.batches).toBe(8);
  });

  it('of an earlier training are gone while a run is not completed', async () => {
    const folder = temporaryFolder();
    const experiment = tinyExperiment('backend=wasm');
    await runExperiment(experiment, { outDir: folder, keepCheckpoints: true });
    const record = JSON.parse(readFileSync(join(folder, 'run.json'), 'utf8'));
    for (const run of record.runs) run.status = 'INTERRUPTED';
    writeFileSync(join(folder, 'run.json'), JSON.stringify(record));
    const signal = AbortSignal.abort();
    await runExperiment(experiment, { outDir: folder, resume: true, signal }).catch(() => {});
    const stop = new AbortController();
    await runExperiment(
      experiment,
      { outDir: folder, resume: true, signal: stop.signal },
      (event) => {
        if (event.type === 'directory') stop.abort();
      },
    );
    for (const label of ['adam', 'sgd']) {
      expect(existsSync(join(folder, `${label}-s1`, 'model.json'))).toBe(false);
      expect(existsSync(join(folder, `${label}-s1`, 'model.safetensors'))).toBe(false);
    }
  });
});

describe('a damaged model', () => {
  it('is refused with the file and what is wrong with it', async () => {
    const folder = temporaryFolder();
    await trainTiny(folder, 'network.layers.0.norm=batch');
    const run = join(folder, 'sgd-s1');
    const path = join(run, 'model.json');
    const intact = readFileSync(path, 'utf8');
    const json = JSON.parse(intact);
    const refusal = (changed: unknown) => {
      writeFileSync(path, typeof changed === 'string' ? changed : JSON.stringify(changed));
      try {
        readModel(run);
        return 'read';
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(refusal(intact)).toBe('read');
    expect(refusal('{')).toMatch(/model\.json cannot be used: not valid JSON\. Restore the file/);
    expect(refusal({ ...json, format: 7 })).toContain('it has format 7');
    expect(refusal({ ...json, loss: 'hinge' })).toContain(
      'the loss "hinge" is not one of this program',
    );
    const [hidden, last] = json.network.layers;
    const layers = (first: object) => ({
      ...json,
      network: { ...json.network, layers: [first, last] },
    });
    expect(refusal(layers({ ...hidden, activation: 'swish' }))).toContain('the activation "swish"');
    const block = { residual: [{ ...hidden, activation: 'swish' }, hidden], activation: 'relu' };
    expect(refusal(layers(block))).toContain('the activation "swish" is not one of this program');
    expect(refusal(layers({ residual: [{ ...hidden, norm: 'layer' }] }))).toMatch(
      /network\.layers\.0\.residual\.0\.norm: /,
    );
    expect(refusal(layers({ ...hidden, dense: 13 }))).toContain(
      'model.safetensors cannot be used: it has no float32 array layers.0.weight of shape [13, 784]',
    );
    expect(refusal({ ...json, weights: { ...json.weights, sha256: '0' } })).toContain(
      'its SHA-256 is not',
    );
    expect(refusal({ ...json, preprocessing: { name: 'scale', mean: [], std: [] } })).toContain(
      'preprocessing.mean',
    );
    const weights = join(run, 'model.safetensors');
    const arrays = [...readArrays(weights)];
    const withFirst = (changed: string, value: number) => {
      const bytes = encodeArrays(
        arrays.map(([name, { shape, values }]) => {
          const own = Float32Array.from(values as Float32Array);
          if (name === changed) own[0] = value;
          return { name, shape, dtype: 'F32', values: own };
        }),
      );
      writeFileSync(weights, bytes);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      return refusal({ ...json, weights: { ...json.weights, sha256 } });
    };
    const [weight, variance] = ['layers.0.weight', 'layers.0.norm.variance'];
    expect(withFirst(weight, 1)).toBe('read');
    expect(withFirst(weight, Number.NaN)).toContain(`${weight} has values that are not finite`);
    expect(withFirst(variance, -1)).toContain(`${variance} has negative values`);
  });
});

describe("PyTorch's layout", () => {
  const window = { kernel: 3, stride: 2, padding: 1 };
  const side = convolvedSide(4, window);
  const layers: readonly LayerShape[] = [
    { input: [9, 8, 2], output: [side, side, 5], pool: 2, window },
    { input: [5, 4, 3], output: [1, 1, 6], pool: 1 },
    { input: [1, 1, 7], output: [1, 1, 2], pool: 1 },
  ];

  it.each(layers)('is a permutation that is undone bit for bit: $input', (layer) => {
    const count = storedShape(layer).reduce((size, n) => size * n, 1);
    const weights = Float32Array.from({ length: count }, (_, i) => Math.fround(Math.sin(i)));
    const stored = toStored(weights, layer);
    expect([...stored].sort()).toEqual([...weights].sort());
    expect(fromStored(stored, layer)).toEqual(weights);
  });

  it('has the column of channel c, row i, column j at (c, i, j)', () => {
    const [, layer] = layers;
    const weights = Float32Array.from({ length: 60 * 6 }, (_, i) => i);
    const stored = toStored(weights, layer);
    // Channel 2, row 3, column 1 of output 4.
    expect(stored[4 * 60 + (2 * 5 + 3) * 4 + 1]).toBe(((3 * 4 + 1) * 3 + 2) * 6 + 4);
  });
});
