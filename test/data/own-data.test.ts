import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadExperiment, parseExperiment } from '../../src/config/load.js';
import { loadDefinition } from '../../src/data/load.js';
import { DataError, UsageError } from '../../src/errors.js';
import { runExperiment } from '../../src/experiment/run.js';
import { fln } from '../cli/fln.js';
import { float32File, int64File, npzFile, uint8File } from './array-files.js';

const folder = mkdtempSync(join(tmpdir(), 'fln-own-data-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Two features, the first of which decides between three classes. */
const rows = (count: number, shift = 0) =>
  Array.from({ length: count }, (_, i) => [(i % 3) * 2 + ((i * 7 + shift) % 5) / 10, (i % 4) / 4]);
const labels = (count: number) => Array.from({ length: count }, (_, i) => i % 3);
const arrays = (count: number, shift = 0) => ({
  x: float32File([count, 2], rows(count, shift).flat()),
  y: int64File(labels(count)),
});

/** A config in the folder. */
function config(dataset: string, { units = 3, loss = 'cross-entropy', more = '' } = {}): string {
  return `name: own
dataset: ${dataset}
network: { layers: [{ dense: 6, activation: relu }, { dense: ${units} }] }
loss: ${loss}
epochs: 4
batchSize: 10
seeds: [1, 2]
backend: wasm
methods:
  - { name: fenchel }
${more}`;
}

const file = join(folder, 'own.yaml');
const parse = (
  dataset: string,
  options: Parameters<typeof config>[1] = {},
  overrides: string[] = [],
) => parseExperiment(config(dataset, options), file, overrides).experiment;
const load = async (...args: Parameters<typeof parse>) => {
  const experiment = parse(...args);
  return loadDefinition(experiment.data, experiment.dataset);
};

function problem(...args: Parameters<typeof parse>): string {
  try {
    parse(...args);
  } catch (error) {
    if (!(error instanceof DataError || error instanceof UsageError)) throw error;
    return `${error.exitCode}: ${error.message.replaceAll(`${folder}/`, '').split('\n')[0]}`;
  }
  return 'none';
}

beforeAll(() => {
  writeFileSync(join(folder, 'train.npz'), npzFile(arrays(60)));
  writeFileSync(join(folder, 'test.npz'), npzFile(arrays(30, 3)));
  const { x, y } = arrays(60);
  const { x: xTest, y: yTest } = arrays(30, 3);
  writeFileSync(
    join(folder, 'all.npz'),
    npzFile({ x_train: x, y_train: y, x_test: xTest, y_test: yTest }),
  );
  const csv = (count: number) =>
    rows(count)
      .map(([a, b], i) => `${a},${b},${['dog', 'ant', 'cat'][i % 3]}`)
      .join('\n');
  writeFileSync(join(folder, 'train.csv'), `a,b,kind\n${csv(60)}\n`);
  writeFileSync(join(folder, 'test.csv'), `b,a,kind\n0.5,1,cat\n0,0,dog\n`);
  const targets = rows(60).map(([a, b]) => 3 * a - b);
  writeFileSync(
    join(folder, 'price.npz'),
    npzFile({
      x,
      y: float32File([60], targets),
      wide: float32File([60, 2], [...targets, ...targets]),
    }),
  );
});

const own = '{ name: arrays, train: train.npz, test: test.npz }';

describe('own data', () => {
  it('has the shape, classes and sizes of its files', async () => {
    const dataset = await load(own);
    expect(dataset).toMatchObject({ shape: [1, 1, 2], classes: 3, levels: [] });
    expect(dataset.train.count).toBe(60);
    expect(dataset.test.count).toBe(30);
    expect([...dataset.train.images]).toEqual([...Float32Array.from(rows(60).flat())]);
    expect([...dataset.train.labels]).toEqual(labels(60));
    expect(Object.keys(dataset.sha256)).toEqual(['train/train.npz', 'test/test.npz']);
    const all = await load('{ name: arrays, train: all.npz }');
    expect(all.test.images).toEqual(dataset.test.images);
  });

  it('is standardized by the training split alone', async () => {
    const split = { name: 'arrays', train: 'train.npz', test: 'test.npz', validation: 20 };
    const raw = await load(JSON.stringify(split));
    const dataset = await load(JSON.stringify({ ...split, preprocessing: 'standardize' }));
    const { scaling } = dataset;
    for (const feature of [0, 1]) {
      const of = (values: ArrayLike<number>) =>
        Array.from(values).filter((_, i) => i % 2 === feature);
      const numbers = of(raw.train.images);
      const average = numbers.reduce((a, b) => a + b) / numbers.length;
      const spread = Math.sqrt(
        numbers.reduce((sum, v) => sum + (v - average) ** 2, 0) / numbers.length,
      );
      expect(scaling[feature].mean).toBeCloseTo(average, 5);
      expect(scaling[feature].std).toBeCloseTo(spread, 5);
      for (const name of ['train', 'validation', 'test'] as const) {
        const before = of(raw[name]!.images);
        const after = of(dataset[name]!.images);
        expect(after.length).toBe(before.length);
        for (const [i, value] of after.entries()) {
          expect(value).toBeCloseTo((before[i] - average) / spread, 4);
        }
      }
    }
  });

  it('holds out a fixed random choice, each row once', async () => {
    const request = '{ name: arrays, train: train.npz, test: 0.25, validation: 5, limit: 40 }';
    const dataset = await load(request);
    const counts = [dataset.train.count, dataset.validation?.count, dataset.test.count];
    expect(counts).toEqual([35, 5, 15]);
    expect(new Set(dataset.test.labels).size).toBe(3);
    const again = await load(request);
    expect(again.validation?.images).toEqual(dataset.validation?.images);
    const whole = await load('{ name: arrays, train: train.npz, test: 0.25, validation: 5 }');
    const sum = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);
    const parts = [whole.train, whole.validation!, whole.test].map(({ images }) => sum(images));
    expect(sum(parts)).toBeCloseTo(sum(rows(60).flat()), 3);
  });

  it('takes classes from a CSV file in sorted order, and its columns by name', async () => {
    const csv = (name: string) => `{ csv: ${name}.csv, label: kind }`;
    const dataset = await load(`{ name: arrays, train: ${csv('train')}, test: ${csv('test')} }`);
    expect(dataset.classNames).toEqual(['ant', 'cat', 'dog']);
    expect(dataset.columns).toEqual(['a', 'b']);
    expect([...dataset.train.labels.subarray(0, 3)]).toEqual([2, 0, 1]);
    expect([...dataset.test.images]).toEqual([1, 0.5, 0, 0]);
    expect([...dataset.test.labels]).toEqual([1, 2]);
  });

  it('scales 8-bit pixels through their levels', async () => {
    const images = npzFile({ x: uint8File([2, 1, 2], [0, 255, 51, 0]), y: int64File([0, 1]) });
    writeFileSync(join(folder, 'pixels.npz'), images);
    const request = (preprocessing: string) =>
      `{ name: arrays, train: pixels.npz, test: pixels.npz, preprocessing: ${preprocessing} }`;
    const sizes = { units: 2 };
    const of = (set: Awaited<ReturnType<typeof load>>) =>
      Array.from(set.train.images, (p) => set.levels[0][p]);
    const overrides = ['batchSize=1'];
    const scaled = await load(request('scale'), sizes, overrides);
    expect(of(scaled)).toEqual([0, 1, Math.fround(0.2), 0]);
    const raw = await load(request('none'), sizes, overrides);
    expect(of(raw)).toEqual([0, 255, 51, 0]);
    const standard = of(await load(request('standardize'), sizes, overrides));
    expect(standard.reduce((a, b) => a + b)).toBeCloseTo(0, 5);
  });

  it('with the squared error and floating-point targets is a regression', async () => {
    const dataset = await load('{ name: arrays, train: price.npz, test: 0.2 }', {
      units: 1,
      loss: 'mse',
    });
    expect(dataset.classes).toBe(1);
    expect(dataset.train.targets).toHaveLength(48);
    expect(dataset.train.labels).toHaveLength(0);
    const wide = '{ name: arrays, train: { npz: price.npz, x: x, y: wide }, test: 0.2 }';
    expect((await load(wide, { units: 2, loss: 'mse' })).train.targets).toHaveLength(96);
    // Integers stay classes.
    expect((await load(own, { loss: 'mse' })).train.targets).toBeUndefined();
  });

  it('has the same hash wherever it is', () => {
    const { hash, dataset } = parse(own);
    expect(dataset.train).toBe(join(folder, 'train.npz'));
    mkdirSync(join(folder, 'moved'), { recursive: true });
    for (const name of ['train.npz', 'test.npz']) {
      writeFileSync(join(folder, 'moved', name), readFileSync(join(folder, name)));
    }
    const moved = parseExperiment(config(own), join(folder, 'moved/own.yaml')).experiment;
    expect(moved.dataset.train).toBe(join(folder, 'moved/train.npz'));
    expect(moved.hash).toBe(hash);
    expect(parse('{ name: arrays, train: all.npz, test: test.npz }').hash).not.toBe(hash);
  });
});

describe('a config with mistakes in its data', () => {
  const dataset = (fields: string) => `{ name: arrays, ${fields} }`;

  it.each([
    [
      'train: tran.npz, test: test.npz',
      '5: own.yaml:2:34 dataset.train: tran.npz: no such file or folder; did you mean "train.npz"?',
    ],
    [
      'train: train.npz',
      '2: own.yaml:2:1 dataset.test: is missing: name the files of the test split, or the share of the training rows to hold out for it, as in test: 0.2',
    ],
    [
      'trian: train.npz, test: test.npz',
      '2: own.yaml:2:26 dataset.trian: unknown key; did you mean "train"?',
    ],
    [
      'train: train.npz, test: 0.001',
      '2: own.yaml:2:50 dataset.test: is 0.001, but 60 rows cannot be divided so',
    ],
    [
      'train: { csv: train.csv }, test: 0.2',
      '5: own.yaml:2:34 dataset.train: train.csv: name the column of the labels, as in { csv: train.csv, label: COLUMN }; for a regression, target: COLUMN.',
    ],
    [
      'train: { csv: train.csv, x: a.npy }, test: 0.2',
      '2: own.yaml:2:34 dataset.train: has several of npz, csv, images and x: write one',
    ],
    [
      'train: { y: a.npy }, test: 0.2',
      '2: own.yaml:2:34 dataset.train: names no data: set one of npz, csv, images, or x and y',
    ],
    [
      'train: { csv: train.csv, label: kind }, test: train.npz',
      '5: own.yaml:2:72 dataset.test: the test split: row 0 (from 0) has the class 0, which the training split lacks (it has ant, cat, dog).',
    ],
  ])('%s', (fields, message) => {
    expect(problem(dataset(fields))).toBe(
      message.replace(
        'own.yaml:2:34',
        `own.yaml:2:${'dataset: { name: arrays, train: '.length + 1}`,
      ),
    );
  });

  it('names the rows of wrong labels', () => {
    const of = (name: string, y: Buffer) => {
      writeFileSync(join(folder, `${name}.npz`), npzFile({ x: float32File([3, 1], [1, 2, 3]), y }));
      return problem(dataset(`train: ${name}.npz, test: 0.4`)).replace(/^.*dataset.train: /, '');
    };
    expect(of('minus', int64File([0, -1, 1]))).toBe(
      'the training split: row 1 (from 0) has the label -1; classes are numbered from 0.',
    );
    expect(of('half', float32File([3], [0, 1, 0.5]))).toBe(
      'the training split: row 2 (from 0) has the label 0.5; classes are integers; for a regression set loss: mse.',
    );
    expect(of('hot', float32File([3, 2], [1, 0, 0, 1, 0, 1]))).toMatch(
      /^the training split: the labels have the shape \[3, 2\]/,
    );
    writeFileSync(
      join(folder, 'four.npz'),
      npzFile({ x: float32File([1, 2], [1, 2]), y: int64File([3]) }),
    );
    expect(problem(dataset('train: train.npz, test: four.npz'))).toMatch(
      /dataset.test: the test split: row 0 \(from 0\) has the class 3, which the training split lacks \(it has 0 to 2\)\.$/,
    );
    writeFileSync(
      join(folder, 'wide.npz'),
      npzFile({ x: float32File([1, 3], [1, 2, 3]), y: int64File([0]) }),
    );
    expect(problem(dataset('train: train.npz, test: wide.npz'))).toMatch(
      /the test split has rows of 3 features, and the training split of 2 features\.$/,
    );
  });

  it('checks the network, the sizes and the keys against the data', () => {
    expect(problem(own, { units: 4 })).toMatch(
      /^2: own.yaml:3:\d+ network.layers.1.dense: is 4, but the last layer has one unit for each of the 3 classes of arrays/,
    );
    const regression = dataset('train: price.npz, test: 0.2');
    expect(problem(regression, { loss: 'mse' })).toMatch(
      /one unit for each of the 1 targets of arrays/,
    );
    expect(
      problem(regression, { units: 1, loss: 'mse', more: 'expect: { fenchel: { atLeast: 0.9 } }' }),
    ).toMatch(/expect.fenchel: is an accuracy, which a regression does not have; remove it$/);
    expect(
      problem(regression, { units: 1, loss: 'mse' }, ['methods.fenchel.labelSmoothing=0.1']),
    ).toMatch(/labelSmoothing\)?: is for classes, and the targets are those of a regression/);
    expect(problem(own, {}, ['batchSize=61'])).toMatch(/is more than the 60 training images/);
    expect(problem('{ name: synthetic-digits, train: train.npz }', { units: 10 })).toMatch(
      /dataset.train: is for your own data, name: arrays$/,
    );
    expect(problem('{ name: synthetic-digits, validation: a.npz }', { units: 10 })).toMatch(
      /dataset.validation: must be a number of training images/,
    );
  });
});

it('takes paths on the command line from the current folder', async () => {
  writeFileSync(file, config('{ name: arrays, train: elsewhere.npz, test: test.npz }'));
  const args = ['run', 'own.yaml', 'dataset.train=train.npz', '--print-config'];
  const { code, stdout, stderr } = await fln(args, { cwd: folder });
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(stdout).toContain(join(folder, 'train.npz'));
});

describe('fln run', () => {
  it('trains, resumes only on the same data, and verifies without it', async () => {
    writeFileSync(file, config(own, { more: 'expect: { fenchel: { atLeast: 0.5 } }' }));
    const cwd = folder;
    const check = await fln(['run', 'own.yaml', '--dry-run'], { cwd });
    expect(check.stdout).toContain('Data: arrays, on this machine and intact');
    const one = ['run', 'own.yaml', '--out', 'run', '--seeds', '1'];
    const first = await fln(one, { cwd });
    expect(first.code, first.stderr).toBe(0);
    expect(first.stderr).toContain('Data: arrays, 60 training and 30 test rows');
    const record = JSON.parse(readFileSync(join(folder, 'run/run.json'), 'utf8'));
    expect(Object.keys(record.dataset.sha256)).toEqual(['train/train.npz', 'test/test.npz']);
    expect(record.experiment.data).toMatchObject({ shape: [1, 1, 2], classes: 3, testSize: 30 });

    const test = readFileSync(join(folder, 'test.npz'));
    writeFileSync(join(folder, 'test.npz'), npzFile(arrays(30, 4)));
    const more = ['--resume', '--out', 'run'];
    const other = await fln(['run', 'own.yaml', ...more], { cwd });
    expect(other.code).toBe(2);
    expect(other.stderr).toContain(
      'were computed from other data (the checksums in run.json differ)',
    );
    const changed = await fln(['evaluate', 'run'], { cwd });
    expect(changed.stdout).toContain('the SHA-256 of test/test.npz differs');
    rmSync(join(folder, 'test.npz'));
    const absent = await fln(['evaluate', 'run'], { cwd });
    expect(absent).toMatchObject({ code: 5, stdout: '' });
    expect(absent.stderr).toMatch(/test\.npz: no such file or folder.*--data-dir DIR names/);
    mkdirSync(join(folder, 'other'));
    writeFileSync(join(folder, 'other/test.npz'), test);
    const moved = await fln(['evaluate', 'run', '--data-dir', 'other'], { cwd });
    expect(moved.stdout).toMatch(/fenchel, seed 1 .* agrees/);
    const verified = await fln(['verify', 'run'], { cwd });
    expect(verified.stdout).toContain('1 of 2');
    expect(verified.code, verified.stderr).toBe(3);
    const gone = await fln(['run', 'own.yaml', '--dry-run'], { cwd });
    expect(gone.code).toBe(5);
    expect(gone.stderr).toContain('test.npz: no such file or folder');
    writeFileSync(join(folder, 'test.npz'), test);
  });

  it('reports the loss of a regression', async () => {
    writeFileSync(
      file,
      config('{ name: arrays, train: price.npz, test: 0.2 }', { units: 1, loss: 'mse' }),
    );
    const cwd = folder;
    const { code, stdout, stderr } = await fln(
      ['run', 'own.yaml', '--out', 'regression', '--seeds', '1'],
      { cwd },
    );
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/fenchel, seed 1: test loss \d/);
    expect(stdout).toMatch(/final test loss/);
    const metrics = readFileSync(join(folder, 'regression/fenchel-s1/metrics.csv'), 'utf8');
    const [header, row] = metrics.split('\n').map((line) => line.split(','));
    const cell = (name: string) => row[header.indexOf(name)];
    expect([cell('train_accuracy'), cell('test_accuracy')]).toEqual(['', '']);
    expect(Number(cell('test_loss'))).toBeGreaterThan(0);
    const compared = await fln(['compare', 'regression'], { cwd });
    expect(compared.stdout).toMatch(/final test loss/);
    expect(compared.stdout).not.toMatch(/paper|percentage/);
    const listed = await fln(['ls', 'regression', '--best', 'test_loss'], { cwd });
    expect(listed.stdout).toMatch(/test_loss/);
    const resolved = readFileSync(join(folder, 'regression/config.yaml'), 'utf8');
    expect(resolved).toContain('labelSmoothing: 0\n');
    const own = await fln(['diff', 'regression', 'regression'], { cwd });
    expect(own.stdout).toMatch(/loss a +loss b[\s\S]*fenchel, seed 1 +\d\S+ +\d\S+ +\+0\.00/);
    const evaluated = await fln(['evaluate', 'regression'], { cwd });
    expect(evaluated.stdout).toMatch(/run +loss +reported\s+-.*\s+fenchel, seed 1 .* agrees\n$/);
    const [result] = JSON.parse(
      (await fln(['evaluate', 'regression', 'price.npz', '--json'], { cwd })).stdout,
    ).runs;
    expect(result).toMatchObject({ images: 60 });
    expect(Object.keys(result)).not.toContain('accuracy');
    const predicted = await fln(
      ['predict', 'regression', 'price.npz', '--backend', 'wasm', '--json'],
      { cwd },
    );
    const outputs: Record<string, number>[] = JSON.parse(predicted.stdout);
    expect(Object.keys(outputs[0])).toEqual(['file', 'row', 'output_0']);
    const targets = rows(60).map(([a, b]) => 3 * a - b);
    const loss = targets.reduce((sum, t, i) => sum + (outputs[i].output_0 - t) ** 2, 0) / 60;
    expect(result.loss).toBeCloseTo(loss, 4);
    const verified = await fln(['verify', 'regression'], { cwd });
    expect(verified.code).toBe(2);
    expect(verified.stderr).toContain('is a regression, which has no accuracy to verify');
  });
});

describe('the library', () => {
  const typed = (count: number) => ({
    x: { values: Float32Array.from(rows(count).flat()), shape: [count, 2] },
    y: labels(count),
  });

  it('trains on arrays in memory, which stay as they are', async () => {
    const { experiment } = parseExperiment(
      config('{ name: arrays, preprocessing: standardize }'),
      'own.yaml',
    );
    const data = { train: typed(60), test: typed(30) };
    const before = data.train.x.values.slice();
    const out = join(folder, 'library');
    const { status } = await runExperiment(experiment, { data, outDir: out });
    expect(status).toBe('completed');
    expect(data.train.x.values).toEqual(before);
    const record = JSON.parse(readFileSync(join(out, 'run.json'), 'utf8'));
    expect(Object.keys(record.dataset.sha256)).toEqual(['train/x', 'train/y', 'test/x', 'test/y']);
  });

  it('refuses a config without files and arrays, and arrays that do not fit', async () => {
    writeFileSync(file, config('{ name: arrays }'));
    const { experiment } = loadExperiment(file);
    await expect(runExperiment(experiment, { outDir: join(folder, 'no') })).rejects.toThrow(
      /own.yaml:2:10 dataset.train: is missing: name the files/,
    );
    const data = { train: { ...typed(60), y: [1] }, test: 0.2 };
    await expect(runExperiment(experiment, { data })).rejects.toThrow(
      'data.train.x has 60 rows and data.train.y has 1: they do not belong together',
    );
    const wrong = {
      train: { x: { values: new Float32Array(5), shape: [3, 2] }, y: [1] },
      test: 0.2,
    };
    await expect(runExperiment(experiment, { data: wrong })).rejects.toThrow(
      'data.train.x has 5 values, and its shape [3, 2] needs 6',
    );
    const digits = parse('{ name: synthetic-digits }', { units: 10 });
    await expect(runExperiment(digits, { data })).rejects.toThrow(/set dataset: { name: arrays }/);
  });
});
