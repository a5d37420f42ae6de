import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { runExperiment } from '../../src/experiment/run.js';
import { drawActivations, drawFilters } from '../../src/report/html/images.js';
import { drawLayers } from '../../src/report/html/layers.js';
import { drawingHtml } from '../../src/report/html/page.js';
import { reportHtml } from '../../src/report/html/run-report.js';
import { writeReport } from '../../src/report/write-report.js';
import { layerColumns } from '../../src/runs/layers.js';
import { loadRunDirectory, loadRuns } from '../../src/runs/run-directory.js';
import { temporaryFolder, tinyExperiment } from '../experiment/tiny.js';
import { mnistMethods, syntheticCsv, writeRuns } from './synthetic.js';

const root = mkdtempSync(join(tmpdir(), 'fln-report-'));
afterAll(() => rmSync(root, { recursive: true }));

let counter = 0;
let directory: string;
beforeEach(() => {
  const methods = mnistMethods.slice(0, 2);
  directory = writeRuns(join(root, `run-${counter++}`), methods, [1, 2], { batches: 40 });
});

const read = (name: string) => readFileSync(join(directory, name), 'utf8');
const put = (name: string, text: string) => writeFileSync(join(directory, name), text);
const csv = (label: string) => join(directory, label, 'metrics.csv');

const record = {
  program: { name: 'fenchel-lifted-networks', version: '0.1.0' },
  experiment: {
    name: 'mnist-mlp',
    hash: 'abc',
    dataset: 'mnist',
    network: { widths: [784, 300, 10], activations: ['relu'] },
  },
  git: { commit: '0123abc', dirty: false },
  cpu: '<b>Some & CPU</b>',
  backend: { name: 'wasm', version: '4.22.0', detail: 'SIMD' },
  runs: [
    { label: 'fenchel-exact', seed: 1, status: 'COMPLETED' },
    { label: 'fenchel', seed: 1, status: 'COMPLETED' },
    { label: 'fenchel', seed: 2, status: 'FAILED', error: 'the loss is NaN <script>x</script>' },
    { label: 'sgd', seed: 1, status: 'FAILED', error: 'never began' },
    { label: 'fenchel-exact', seed: 2, status: 'COMPLETED' },
  ],
};

describe('writeReport', () => {
  it('marks a method without a complete run, and names a failed run once', async () => {
    const error = 'fenchel, seed 1: the loss exploded';
    const failed = [1, 2].map((seed) => ({ label: 'fenchel', seed, status: 'FAILED', error }));
    const complete = record.runs.filter(({ label }) => label === 'fenchel-exact');
    put('run.json', JSON.stringify({ ...record, runs: [...failed, ...complete] }));
    await writeReport(directory);
    const labels = [...read('figure.svg').matchAll(/>(fenchel[^<]* %[^<]*)</g)].map(([, x]) => x);
    expect(labels.filter((label) => label.endsWith(', unfinished'))).toHaveLength(1);
    expect(labels.find((label) => label.endsWith(', unfinished'))).toMatch(/^fenchel \d/);
    expect(read('report.html')).toContain(
      '<li>fenchel, seed 1: failed after batch 40 – the loss exploded</li>',
    );
  });

  it('writes the five files of a run directory from CSVs alone, and leaves nothing else', async () => {
    const paths = await writeReport(directory);
    const names = ['figure.svg', 'figure.png', 'report.html', 'summary.csv', 'summary.json'];
    expect(paths).toEqual(names.map((name) => join(directory, name)));
    expect(readdirSync(directory)).toHaveLength(4 + 5);
    expect(read('figure.svg')).toMatch(/^<svg/);
    expect(readFileSync(paths[1]).subarray(1, 4).toString()).toBe('PNG');
    expect(JSON.parse(read('summary.json')).experiment).toBe(basename(directory));
    expect(parse(read('summary.csv'), { columns: true })).toHaveLength(4);
  });

  it('compares the methods with the first where there are several seeds', async () => {
    await writeReport(directory);
    const html = read('report.html');
    expect(html).toContain('<h2>Paired differences</h2>');
    expect(html).toMatch(
      /<td class="words">fenchel-exact<\/td><td[^>]*>[^<]+<\/td><td data-value="2">2 \(n &#60; 5\)<\/td><td data-value="-?[\d.e-]+">/,
    );
    rmSync(join(directory, 'fenchel-s2'), { recursive: true });
    await writeReport(directory);
    expect(read('report.html')).not.toContain('Paired differences');
  });

  it('writes the same bytes when called again', async () => {
    const paths = await writeReport(directory);
    const before = paths.map((path) => readFileSync(path, 'latin1'));
    await writeReport(directory);
    expect(paths.every((path, i) => readFileSync(path, 'latin1') === before[i])).toBe(true);
  });

  it('takes name, order, status and provenance from run.json', async () => {
    put('run.json', JSON.stringify(record));
    put('config.yaml', 'name: mnist-mlp # <&>\n');
    await writeReport(directory);
    const rows: Record<string, string>[] = parse(read('summary.csv'), { columns: true });
    expect(rows.map(({ method, seed, status }) => `${method}-s${seed} ${status}`)).toEqual([
      'fenchel-exact-s1 COMPLETED',
      'fenchel-exact-s2 COMPLETED',
      'fenchel-s1 COMPLETED',
      'fenchel-s2 FAILED',
      'sgd-s1 FAILED',
    ]);
    const html = read('report.html');
    expect(html).toContain('<h1>mnist-mlp</h1>');
    // The method that never began is not counted.
    expect(html).toContain('mnist · 784-300-10, relu · wasm backend · mean and range of 2 seeds');
    expect(html).toContain(
      'fenchel, seed 2: failed after batch 40 – the loss is NaN &#60;script&#62;',
    );
    expect(html).toContain('sgd, seed 1: failed – never began');
    expect(html).toContain('<dt>git.commit</dt><dd>0123abc</dd>');
    expect(html).toContain('&#60;b&#62;Some &#38; CPU&#60;/b&#62;');
    expect(html).toContain('name: mnist-mlp # &#60;&#38;&#62;');
    expect(html).toMatch(/<td[^>]*>1 of 2<\/td>/);
  });

  it('makes a page that requests nothing and runs nothing', async () => {
    put('run.json', JSON.stringify(record));
    await writeReport(directory);
    const html = read('report.html');
    expect(html).not.toMatch(/<link|<img|<iframe|<[^>]+ (src|href)=|@import|url\((?!#)/i);
    expect(html.match(/<script[ >]/g)).toHaveLength(4); // the data, uPlot, charts and tables
    expect(html).not.toContain('<b>Some');
    expect(html.match(/<svg/g)).toHaveLength(1);
  });

  it('writes a report without a figure where no run got anywhere', async () => {
    rmSync(directory, { recursive: true });
    mkdirSync(directory);
    put('run.json', JSON.stringify({ ...record, runs: [record.runs[3]] }));
    const paths = await writeReport(directory);
    expect(paths.map((path) => basename(path))).toEqual([
      'report.html',
      'summary.csv',
      'summary.json',
    ]);
    expect(read('report.html')).toContain('There is no figure');
    expect(read('report.html')).toContain('never began');
  });
});

describe('run directories', () => {
  it('with one broken run still give the others', () => {
    appendFileSync(csv('fenchel-s1'), 'rubbish\n');
    const { runs, problems } = loadRunDirectory(directory);
    expect(runs.map(({ label, seed }) => `${label}${seed}`)).toEqual([
      'fenchel2',
      'fenchel-exact1',
      'fenchel-exact2',
    ]);
    expect(problems).toHaveLength(1);
    expect(problems[0].message).toBe(`${csv('fenchel-s1')}:42: 1 fields, but the header names 12`);
  });

  it.each([
    ['torn', '{"experiment": {"na', /run.json: not valid JSON/],
    ['a list', '[]', /run.json: not a JSON object/],
  ])('with a run.json that is %s still give their runs', (_, text, message) => {
    put('run.json', text);
    const { runs, problems } = loadRunDirectory(directory);
    expect(runs).toHaveLength(4);
    expect(problems.map((problem) => problem.message)).toEqual([expect.stringMatching(message)]);
  });

  it('may have a run.json of wrong types everywhere', () => {
    const wrong = { experiment: 3, backend: [], dataset: null, runs: [null, { label: 1 }, 'x'] };
    put('run.json', JSON.stringify(wrong));
    const { runs, problems } = loadRunDirectory(directory);
    expect([runs.length, problems.length]).toEqual([4, 0]);
  });

  it('without run.json take a run that is behind its seeds for interrupted', () => {
    const text = syntheticCsv(mnistMethods[0], 2, { batches: 25 });
    writeFileSync(csv('fenchel-s2'), `${text}fenchel,2,26`);
    const { runs, problems } = loadRunDirectory(directory);
    const statuses = Object.fromEntries(runs.map((r) => [`${r.label}-s${r.seed}`, r.status]));
    expect(statuses).toEqual({
      'fenchel-s1': 'COMPLETED',
      'fenchel-s2': 'INTERRUPTED',
      'fenchel-exact-s1': 'COMPLETED',
      'fenchel-exact-s2': 'COMPLETED',
    });
    expect(problems[0].message).toMatch(/metrics.csv:27: the last line is incomplete/);
  });

  it('are found up to two levels below a path, each once', () => {
    const found = loadRuns([root, directory]).directories.map(({ path }) => path);
    expect(found).toContain(directory);
    expect(new Set(found).size).toBe(found.length);
    expect(loadRuns([directory, `${directory}/.`]).directories).toHaveLength(1);
  });

  it('that are none become problems with a way out', () => {
    const { runs, problems } = loadRuns([join(root, 'absent'), join(directory, 'fenchel-s1')]);
    expect(runs).toEqual([]);
    expect(problems[0].message).toMatch(/absent: there is no such directory/);
    expect(problems[1].message).toContain(`give its run directory, ${directory}`);
  });
});

it('escapes whatever a page is given', () => {
  const evil = `"><img src=x onerror='alert(1)'>`;
  const html = reportHtml({
    title: evil,
    subtitle: evil,
    images: '',
    problems: [evil],
    summaries: [
      {
        method: evil,
        seed: 1,
        status: 'FAILED',
        batches: 0,
        wallSeconds: 0,
        secondsToAccuracy: {},
        error: evil,
      },
    ],
    sources: [{ name: evil, provenance: { [evil]: { [evil]: [evil] } }, config: evil }],
  });
  expect(html).not.toContain('<img');
  expect(html.match(/&#60;img/g)!.length).toBeGreaterThanOrEqual(9);
});

it('draws the layers of the first seed that has some, thinned, and escapes its label', () => {
  const rows = 2000;
  const column = (value: (row: number) => number) =>
    Float64Array.from({ length: rows }, (_, i) => value(i));
  const nothing = column(() => Number.NaN);
  const columns = {
    ...Object.fromEntries(layerColumns.map((name) => [name, nothing])),
    batch: column((row) => 1 + Math.floor(row / 2)),
    layer: column((row) => 1 + (row % 2)),
    penalty: column((row) => (row % 2 === 0 ? row : Number.NaN)),
  };
  const label = '<img src=x>';
  const run = { label, directory: 'd', experiment: 'e', status: 'COMPLETED' as const };
  const metrics = { method: label, seed: 1, rows: 0, columns: {} };
  const layers = { method: label, seed: 2, rows, columns };
  const drawn = drawLayers([
    { ...run, seed: 2, metrics, layers },
    { ...run, seed: 1, metrics },
  ])!;
  const html = drawingHtml(drawn);
  expect(html).toContain('<h3>&#60;img src=x&#62;, seed 2</h3>');
  expect(html.match(/<h4>/g)).toHaveLength(1);
  const [{ batches, panels }] = drawn.data.methods;
  expect(batches.length).toBeLessThanOrEqual(401);
  expect(batches.at(-1)).toBe(1000);
  // Zero has no place on a logarithmic scale.
  expect(panels[0].values[0].slice(0, 2)).toEqual([null, 2 * (batches[1] - 1)]);
  expect(panels[0].values[1].every((value: unknown) => value === null)).toBe(true);
  expect(drawLayers([{ ...run, seed: 1, metrics }])).toBeUndefined();
});

it('draws the filters of the first layer, channels first, scaled one by one', () => {
  const layer = (input: [number, number, number], units: number) =>
    ({ input, output: [1, 1, units], pool: 1 }) as const;
  const stored = Float32Array.from([1, 0, -1, 0.5, 0, 2, 0, -2]);
  const grey = drawFilters({
    layers: [layer([2, 2, 1], 2)],
    weights: [{ stored, bias: new Float32Array(2) }],
  });
  const { width, height, channels, data } = grey.picture;
  expect([width, height, channels, grey.shown, grey.all]).toEqual([5, 2, 1, 2, 2]);
  expect([...data]).toEqual([255, 128, 255, 128, 255, 1, 192, 255, 128, 1]);
  const color = drawFilters({
    layers: [{ ...layer([4, 4, 3], 40), window: { kernel: 1, stride: 1, padding: 0 } }],
    weights: [
      {
        stored: Float32Array.from({ length: 120 }, (_, i) => (i % 3) - 1),
        bias: new Float32Array(40),
      },
    ],
  });
  expect(color.shown).toBe(32);
  expect([...color.picture.data.subarray(0, 6)]).toEqual([1, 128, 255, 255, 255, 255]);
});

it('has the filters of the models in a run directory, and names a model that is damaged', async () => {
  const folder = temporaryFolder();
  await runExperiment(tinyExperiment('epochs=1'), { outDir: folder });
  const page = () => readFileSync(join(folder, 'report.html'), 'utf8');
  // For each of two methods the filters, the inputs and one hidden layer.
  expect(page().match(/<img class="pixels" src="data:image\/png;base64,/g)).toHaveLength(6);
  writeFileSync(join(folder, 'adam-s1', 'model.safetensors'), '');
  await writeReport(folder);
  expect(page().match(/<img class="pixels"/g)).toHaveLength(5);
  expect(page()).toContain('model.safetensors cannot be used');
  rmSync(join(folder, 'adam-s1', 'model.json'));
  rmSync(join(folder, 'sgd-s1', 'model.json'));
  await writeReport(folder);
  expect(page()).not.toContain('First-layer filters');
  writeFileSync(join(folder, 'adam-s1', 'activations.safetensors'), 'x');
  await writeReport(folder);
  expect(page()).toContain('activations.safetensors cannot be used');
  expect(page().match(/<img class="pixels"/g)).toHaveLength(2);
});

it('draws activations, a column for each image and a row for each channel', () => {
  const inputs = Float32Array.of(0, 2, 2, 0);
  const maps = Float32Array.of(1, -2, 0, 2, 2, 0, 1, 0);
  const flat = Float32Array.of(1, 0, -1, 0, 1, 1);
  const layers = [
    { shape: [1, 2, 1], values: inputs },
    { shape: [1, 2, 2], values: maps },
    { shape: [1, 1, 3], values: flat },
  ] as const;
  const drawn = (l: number) => drawActivations({ count: 2, layers }, l).picture;
  expect(drawn(0)).toMatchObject({ width: 5, height: 1, channels: 1 });
  expect([...drawn(0).data]).toEqual([128, 255, 255, 255, 128]);
  // Channels last: the first map of the first image is 1, 0, of the second 2, 1.
  expect(drawn(1)).toMatchObject({ width: 5, height: 3 });
  expect([...drawn(1).data.subarray(0, 5)]).toEqual([192, 128, 255, 255, 192]);
  expect([...drawn(1).data.subarray(10)]).toEqual([1, 255, 255, 128, 128]);
  // Three units in a square of two by two.
  expect(drawn(2)).toMatchObject({ width: 5, height: 2 });
  expect([...drawn(2).data]).toEqual([255, 128, 255, 128, 255, 1, 255, 255, 255, 255]);
});
