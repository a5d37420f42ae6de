import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatSweep, sweepJson } from '../../src/cli/render/sweep.js';
import { commonColumns } from '../../src/runs/metrics.js';
import { type Manifest, writeManifest } from '../../src/sweep/manifest.js';
import { parameterAxis } from '../../src/sweep/report/sweep-view.js';
import { writeSweepReport } from '../../src/sweep/report/write-sweep-report.js';
import { writeState } from '../../src/sweep/state.js';
import { ranked, sweepStatus } from '../../src/sweep/status.js';
import { fln } from '../cli/fln.js';
import { temporaryFolder } from '../experiment/tiny.js';

type Overrides = Manifest['trials'][number]['overrides'];

/** A sweep whose trials have these settings and validation accuracies; those without one failed. */
function sweepOf(
  trials: readonly (readonly [Overrides, number?])[],
  retired: readonly number[] = [],
): string {
  const directory = temporaryFolder();
  const id = (i: number) => i.toString(16).padStart(12, '0');
  writeManifest(directory, {
    version: 1,
    name: 'search <b>',
    config: 'base.yaml',
    search: 'random',
    seed: 1,
    metric: { column: 'validation_accuracy', goal: 'maximize' },
    parameters: Object.keys(trials[0][0]),
    trials: trials.map(([overrides], i) => ({
      id: id(i),
      overrides,
      addedAt: '',
      retired: retired.includes(i),
    })),
  });
  for (const [i, [, accuracy]] of trials.entries()) {
    const results = [{ method: 'adam', seeds: 2, validation_accuracy: accuracy, wall_s: 3 }];
    const end =
      accuracy === undefined
        ? { status: 'FAILED' as const, error: 'the loss became NaN <script>' }
        : { status: 'COMPLETED' as const, results };
    writeState(directory, { id: id(i), attempts: 1, ...end });
  }
  return directory;
}

/** A completed run of one batch with this validation accuracy. */
function writeRun(directory: string, accuracy: number): void {
  mkdirSync(join(directory, 'adam-s1'), { recursive: true });
  const run = { label: 'adam', seed: 1, status: 'COMPLETED' };
  writeFileSync(
    join(directory, 'run.json'),
    JSON.stringify({ experiment: { name: 'x' }, runs: [run] }),
  );
  const head = [...commonColumns, 'validation_accuracy'];
  const row: Record<string, unknown> = { method: 'adam', seed: 1, batch: 1, epoch: 1, wall_s: 1 };
  row.validation_accuracy = accuracy;
  const csv = [head, head.map((name) => row[name] ?? '')].map((line) => line.join(',')).join('\n');
  writeFileSync(join(directory, 'adam-s1', 'metrics.csv'), `${csv}\n`);
}

const texts = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]+)</g)].map(([, text]) => text);
const read = (directory: string, name: string) => readFileSync(join(directory, name), 'utf8');

describe('the axis of a parameter', () => {
  it('is logarithmic, linear or in order of appearance, as the values ask for', () => {
    const log = parameterAxis('x', 'x', [1e-4, 1e-2, 1]);
    expect(log.position(1e-2)).toBeCloseTo(0.5, 12);
    const linear = parameterAxis('x', 'x', [2, 4, 3]);
    expect([2, 3, 4].map(linear.position)).toEqual([0, 0.5, 1]);
    expect(linear.ticks.map(({ label }) => label).sort()).toEqual(['2', '3', '4']);
    const words = parameterAxis('x', 'x', ['he', 'xavier', 'he', [1, 2]]);
    expect(words.ticks.map(({ label }) => label)).toEqual(['he', 'xavier', '[1,2]']);
    expect(words.position('lecun')).toBeUndefined();
    expect(parameterAxis('x', 'x', [7]).position(7)).toBe(0.5);
  });

  it('has few ticks that do not overlap', () => {
    const values = Array.from({ length: 50 }, (_, i) => 1 + i * i);
    const places = parameterAxis('x', 'x', values)
      .ticks.map(({ at }) => at)
      .sort((a, b) => a - b);
    expect(places.length).toBeLessThanOrEqual(8);
    expect(places.every((at, i) => i === 0 || at - places[i - 1] >= 0.05)).toBe(true);
    expect([places[0], places.at(-1)]).toEqual([0, 1]);
  });
});

describe('the report of a sweep', () => {
  it('has a heat map of two parameters, with the best cell marked', async () => {
    const cells = [0.1, 0.2].flatMap((a) =>
      [1, 2, 3].map((b) => [{ 'methods.adam.a': a, b }, a + b / 10] as const),
    );
    const directory = sweepOf(cells);
    const files = await writeSweepReport(directory);
    expect(files).toEqual(
      ['figure.svg', 'figure.png', 'report.html'].map((name) => join(directory, name)),
    );
    const labels = texts(read(directory, 'figure.svg'));
    for (const [, value] of cells) expect(labels).toContain(`${(100 * value).toFixed(2)} %`);
    expect(labels).toEqual(expect.arrayContaining(['a', 'b', '0.1', '3']));
    const svg = read(directory, 'figure.svg');
    const lefts = (pattern: RegExp) => [...svg.matchAll(pattern)].map(([, x]) => Number(x));
    const [best, ...others] = lefts(/d="M([\d.]+),[^"]*"[^>]*stroke="#D55E00"/g);
    expect(others).toEqual([]);
    // The largest b is on the right.
    const cellsFrom = lefts(/d="M([\d.]+),[^"]*"[^>]*stroke="#ffffff"/g);
    expect(cellsFrom).toHaveLength(6);
    expect(best).toBe(Math.max(...cellsFrom));
  });

  it('has parallel coordinates of more, a row a trial, and names what failed', async () => {
    const directory = sweepOf([
      [{ a: 0.1, b: 1, c: 'he' }, 0.8],
      [{ a: 0.2, b: 5, c: 'xavier' }, 0.9],
      [{ a: 0.3, b: 2, c: 'he' }],
    ]);
    mkdirSync(join(directory, 'trials', '000000000001'), { recursive: true });
    writeFileSync(join(directory, 'trials', '000000000001', 'report.html'), '');
    await writeSweepReport(directory);
    const labels = texts(read(directory, 'figure.svg'));
    expect(labels).toEqual(
      expect.arrayContaining([
        'a',
        'b',
        'c',
        'validation accuracy',
        'xavier',
        '80.00 %',
        '90.00 %',
      ]),
    );
    const html = read(directory, 'report.html');
    expect(html.match(/<tr/g)).toHaveLength(4);
    expect(html).toMatch(/<tr class="best"><td[^>]*><a href="trials\/000000000001\/report.html">/);
    expect(html).toContain('<li>000000000002: the loss became NaN &#60;script&#62;</li>');
    expect(html).toContain('<h1>search &#60;b&#62;</h1>');
    expect(html).toContain(
      'random search of 3 trials · highest validation accuracy in orange · 1 failed',
    );
  });

  it('ranks alike in table, figure and fln ls --best, and marks retired trials', async () => {
    const values = [0.8, 0.95, 0.9, 0.7];
    const trials = values.map((value, i) => [{ a: 1 + (i % 2), b: i < 2 ? 1 : 2 }, value] as const);
    // The largest value is that of a trial that the sweep file no longer has.
    const directory = sweepOf(trials, [1]);
    const id = (i: number) => i.toString(16).padStart(12, '0');
    for (const i of values.keys()) {
      // Of the runs themselves, another one would be the first.
      writeRun(join(directory, 'trials', id(i)), i === 3 ? 0.99 : 0.5);
    }
    const order = [2, 0, 3, 1];
    const status = sweepStatus(directory)!;
    expect(ranked(status).map(({ trial }) => trial.id)).toEqual(order.map(id));
    expect(sweepJson(directory, status).best).toBe(id(2));
    const table = formatSweep(directory, status);
    expect(table).toMatch(/^ *1 {2}0{11}2 {2}a=1 b=2 +90\.00 %$/m);
    expect(table).toMatch(/0{11}1 {2}a=2 b=1 \(retired\) +95\.00 %$/m);
    expect(table).toContain('3 trials: ');
    expect(table).toContain('; 1 retired, which the sweep file no longer has');

    await writeSweepReport(directory);
    const html = read(directory, 'report.html');
    expect(html).toMatch(/<tr class="best"><td[^>]*>0{11}2</);
    expect(html).toContain('completed, retired');
    const labels = texts(read(directory, 'figure.svg'));
    expect(labels).toEqual(expect.arrayContaining(['90.00 %', '80.00 %', '95.00 % †']));
    expect(labels.join()).toContain('random search of 3 trials');
    expect(labels.join()).toContain('†: retired, no longer in the sweep file');

    const { stdout } = await fln(['ls', directory, '--best', '--json'], { cwd: directory });
    const runs: { directory: string; retired?: boolean }[] = JSON.parse(stdout).runs;
    expect(runs.map((run) => basename(run.directory))).toEqual(order.map(id));
    expect(runs.map((run) => run.retired)).toEqual([undefined, undefined, undefined, true]);
  });

  it('draws retired trials dashed among parallel coordinates, never as the best', async () => {
    const trials = [0.8, 0.95, 0.9].map(
      (value, i) => [{ a: i, b: i * i, c: 2 * i }, value] as const,
    );
    const directory = sweepOf(trials, [1]);
    await writeSweepReport(directory);
    const svg = read(directory, 'figure.svg');
    expect(svg.match(/stroke-dasharray="5,4"/g)).toHaveLength(1);
    expect(texts(svg).join()).toContain('dashed: retired, no longer in the sweep file');
    const none = sweepOf(trials);
    await writeSweepReport(none);
    expect(read(none, 'figure.svg')).not.toContain('stroke-dasharray="5,4"');
  });

  it('is there before a trial has completed, and drawn by fln plot', async () => {
    const directory = sweepOf([[{ a: 1 }], [{ a: 2 }]]);
    const { code, stdout } = await fln(['plot', directory], { cwd: directory });
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${join(directory, 'report.html')}\n` });
    expect(read(directory, 'report.html')).toContain('no trial has completed');
  });

  it('draws one parameter, equal values and a single trial', async () => {
    for (const trials of [
      [
        [{ a: 1 }, 0.5],
        [{ a: 2 }, 0.5],
      ],
      [[{ a: 1 }, 0.5]],
      [
        [{ a: 1, b: 2 }, 0.5],
        [{ a: 1, b: 2 }, 0.6],
      ],
    ] as const) {
      const directory = sweepOf(trials);
      await writeSweepReport(directory);
      expect(read(directory, 'figure.svg')).not.toMatch(/NaN|undefined|Infinity/);
    }
  });
});
