import { cpSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadExperiment, parseExperiment } from '../../src/config/load.js';
import { methods } from '../../src/core/methods/registry.js';
import { Random } from '../../src/core/random.js';
import { runExperiment } from '../../src/experiment/run.js';
import { encodeArrays, type NamedArray } from '../../src/files/safetensors.js';
import { readMetrics } from '../../src/runs/metrics.js';
import { readModel } from '../../src/runs/model-file.js';
import { readRecord } from '../../src/runs/run-json.js';
import type { Setting } from '../../src/testing/setting.js';
import { defaultConfig, dense, rows, startTraining, weightsOf } from '../../src/testing/setting.js';
import { startTestBackend } from '../backends.js';
import { fln, workplace } from '../cli/fln.js';
import { deep, lenet, trainTiny } from '../model/trained.js';
import { outcomeOf, put, temporaryFolder, tinyConfig, tinyExperiment, untimed } from './tiny.js';

/** Weights do not move with this one: w - 1e-30 d = w in float32. */
const still = 'methods=[{name: sgd, learningRate: 1e-30}]';

const files = new Map<string, Buffer>();
const names = ['adam', 'sgd'].flatMap((label) =>
  ['model.safetensors', 'model.json', 'metrics.csv'].map((name) => `${label}-s1/${name}`),
);

/** A run directory with the models of adam and sgd, seed 1, trained once. */
async function base(): Promise<string> {
  const folder = temporaryFolder();
  if (files.size === 0) {
    await trainTiny(folder, 'epochs=1');
    for (const name of names) files.set(name, readFileSync(join(folder, name)));
  } else {
    for (const [name, bytes] of files) put(join(folder, name), bytes);
  }
  return folder;
}

const testLosses = (run: string) => {
  const { test_loss } = readMetrics(join(run, 'metrics.csv')).metrics.columns;
  return test_loss.filter((value) => !Number.isNaN(value));
};

describe('a run with init', () => {
  it.each([
    ['convolutions', lenet],
    ['every stage of deep networks', deep],
  ])('starts from exactly the weights of the model: %s', async (_, layers) => {
    const [from, outDir] = [temporaryFolder(), temporaryFolder()];
    const small = ['epochs=1', 'batchSize=20', 'dataset.limit=60', 'dataset.testLimit=50'];
    await trainTiny(from, layers, ...small, 'methods=[{name: adam, learningRate: 0.01}]');
    const experiment = tinyExperiment('backend=wasm', layers, ...small, still, `init.from=${from}`);
    await runExperiment(experiment, { outDir });
    const reached = testLosses(join(from, 'adam-s1')).at(-1);
    const model = readModel(join(from, 'adam-s1'));
    expect(testLosses(join(outDir, 'sgd-s1'))[0]).toBe(reached);
    const { sha256 } = model.description.weights;
    expect(readModel(join(outDir, 'sgd-s1')).description.weights.sha256).toBe(sha256);
    expect(readRecord(outDir)?.init).toEqual({ from, sha256: { 1: sha256 } });
  });

  it('resumes without the model', async () => {
    const [from, outDir, whole] = [await base(), temporaryFolder(), temporaryFolder()];
    const experiment = tinyExperiment('backend=wasm', `init.from=${from}`, 'init.label=sgd');
    await runExperiment(experiment, { outDir: whole, only: ['adam'] });
    await runExperiment(experiment, { outDir, only: ['adam'], stopAtEpoch: 1 });
    rmSync(from, { recursive: true });
    const config = loadExperiment(join(outDir, 'config.yaml')).experiment;
    expect(config.hash).toBe(experiment.hash);
    await runExperiment(config, { outDir, only: ['adam'], resume: true });
    const metrics = join('adam-s1', 'metrics.csv');
    expect(untimed(join(outDir, metrics))).toBe(untimed(join(whole, metrics)));
    expect(await outcomeOf(runExperiment(config, { outDir, overwrite: true }))).toEqual({
      exitCode: 2,
      message: `init.from: there is no file or folder ${from}`,
    });
  });

  it('is another experiment with another model, not with the same one elsewhere', async () => {
    const [from, other] = [await base(), await base()];
    const hash = (folder: string, ...more: string[]) =>
      tinyExperiment(`init.from=${folder}`, ...more).hash;
    const adam = hash(from, 'init.label=adam');
    expect(hash(from, 'init.label=sgd')).not.toBe(adam);
    expect(adam).not.toBe(tinyExperiment().hash);
    expect(hash(other, 'init.label=adam')).toBe(adam);
    expect(hash(join(other, 'adam-s1'))).toBe(adam);
    expect(hash(join(other, 'adam-s1', 'model.safetensors'))).toBe(adam);
    // Of another seed.
    expect(hash(from, 'init.label=adam', 'init.seed=1', 'seeds=[5, 6]')).not.toBe(adam);
    // config.yaml names the version.
    const outDir = temporaryFolder();
    const { resolved } = tinyExperiment(`init.from=${from}`, 'init.label=adam');
    const config = join(outDir, 'config.yaml');
    writeFileSync(config, JSON.stringify(resolved));
    const loaded = loadExperiment(config).experiment;
    expect(loaded.hash).toBe(adam);
    cpSync(join(from, 'sgd-s1'), join(from, 'adam-s1'), { recursive: true });
    const { message } = (await outcomeOf(runExperiment(loaded, { outDir: join(outDir, 'x') }))) as {
      message: string;
    };
    expect(message).toMatch(
      /^init\.from: .*adam-s1\/model\.safetensors is not the model that sha256 records for seed 1/,
    );
    expect(existsSync(join(outDir, 'x'))).toBe(false);
  });
});

describe('every method', () => {
  beforeAll(startTestBackend);
  it.each(
    methods.map((definition) => ({
      name: [definition.name, definition.solver].filter(Boolean).join(', '),
      definition,
    })),
  )(
    'has the weights of init before its first step, or refuses them: $name',
    async ({ definition }) => {
      if (definition.refusesInit) {
        expect(definition.name).toBe('taylor-admm');
        return;
      }
      const loss = definition.fullBatch ? 'mse' : 'cross-entropy';
      const setting: Setting = {
        layers: dense(7),
        activation: 'relu',
        loss,
        batchSize: 50,
        steps: 2,
      };
      const stream = new Random(7, 'init');
      const draw = (count: number) => Float32Array.from({ length: count }, () => stream.normal());
      const initial = setting.layers.map(({ input, output }) => ({
        weights: draw(input[0] * input[1] * input[2] * output[2]),
        bias: draw(output[2]),
      }));
      const variants = definition.solver === 'full-batch' ? ['plain', 'accelerated'] : [undefined];
      for (const variant of variants) {
        const config = defaultConfig(definition, setting, variant ? { variant } : {});
        const method = await definition.load();
        const training = await startTraining(method, config, setting, rows, initial);
        const expected = initial.flatMap(({ weights, bias }) => [...weights, ...bias]);
        expect(await weightsOf(training)).toEqual(expected);
        training.dispose();
      }
    },
  );
});

describe('an init that cannot be used', () => {
  it('names layer, expected and found shapes', async () => {
    const from = await base();
    const say = (...overrides: string[]) => {
      try {
        tinyExperiment(`init.from=${from}`, 'init.label=adam', ...overrides);
      } catch (error) {
        return (error as Error).message.replaceAll(from, 'BASE');
      }
      return 'accepted';
    };
    const file = `command line: init.from=BASE: BASE/adam-s1/model.safetensors is not a model of this network`;
    expect(say('network.layers.0.dense=13')).toBe(
      `${file}: layer 1: expected layers.0.weight [13, 784], found [12, 784]; layer 1: expected layers.0.bias [13], found [12]; layer 2: expected layers.1.weight [10, 13], found [10, 12]`,
    );
    expect(
      say(
        'network.layers=[{ dense: 12, activation: relu }, { dense: 9, activation: relu }, { dense: 10 }]',
      ),
    ).toContain('layer 3: expected layers.2.weight [10, 9], found none');
    expect(say('network.layers=[{ dense: 10 }]')).toContain(
      'it has layers.1.weight, and the network has only 1 layers with weights',
    );
    expect(
      say('network.layers=[{ conv: 12, kernel: 28, activation: relu }, { dense: 10 }]'),
    ).toContain('layer 1: expected layers.0.weight [12, 1, 28, 28], found [12, 784]');
  });

  it('names a batch norm that the network has not', () => {
    const shapes = {
      'layers.0.weight': [12, 784],
      'layers.0.bias': [12],
      'layers.0.norm.mean': [12],
      'layers.0.norm.variance': [12],
      'layers.1.weight': [10, 12],
      'layers.1.bias': [10],
    };
    const arrays = Object.entries(shapes).map(([name, shape]): NamedArray => {
      const values = new Float32Array(shape.reduce((a, b) => a * b)).fill(1);
      return { name, dtype: 'F32', shape, values };
    });
    const file = join(temporaryFolder(), 'normed.safetensors');
    put(file, encodeArrays(arrays));
    expect(() => tinyExperiment(`init.from=${file}`)).toThrow(
      'layer 1: it has a batch norm there (layers.0.norm.mean), and the network has none',
    );
    expect(tinyExperiment(`init.from=${file}`, 'network.layers.0.norm=batch').init).toBeDefined();
  });

  it('says which models there are', async () => {
    const from = await base();
    const folder = temporaryFolder();
    renameSync(from, join(folder, 'run'));
    const run = join(folder, 'run');
    put(join(folder, 'garbage.safetensors'), 'garbage, and more of it');
    const array: NamedArray = {
      name: 'layers.0.weight',
      dtype: 'F64',
      shape: [12, 784],
      values: new Float64Array(12 * 784),
    };
    put(join(folder, 'double.safetensors'), encodeArrays([array]));
    cpSync(join(run, 'adam-s1'), join(folder, 'damaged'), { recursive: true });
    const bytes = readFileSync(join(folder, 'damaged', 'model.safetensors'));
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(join(folder, 'damaged', 'model.safetensors'), bytes);
    put(join(folder, 'empty', 'notes.txt'), '');
    const say = (init: string, ...overrides: string[]) => {
      const text = `${tinyConfig}init: ${init}\n`;
      try {
        parseExperiment(text, join(folder, 'x.yaml'), overrides);
      } catch (error) {
        return (error as Error).message.split('\n')[0].replaceAll(`${folder}/`, '');
      }
      return 'accepted';
    };
    expect(say('{ from: run, label: adam }')).toBe('accepted');
    expect(say('{ from: run/sgd-s1 }')).toBe('accepted');
    const cases: [string, string][] = [
      ['{ from: absent }', 'x.yaml:12:15 init.from: there is no file or folder absent'],
      ['{ from: run }', 'init.from: run has models of adam, sgd; choose one, as in label: adam'],
      ['{ from: run, label: adm }', 'init.label: run has no model of adm; it has adam, sgd'],
      [
        '{ from: run, label: adam, seed: 2 }',
        'init.seed: run has no model of adam with seed 2; it has seed 1',
      ],
      [
        '{ from: run/adam-s1, label: adam }',
        'init.label: is for a run directory, and from is the folder of one run; remove it',
      ],
      [
        '{ from: run/adam-s1/model.safetensors, seed: 1 }',
        'init.seed: is for a run directory, and from is one model file; remove it',
      ],
      [
        '{ from: empty }',
        'init.from: empty has no trained model: completed runs leave model.safetensors and model.json',
      ],
      ['{ from: . }', 'is not a run directory; did you mean run?'],
      [
        '{ from: garbage.safetensors }',
        'garbage.safetensors cannot be used: its header is truncated',
      ],
      [
        '{ from: double.safetensors }',
        'layer 1: expected layers.0.weight [12, 784] of float32, found [12, 784] of float64',
      ],
      [
        '{ from: damaged }',
        'damaged/model.safetensors cannot be used: it is damaged: its SHA-256 is not the one that model.json records',
      ],
      ['{ form: run }', 'init.form: unknown key; did you mean "from"?'],
      ['run', 'init: '],
    ];
    for (const [init, message] of cases) expect(say(init), init).toContain(message);
    expect(say('{ from: run, label: adam }', 'seeds=[1, 4]')).toContain(
      'run has no model of adam with seed 4; it has seed 1. To start every run from one of them: seed: 1',
    );
    expect(say('{ from: run/adam-s1 }', 'methods.adam.bias=0.1')).toContain(
      'methods.adam.bias=0.1 (methods.0.bias): has no effect with init, from whose weights the methods start; remove it',
    );
    expect(
      say('{ from: run/adam-s1 }', 'loss=mse', 'batchSize=full', 'methods=[{name: taylor-admm}]'),
    ).toContain(
      'cannot start from init: it starts from random pre-activations, and its first iteration computes all weights from them. Remove the method',
    );
  });

  it('is found by a dry run, and shown by it', async () => {
    const cwd = workplace(tinyConfig);
    renameSync(await base(), join(cwd, 'base'));
    const run = (...args: string[]) =>
      fln(['run', 'tiny.yaml', '--backend', 'wasm', '--dry-run', ...args], { cwd });
    const good = await run('init.from=base/adam-s1');
    expect(good).toMatchObject({ code: 0 });
    expect(good.stdout).toContain('\nStart: weights of base/adam-s1\n');
    expect(await run('init.from=base')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('choose one, as in label: adam'),
    });
  });
});
