import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { parse } from 'csv-parse/sync';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fln } from '../cli/fln.js';
import { decode } from './pixels.js';
import { mnistMethods, writeRuns } from './synthetic.js';

const root = mkdtempSync(join(tmpdir(), 'fln-plot-options-'));
const read = (path: string) => readFileSync(join(root, path));
const plot = (...args: string[]) => fln(['plot', ...args], { cwd: root });

/** A metrics.csv of four batches in two epochs. */
const table = (label: string, seed: number, losses: readonly (number | string)[]) =>
  `method,seed,batch,epoch,wall_s,train_loss,train_accuracy,test_loss,test_accuracy,objective,residual,step_ms,gap
${losses
  .map((loss, i) => {
    const epoch = Math.ceil((i + 1) / 2);
    return `${label},${seed},${i + 1},${epoch},${(i + 1) / 10},${loss},,${loss},0.${5 + i},,,100,`;
  })
  .join('\n')}
`;

function write(directory: string, runs: Record<string, readonly (number | string)[]>): void {
  for (const [name, losses] of Object.entries(runs)) {
    const [, label, seed] = /^(.+)-s(\d+)$/.exec(name)!;
    mkdirSync(join(root, directory, name), { recursive: true });
    writeFileSync(join(root, directory, name, 'metrics.csv'), table(label, Number(seed), losses));
  }
}

const config = (targetStep: number, more = '') => `name: e
seeds: [1]
${more}methods:
  - { name: fenchel, label: fenchel, targetStep: ${targetStep} }
`;

beforeAll(() => {
  write('r', { 'a-s1': [4, 2, 1, 0.5], 'a-s2': [6, 4, 3, 1.5], 'sgd-s1': [8, 4, 0, -1] });
  writeRuns(join(root, 'many'), mnistMethods, [1, 2], { batches: 60 });
});
afterAll(() => rmSync(root, { recursive: true }));

interface Row {
  curve: string;
  batch: string;
  epoch: string;
  mean: string;
  low: string;
  high: string;
}
const rows = (path: string): Row[] => parse(read(path), { columns: true });
const drawn = (path: string, curve: string) =>
  rows(path)
    .filter((row) => row.curve === curve)
    .map(({ batch, epoch, mean, low, high }) => [batch, epoch, mean, low, high].map(Number));

describe('the drawn points as CSV', () => {
  it('have mean and range of a column, by batch and epoch', async () => {
    const { code, stdout } = await plot('r', '--y', 'test_loss', '--only', 'a', '--out', 'y.csv');
    expect([code, stdout]).toEqual([0, 'y.csv\n']);
    expect(read('y.csv').toString()).toMatch(
      /^curve,y,kind,seeds,batch,epoch,seconds,mean,low,high\na,test_loss,mean,2,1,0.5,0.1,5,4,6\n/,
    );
    expect(drawn('y.csv', 'a')).toEqual([
      [1, 0.5, 5, 4, 6],
      [2, 1, 3, 2, 4],
      [3, 1.5, 2, 1, 3],
      [4, 2, 1, 0.5, 1.5],
    ]);
    expect(rows('y.csv').some(({ curve }) => curve === 'sgd')).toBe(false);
  });

  it('are moving averages with --smooth, and have 95 % intervals with --band interval', async () => {
    await plot('r', '--y', 'test_loss', '--smooth', '2', '--band', 'interval', '--out', 's.csv');
    const points = drawn('s.csv', 'a');
    // Seeds 4, 3, 1.5, 0.75 and 6, 5, 3.5, 2.25; half width t(1) / sqrt(2) times the deviation sqrt(2).
    expect(points.map(([, , mean]) => mean)).toEqual([5, 4, 2.5, 1.5]);
    expect(points[1][3]).toBeCloseTo(4 - 12.7062, 3);
    expect(points[1][4]).toBeCloseTo(4 + 12.7062, 3);
  });

  it('are positive on a logarithmic axis, and the rest is counted', async () => {
    const { stderr } = await plot('r', '--y', 'test_loss', '--log', '--out', 'l.csv');
    expect(stderr).toBe(
      'warning: 2 values that are not positive are left out of the logarithmic axis\n',
    );
    expect(drawn('l.csv', 'sgd').map(([batch]) => batch)).toEqual([1, 2]);
  });
});

describe('a figure for paper', () => {
  it('has the given size in SVG, PNG and PDF, one panel and no title', async () => {
    const flags = ['--panel', 'epochs', '--width', '84mm', '--height', '60mm', '--no-title'];
    const outs = ['--out', 'p/a.svg', '--out', 'p/a.png', '--out', 'p/a.pdf'];
    const { code, stdout } = await plot('r', ...flags, ...outs);
    expect([code, stdout]).toEqual([0, 'p/a.svg\np/a.png\np/a.pdf\n']);
    const svg = read('p/a.svg').toString();
    expect(svg).toContain('width="84mm" height="60mm" viewBox="0 0 387 276.429"');
    expect(svg.match(/>epochs</g)).toHaveLength(1);
    expect(svg).not.toMatch(/>(batches|seconds|r)</);
    // One size of text: 13 of 387 pixels are 8 of 238 points.
    expect(new Set(svg.match(/font-size="[^"]*"/g))).toEqual(new Set(['font-size="13px"']));
    const { width, height, ink } = decode(read('p/a.png'));
    expect([width, height]).toEqual([1984, 1417]);
    for (const edge of [ink(0, 0, width, 4), ink(width - 4, 0, width, height)]) {
      expect(edge).toBe(0);
    }
    const pdf = read('p/a.pdf').toString('latin1');
    const [, , pageWidth, pageHeight] = /MediaBox \[([^\]]*)\]/
      .exec(pdf)![1]
      .split(' ')
      .map(Number);
    expect(pageWidth).toBeCloseTo((84 / 25.4) * 72, 2);
    expect(pageHeight).toBeCloseTo((60 / 25.4) * 72, 0);
    await plot('r', ...flags, '--out', 'p/b.pdf');
    expect(read('p/b.pdf').equals(read('p/a.pdf'))).toBe(true);
  });

  it('has its text as text in embedded fonts in the PDF, and transparent bands', async () => {
    await plot('many', '--only', 'adam', '--width', '3.3in', '--out', 'm.pdf');
    const pdf = read('m.pdf').toString('latin1');
    expect(pdf).toMatch(/\/BaseFont \/[A-Z]{6}\+DejaVuSans\b/);
    expect(pdf).toMatch(/\/FontFile2/);
    expect(pdf).toMatch(/\/ToUnicode/);
    expect(pdf).toMatch(/\/ca 0\.18\b/);
    expect(pdf).not.toMatch(/\/Subtype \/Image|Helvetica/);
    expect(pageContent('m.pdf').match(/ T[jJ]$/gm)!.length).toBeGreaterThan(10);
  });

  it('has a legend where names are long, else names at the line ends', async () => {
    const flags = ['--panel', 'batches', '--width', '84mm', '--no-title'];
    await plot('many', ...flags, '--font-size', '12', '--out', 'long.svg');
    await plot('many', ...flags, '--only', 'adam,sgd', '--out', 'short.svg');
    const places = (path: string, label: string) =>
      [
        ...read(path)
          .toString()
          .matchAll(/translate\(([-\d.]+),[-\d.]+\)" [^>]*>([^<]+)</g),
      ]
        .filter(([, , text]) => text === label)
        .map(([, x]) => Number(x));
    expect(places('long.svg', 'adam')).toHaveLength(1);
    // From the panel's left edge.
    expect(places('long.svg', 'fenchel')[0]).toBeLessThan(0);
    expect(places('short.svg', 'adam')[0]).toBeGreaterThan(200);
  });

  it('is drawn in another font, by name or file', async () => {
    const serif = createRequire(import.meta.url).resolve('dejavu-fonts-ttf/ttf/DejaVuSerif.ttf');
    for (const font of ['dejavu serif', serif]) {
      const args = ['--only', 'sgd', '--width', '84mm', '--font', font];
      await plot('r', ...args, '--out', 'f.pdf', '--out', 'f.svg');
      expect(read('f.pdf').toString('latin1')).toMatch(/\+DejaVuSerif\b/);
      expect(read('f.svg').toString()).toContain(
        'font-family="DejaVu Serif, DejaVu Sans, Verdana, sans-serif"',
      );
    }
  });
});

it('is named after its column in the run directory, which keeps its own figure', async () => {
  const { stdout } = await plot('r', '--y', 'step_ms', '--panel', 'time', '--csv');
  const names = ['svg', 'png', 'csv'].map((end) => join('r', `figure-step_ms-time.${end}`));
  expect(stdout.trim().split('\n')).toEqual(names);
  expect(existsSync(join(root, 'r', 'figure.svg'))).toBe(false);
  expect(read(names[0]).toString()).toContain('>milliseconds per step<');
});

it('draws columns of layers.csv, a curve for each layer that has values', async () => {
  write('layered', { 'fenchel-s1': [3, 2, 1] });
  const head =
    'method,seed,batch,epoch,layer,penalty,constraint_violation,residual,active_share,weight_change,activation_change,target_change';
  const lines = [1, 3].flatMap((batch) =>
    [1, 2, 3].map(
      (layer) => `fenchel,1,${batch},1,${layer},${layer < 3 ? batch * layer : ''},,,,,,`,
    ),
  );
  writeFileSync(join(root, 'layered/fenchel-s1/layers.csv'), `${[head, ...lines].join('\n')}\n`);
  const all = await plot('layered', '--y', 'penalty', '--out', 'layers.csv');
  expect([all.code, all.stderr]).toEqual([0, '']);
  const curve = (layer: number) => drawn('layers.csv', `fenchel, layer ${layer}`);
  expect(curve(2).map(([batch, , mean]) => [batch, mean])).toEqual([
    [1, 2],
    [3, 6],
  ]);
  expect([curve(1).length, curve(3).length]).toEqual([2, 0]);
  for (const [flags, message] of [
    ['--y penalty --layer 7', '--layer: no run has a layer 7. Layers: 1, 2, 3'],
    ['--y penalty --layer 3', '--layer: "penalty" has no value in these layers. Layers: 1, 2, 3'],
    ['--layer 1', '--layer needs --y with a column of layers.csv. Columns with values: penalty'],
  ]) {
    expect((await plot('layered', ...flags.split(' '))).stderr).toContain(message);
  }
});

describe('an overlay', () => {
  it('names curves by the settings that differ, and prints them', async () => {
    for (const [name, step] of [
      ['x', 0.1],
      ['y', 0.5],
    ] as const) {
      write(name, { 'fenchel-s1': [3, 2, 1] });
      writeFileSync(join(root, name, 'config.yaml'), config(step));
    }
    const { stderr } = await plot('x', 'y', '--out', 'o.csv');
    expect([...new Set(rows('o.csv').map(({ curve }) => curve))]).toEqual([
      'fenchel (preconditioned, targetStep 0.1)',
      'fenchel (preconditioned, targetStep 0.5)',
    ]);
    expect(stderr).toBe(
      'The directories differ in:\n  methods.fenchel.targetStep  0.1 (x), 0.5 (y)\n',
    );
    const { stdout } = await plot('x', 'y', '--out', 'o.csv', '--json');
    expect(JSON.parse(stdout).differences).toEqual([
      {
        name: 'methods.fenchel.targetStep',
        values: [
          { directory: 'x', value: 0.1 },
          { directory: 'y', value: 0.5 },
        ],
      },
    ]);
  });

  it('names them by directory where nothing differs, or more than two settings', async () => {
    write('z', { 'fenchel-s1': [3, 2, 1] });
    writeFileSync(join(root, 'z', 'config.yaml'), config(0.1));
    const same = await plot('x', 'z', '--out', 'o.csv');
    expect(same.stderr).toBe('The directories have the same settings, backend and data.\n');
    expect(rows('o.csv')[0].curve).toBe('x/fenchel (preconditioned)');
    writeFileSync(
      join(root, 'z', 'config.yaml'),
      config(0.2, 'epochs: 2\nbatchSize: 9\nloss: mse\n'),
    );
    const other = await plot('x', 'z', '--out', 'o.csv');
    expect(other.stderr.split('\n')).toHaveLength(6);
    expect(rows('o.csv')[0].curve).toBe('x/fenchel (preconditioned)');
  });
});

it.each([
  [
    '--y tset_loss',
    '--y: "tset_loss" is no column of their metrics.csv; did you mean "test_loss"? Columns with values: wall_s, train_loss, test_loss, test_accuracy, step_ms',
  ],
  ['--y residual', '--y: "residual" is empty in all of these runs. Columns with values: wall_s,'],
  ['--only sgdd', '--only: no run is labelled "sgdd"; did you mean "sgd"? Labels: a, sgd'],
  ['--panel foo', '--panel: expected one of batches, time, epochs, got "foo"'],
  ['--smooth 0 --y test_loss', '--smooth: expected a positive integer, got "0"'],
  ['--smooth 5', '--smooth needs --y'],
  [
    '--width 84',
    '--width: expected a length with its unit, as in 84mm, 3.3in or 600px, of at most 1000mm, got "84"',
  ],
  ['--width 0mm', 'got "0mm"'],
  ['--width 2000mm', 'of at most 1000mm, got "2000mm"'],
  ['--width 20mm', '--width 20mm: text of 8 pt leaves no space for the curves. Give at least '],
  [
    '--width 84mm --height 10mm',
    '--height 10mm: text of 8 pt leaves no space for the curves. Give at least ',
  ],
  ['--height 60mm', '--height needs --width'],
  ['--font-size 8', '--font-size needs --width'],
  ['--width 84mm --font-size 2', '--font-size: expected a number of points from 4 to 72, got "2"'],
  [
    '--font DejaVuSerrif',
    '--font DejaVuSerrif: no installed font has this name; did you mean "DejaVu Serif"?',
  ],
  ['--font missing.ttf', '--font missing.ttf: there is no such file'],
  ['--font r/a-s1/metrics.ttf', 'there is no such file'],
  [
    '--y test_loss --out x.html',
    '--out x.html: the report has the figure of "fln plot" without options, and cannot be combined with --y',
  ],
  ['--log --no-log', '--log and --no-log are given together'],
  ['--title T --no-title', '--title and --no-title are given together'],
  ['--band wide', '--band: expected one of range, interval, none, got "wide"'],
])('refuses %s with the way out', async (flags, message) => {
  const { code, stdout, stderr } = await plot('r', ...flags.split(' '));
  expect(stderr).toContain(message);
  expect([code, stdout]).toEqual([2, '']);
});

/** The drawing commands of the only page. */
function pageContent(path: string): string {
  const bytes = read(path);
  const parts = bytes.toString('latin1').matchAll(/stream\n([\s\S]*?)\nendstream/g);
  return [...parts]
    .map(([, data]) => {
      try {
        return inflateSync(Buffer.from(data, 'latin1')).toString('latin1');
      } catch {
        return '';
      }
    })
    .find((text) => / T[jJ]$/m.test(text))!;
}
