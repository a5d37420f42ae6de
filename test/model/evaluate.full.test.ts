import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { encode } from 'fast-png';
import { describe, expect, it } from 'vitest';
import { loadDataset } from '../../src/data/load.js';
import { fln } from '../cli/fln.js';
import { temporaryFolder, tinyExperiment } from '../experiment/tiny.js';
import { imageOf, softmax } from '../reference/forward.js';
import { argMax, deep, lenet, readAsStranger, trainTiny } from './trained.js';

/** An array file of NumPy, version 1.0. */
function npy(dtype: string, shape: readonly number[], bytes: Uint8Array): Buffer {
  const text = `{'descr': '${dtype}', 'fortran_order': False, 'shape': (${shape.join(', ')},), }`;
  const header = Buffer.from(`${text.padEnd(117)}\n`);
  const start = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0]);
  return Buffer.concat([start, header, bytes]);
}

const testImages = async () => (await loadDataset(tinyExperiment().dataset)).test;

describe('fln evaluate', () => {
  it.each([
    ['a convolutional network', [lenet, 'dataset.preprocessing=standardize']],
    ['a network with every stage', [deep, 'methods.adam.weightAverage=0.9']],
    ['lifted prediction', ['evaluate.predict=lifted', 'evaluate.lambda=0.1']],
    ['a validation split', ['dataset.validation=50', 'evaluate.test=never']],
  ])('repeats the reported results to the digit: %s', async (_, overrides) => {
    const cwd = temporaryFolder();
    await trainTiny(join(cwd, 'run'), ...overrides);
    const { code, stdout, stderr } = await fln(['evaluate', 'run', '--json'], { cwd });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { runs } = JSON.parse(stdout);
    expect(runs).toHaveLength(2);
    for (const run of runs) {
      const { results } = readAsStranger(join(cwd, 'run', `${run.label}-s1`)).json;
      const { accuracy, loss, images } = results.test ?? results.validation;
      expect(run).toMatchObject({ agrees: true, accuracy, images, reported: { accuracy, loss } });
      const diagonal = run.confusion.reduce(
        (sum: number, row: number[], k: number) => sum + row[k],
        0,
      );
      expect(diagonal / images).toBe(accuracy);
      expect(run.confusion.flat().reduce((a: number, b: number) => a + b)).toBe(images);
    }
  });

  it('prints a table of all runs, a matrix of one, and CSV by class', async () => {
    const cwd = temporaryFolder();
    await trainTiny(join(cwd, 'run'));
    const all = await fln(['evaluate', 'run'], { cwd });
    expect(all.stdout).toMatch(
      /^synthetic-digits, test split, 100 rows, computed on wasm [\d.]+\n\nrun +accuracy +reported +loss +reported\n-.*\nadam, seed 1 .* agrees\nsgd, seed 1 .* agrees\n$/,
    );
    const one = await fln(['evaluate', 'run', '--label', 'sgd', '--seed', '1'], { cwd });
    expect(one.stdout).toMatch(
      /agrees\n\nConfusion matrix: predicted class by column\ntrue class +0 +1/,
    );
    const csv = await fln(['evaluate', 'run/sgd-s1', '--csv', '--split', 'train'], { cwd });
    const rows: Record<string, string>[] = parse(csv.stdout, { columns: true });
    expect(rows).toHaveLength(10);
    expect(rows.reduce((sum, row) => sum + Number(row.rows), 0)).toBe(200);
    expect(rows[0]).toMatchObject({ method: 'sgd', split: 'train', agrees: '', class_name: '0' });
    const other = await fln(['evaluate', 'run', '--backend', 'cpu'], { cwd });
    expect(other).toMatchObject({ code: 0, stderr: '' });
    expect(other.stdout).toContain(
      'may differ from the reported ones: the run was trained on wasm',
    );
  });

  it('exits 3 where a result is not the reported one', async () => {
    const cwd = temporaryFolder();
    await trainTiny(join(cwd, 'run'));
    const path = join(cwd, 'run', 'adam-s1', 'model.json');
    const json = JSON.parse(readFileSync(path, 'utf8'));
    json.results.test.loss += 1e-6;
    writeFileSync(path, JSON.stringify(json));
    const { code, stdout, stderr } = await fln(['evaluate', 'run'], { cwd });
    expect(code).toBe(3);
    expect(stdout).toMatch(/adam, seed 1 .* differs\nsgd, seed 1 .* agrees/);
    expect(stderr).toBe('run/adam-s1: the results differ from the reported ones\n');
  });
});

describe('own files', () => {
  it('are evaluated and predicted as the images of the data set are', async () => {
    const cwd = temporaryFolder();
    await trainTiny(join(cwd, 'run'), lenet, 'dataset.preprocessing=standardize');
    const { images, labels, count } = await testImages();
    writeFileSync(join(cwd, 'x.npy'), npy('|u1', [count, 28, 28], images as Uint8Array));
    writeFileSync(join(cwd, 'y.npy'), npy('|u1', [count], labels as Uint8Array));
    mkdirSync(join(cwd, 'png'));
    const data = new Uint8Array(images.subarray(0, 784));
    const png = encode({ width: 28, height: 28, data, channels: 1, depth: 8 });
    writeFileSync(join(cwd, 'a.png'), png);
    writeFileSync(join(cwd, 'png', 'b.png'), png);
    const { json, logits } = readAsStranger(join(cwd, 'run', 'adam-s1'));
    const evaluated = await fln(['evaluate', 'run/adam-s1', 'x.npy', 'y.npy', '--json'], { cwd });
    const [found] = JSON.parse(evaluated.stdout).runs;
    expect(found.accuracy).toBe(json.results.test.accuracy);
    expect(found.loss).toBeCloseTo(json.results.test.loss, 5);

    const files = ['x.npy', 'a.png', 'png'];
    const predicted = await fln(
      ['predict', 'run', '--label', 'adam', '--backend', 'wasm', '--out', 'p.csv', ...files],
      { cwd },
    );
    expect(predicted).toEqual({ code: 0, stdout: '', stderr: `p.csv: ${count + 2} rows\n` });
    const text = readFileSync(join(cwd, 'p.csv'), 'utf8');
    const rows: Record<string, string>[] = parse(text, { columns: true });
    const names = rows.map(({ file, row }) => `${file} ${row}`);
    expect(names.slice(count - 1)).toEqual(['x.npy 99', 'a.png 0', 'png/b.png 0']);
    for (const [row, line] of rows.slice(0, 10).entries()) {
      const expected = softmax(logits(imageOf({ images, count }, row, [28, 28, 1])));
      expect(Number(line.label)).toBe(argMax(expected));
      for (const [k, p] of expected.entries()) expect(Number(line[`p_${k}`])).toBeCloseTo(p, 5);
    }
    const { file: _, row: __, ...first } = rows[0];
    expect(rows.at(-1)).toMatchObject(first);
  });

  it('of another kind are errors with the file and what is expected', async () => {
    const cwd = temporaryFolder();
    await trainTiny(join(cwd, 'run'), 'loss=mse', 'methods.sgd.learningRate=0.001');
    const refusal = async (...args: string[]) => {
      const { code, stdout, stderr } = await fln(args, { cwd });
      return { code, stdout, stderr: stderr.trim() };
    };
    writeFileSync(join(cwd, 'two.csv'), 'a,b\n1,2\n');
    const csv = await refusal('predict', 'run', '--best', 'two.csv');
    expect(csv).toEqual({
      code: 5,
      stdout: '',
      stderr:
        'two.csv has rows of 2 numbers; the model was trained on images of 28x28 with 1 channel.',
    });
    expect(await refusal('predict', 'run', 'two.csv')).toMatchObject({ code: 2 });
    expect((await refusal('predict', 'run', '--best', 'no.png')).stderr).toMatch(
      /^no\.png: no such file/,
    );
    writeFileSync(join(cwd, 'x.npy'), npy('|u1', [1, 28, 28], new Uint8Array(784)));
    writeFileSync(join(cwd, 'y.npy'), npy('|u1', [1], Uint8Array.of(12)));
    expect((await refusal('evaluate', 'run', 'x.npy')).stderr).toContain('x.npy has no labels');
    expect((await refusal('evaluate', 'run', 'x.npy', 'y.npy')).stderr).toContain(
      'x.npy: the label of row 0 (from 0) is "12"',
    );
    expect((await refusal('evaluate', 'run', '--split', 'validation')).stderr).toContain(
      'synthetic-digits has no validation split here',
    );
    expect(
      (await refusal('evaluate', 'run', 'x.npy', 'y.npy', '--split', 'train')).stderr,
    ).toContain('leave out --dataset and --split');
    const { stdout } = await refusal('predict', 'run', '--best', '--backend', 'wasm', 'x.npy');
    expect(stdout).toMatch(/^file,row,label,class,output_0,.*,output_9\nx\.npy,0,\d,\d,/);
  });
});
