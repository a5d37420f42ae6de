import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { pairedFormats } from '../../src/cli/render/paired-comparison.js';
import {
  comparePaired,
  compareWithFirst,
  type PairedOptions,
} from '../../src/report/paired-comparison.js';
import { commonColumns } from '../../src/runs/metrics.js';
import { loadRunDirectory } from '../../src/runs/run-directory.js';
import { estimateRatio, excludes, tQuantile } from '../../src/shared/statistics.js';
import { temporaryFolder } from '../experiment/tiny.js';
import { gateConfig, injectRuns } from '../verify/inject.js';

/** Test accuracies of one run: batch, training seconds, accuracy. */
type Curve = readonly (readonly [batch: number, seconds: number, accuracy: number])[];

interface Setup {
  /** By label, a curve for each seed from 1; undefined: the seed was not run. */
  readonly curves: Readonly<Record<string, readonly (Curve | undefined)[]>>;
  readonly config?: string;
  readonly column?: string;
}

function directoryOf({ curves, config, column = 'test_accuracy' }: Setup): string {
  const directory = temporaryFolder();
  if (config !== undefined) writeFileSync(join(directory, 'config.yaml'), config);
  const names = [...new Set<string>([...commonColumns, column])];
  for (const [label, seeds] of Object.entries(curves)) {
    for (const [i, curve] of seeds.entries()) {
      if (curve === undefined) continue;
      const folder = join(directory, `${label}-s${i + 1}`);
      mkdirSync(folder);
      const lines = curve.map(([batch, seconds, value]) => {
        const cells: Record<string, string | number> = {
          method: label,
          seed: i + 1,
          batch,
          epoch: 1,
          wall_s: seconds,
          [column]: value,
        };
        return names.map((name) => cells[name] ?? '').join();
      });
      writeFileSync(join(folder, 'metrics.csv'), `${[names.join(), ...lines].join('\n')}\n`);
    }
  }
  return directory;
}

function paired(paths: readonly string[], against: string, options?: PairedOptions) {
  return comparePaired(
    paths.map((path) => loadRunDirectory(path)),
    against,
    options,
  );
}

const textOf = ({ comparisons }: ReturnType<typeof paired>) => pairedFormats.table(comparisons);

/** Reaches 0.97 after `batches`, at a tenth of a second each, and ends with `final`. */
const reaching = (batches: number, final = 0.975): Curve => [
  [1, 0.1, 0.5],
  [batches - 10, batches / 10 - 1, 0.9],
  [batches, batches / 10, 0.97],
  [1000, 100, final],
];
const neverReaching: Curve = [
  [1, 0.1, 0.5],
  [1000, 100, 0.94],
];

describe('statistics of pairs', () => {
  it('give the geometric mean of ratios with the interval of their logarithms', () => {
    // Logarithms ln 4 + (-1, 0, 1) ln 2: standard deviation ln 2, t(2) = 4.302653.
    const { ratio, low, high } = estimateRatio([2, 4, 8])!;
    const factor = 2 ** (4.302653 / Math.sqrt(3));
    expect(ratio).toBeCloseTo(4, 12);
    expect(low).toBeCloseTo(4 / factor, 6);
    expect(high).toBeCloseTo(4 * factor, 4);
    expect(estimateRatio([3])).toEqual({ ratio: expect.closeTo(3, 12), n: 1 });
    expect(estimateRatio([])).toBeUndefined();
  });

  it.each([
    [{ mean: 1, halfWidth: 1, n: 3 }, 0, false],
    [{ mean: 1, halfWidth: 0.99, n: 3 }, 0, true],
    [{ mean: 0, halfWidth: 0, n: 3 }, 0, false],
    [{ mean: 1, n: 1 }, 0, undefined],
    [{ ratio: 2, low: 1, high: 4, n: 3 }, 1, false],
    [{ ratio: 0.5, low: 0.3, high: 0.9, n: 3 }, 1, true],
    [{ ratio: 2, n: 1 }, 1, undefined],
  ])('%j excludes %d: %s', (interval, value, expected) => {
    expect(excludes(interval, value)).toBe(expected);
  });
});

describe('methods paired by seed', () => {
  it('have the differences and ratios that are computed by hand', () => {
    // Differences -0.004, -0.005, -0.006: standard deviation 0.001. Ratios of batches 2, 4, 8.
    const directory = directoryOf({
      curves: {
        a: [reaching(100, 0.985), reaching(50, 0.984), reaching(25, 0.986)],
        b: [reaching(200, 0.981), reaching(200, 0.979), reaching(200, 0.98)],
      },
    });
    const result = paired([directory], 'a', { thresholds: [0.97] });
    const [{ methods, intervals, confidenceLevel }] = result.comparisons;
    const [{ difference, separated, ratios }] = methods;
    expect(difference!.mean).toBeCloseTo(-0.005, 12);
    expect(difference!.halfWidth).toBeCloseTo((4.302653 * 0.001) / Math.sqrt(3), 8);
    expect([separated, intervals, confidenceLevel]).toEqual([true, 3, 0.95]);
    const { batches, seconds } = ratios[0];
    const factor = 2 ** (4.302653 / Math.sqrt(3));
    expect(batches).toMatchObject({ ratio: expect.closeTo(4, 12), n: 3, separated: false });
    expect(batches!.low).toBeCloseTo(4 / factor, 6);
    expect(seconds!.high).toBeCloseTo(4 * factor, 4);
    const text = textOf(result);
    expect(text).toMatch(/^b +98\.00 ± 0\.25 % +3 \(n < 5\) +-0\.50 ± 0\.25$/m);
    expect(text).toMatch(
      /^97 % +b +3 of 3 \(n < 5\) +200 +not separated: 4\.00 \[0\.715, 22\.4\] +20 s +not separated: 4\.00 \[0\.715, 22\.4\]$/m,
    );
    expect(text).toContain('n < 5: so few pairs');
    // 25 batches, after an evaluation at 15.
    expect(text).toContain('up to 9 too large (at most 36 % of it)');
    expect(text).toContain('3 intervals, each of 95 % by itself and not simultaneous');
  });

  it('have wider intervals that hold simultaneously', () => {
    const curves = { a: [reaching(60), reaching(50)], b: [reaching(70, 0.98), reaching(80)] };
    const [{ methods, intervals, confidenceLevel }] = paired([directoryOf({ curves })], 'a', {
      simultaneous: true,
    }).comparisons;
    expect(intervals).toBe(5);
    expect(confidenceLevel).toBeCloseTo(0.99, 12);
    // Differences 0.005 and 0: their standard error is 0.0025.
    expect(methods[0].difference!.halfWidth).toBeCloseTo(tQuantile(1, 0.995) * 0.0025, 9);
  });

  it('are not separated where the runs are equal, and 5 pairs are not marked', () => {
    const same = Array.from({ length: 5 }, () => reaching(60));
    const result = paired([directoryOf({ curves: { a: same, b: same } })], 'a');
    const [{ methods, thresholds }] = result.comparisons;
    expect(thresholds).toEqual([0.95, 0.97]);
    expect(methods[0]).toMatchObject({
      difference: { mean: 0, halfWidth: 0 },
      separated: false,
      ratios: [
        { batches: { ratio: 1, low: 1, high: 1, separated: false } },
        { seconds: { ratio: 1, separated: false } },
      ],
    });
    const text = textOf(result);
    expect(text).toMatch(/^b .* 5 +not separated: \+0\.00 ± 0\.00$/m);
    expect(text).not.toContain('n < 5');
  });

  it('have no interval for one pair, and name the seeds without a partner', () => {
    const directory = directoryOf({
      curves: {
        a: [reaching(60), reaching(60), undefined],
        b: [reaching(60, 0.98), undefined, reaching(60)],
      },
    });
    const result = paired([directory], 'a');
    const [{ methods, intervals }] = result.comparisons;
    expect(intervals).toBe(0);
    expect(methods[0].separated).toBeUndefined();
    expect(methods[0].unpaired).toEqual([
      { seed: 2, lacking: 'method', reason: 'no such run' },
      { seed: 3, lacking: 'reference', reason: 'no such run' },
    ]);
    const text = textOf(result);
    expect(text).toMatch(/^b +97\.75 ± 3\.18 % +1 of 3 \(n < 5\) +no interval: \+0\.50$/m);
    expect(text).toContain(
      '- b: no pair for seed 2 (b: no such run)\n- b: no pair for seed 3 (a: no such run)\n',
    );
    expect(compareWithFirst(loadRunDirectory(directory))).toBeUndefined();
  });

  it('say why a seed failed', () => {
    const results = { fenchel: [0.98, 0.98, 0.98], adam: [0.97, 'FAILED', 0.971] } as const;
    const directory = injectRuns(join(temporaryFolder(), 'run'), gateConfig, results);
    const result = paired([directory], 'fenchel');
    const text = textOf(result);
    expect(text).toMatch(/^adam +97\.05 ± 0\.64 % +2 of 3 \(n < 5\) +-0\.95 ± 0\.64$/m);
    expect(text).toContain(
      '- adam: no pair for seed 2 (adam: failed: the loss became NaN at batch 9)',
    );
    const csv = pairedFormats.csv(result.comparisons);
    expect(csv.split('\n')[1]).toMatch(/,final_accuracy,test,difference,2,2,,,0\.9705,0\.98,/);
  });

  it('count the seeds that do not reach an accuracy', () => {
    const directory = directoryOf({
      curves: {
        a: [reaching(50), reaching(50), neverReaching],
        b: [reaching(100), neverReaching, reaching(100)],
        c: [neverReaching, neverReaching, neverReaching],
      },
    });
    const result = paired([directory], 'a', { thresholds: [0.97, 0.9] });
    const [{ thresholds, methods }] = result.comparisons;
    expect(thresholds).toEqual([0.9, 0.97]);
    expect(methods[0].ratios[1]).toMatchObject({
      seeds: [1],
      missed: { method: [2], reference: [3] },
      batches: { ratio: expect.closeTo(2, 12), n: 1 },
    });
    const text = textOf(result);
    expect(text).toMatch(/^97 % +a +2 of 3 +50\.0 +reference /m);
    expect(text).toMatch(/^97 % +b +2 of 3 \(n < 5\) +100 +1 pair, no interval: 2\.00 /m);
    expect(text).toMatch(/^97 % +c +0 of 3 +– +– +– +–$/m);
    expect(text).toContain('b does not reach 97 % with seed 2: the ratios of b are over the other');
    expect(text).toContain('a does not reach 97 % with seed 3: the ratios of b are over the other');
  });

  it('suggest an accuracy where the reference reaches none of the usual ones', () => {
    const low: Curve = [
      [1, 1, 0.1],
      [10, 10, 0.27],
    ];
    const result = paired([directoryOf({ curves: { a: [low, low], b: [low, low] } })], 'a');
    expect(result.comparisons[0]).toMatchObject({ thresholds: [], reachable: 0.25 });
    expect(textOf(result)).toContain('choose one, as in --threshold 0.25');
  });

  it('compare the losses of a regression, and refuse accuracies to reach', () => {
    const curves = {
      a: [0.5, 0.6].map((loss): Curve => [[10, 1, loss]]),
      b: [0.7, 0.8].map((loss): Curve => [[10, 1, loss]]),
    };
    const directory = directoryOf({ curves, column: 'test_loss' });
    const text = textOf(paired([directory], 'a'));
    expect(text).toMatch(/^b +0\.7500 ± 0\.64 +2 \(n < 5\) +\+0\.200 ± /m);
    expect(text).not.toContain('time to');
    expect(() => paired([directory], 'a', { thresholds: [0.9] })).toThrow(
      '--threshold: these runs have no accuracies during training',
    );
  });

  it('name what is unequal: epochs, batch sizes, tuning', () => {
    const config =
      'epochs: 10\nbatchSize: 500\nmethods: [{ name: a }, { name: b, epochs: 20, batchSize: full }]\ntuning: { a: { trials: 12 } }\n';
    const curves = { a: [reaching(60)], b: [reaching(60)] };
    const text = textOf(paired([directoryOf({ curves, config })], 'a'));
    expect(text).toContain('- epochs: a 10, b 20; final results are compared after different');
    expect(text).toContain('- batch size: a 500, b full; the ratios of batches compare steps');
    expect(text).toContain('- tuning trials: a 12, b none; the settings were not searched for');
  });
});

describe('methods of several run directories', () => {
  const a = { a: [reaching(60), reaching(50)] };
  const b = { b: [reaching(90), reaching(80)] };
  const mnist = 'dataset: { name: mnist, validation: 5000 }\n';

  it('are paired with the reference in their own directory, else in the other', () => {
    const [first, second] = [
      directoryOf({ curves: { ...a, ...b }, config: mnist }),
      directoryOf({ curves: b, config: 'dataset: { name: mnist }\n' }),
    ];
    const together = paired([first, second], 'a').comparisons;
    expect(together.map(({ methods }) => methods.map(({ directory }) => directory))).toEqual([
      [first, second],
    ]);
    const own = paired([first, second], 'b');
    expect(own.comparisons[0].methods.map(({ method }) => method)).toEqual(['a']);
    const named = paired([first, second], `${second}/b`);
    expect(named.comparisons[0].methods.map(({ method }) => method)).toEqual(['a', 'b']);
    const third = directoryOf({ curves: { c: [reaching(60)] }, config: mnist });
    expect(paired([first, second, third], 'b').problems[0].message).toContain(
      `it has no b, and 2 other run directories on the same data have one; choose it, as in --against ${first}/b`,
    );
  });

  it.each([
    ['dataset: { name: cifar10 }', 'test_accuracy', 'the data sets are cifar10 and mnist'],
    ['dataset: { name: mnist, testLimit: 100 }', 'test_accuracy', 'dataset.testLimit is 100 and'],
    [mnist, 'validation_accuracy', 'it has the validation accuracy, and a the test accuracy'],
  ])('are refused where they measure something else: %s, %s', (config, column, reason) => {
    const first = directoryOf({ curves: a, config: mnist });
    const second = directoryOf({ curves: b, config, column });
    expect(() => paired([first, second], 'a')).toThrow(reason);
  });

  it('are refused where validation splits differ, and where the label is unknown', () => {
    const [first, second] = [5000, 1000].map((count) =>
      directoryOf({
        curves: count === 5000 ? a : b,
        config: `dataset: { name: mnist, validation: ${count} }\n`,
        column: 'validation_accuracy',
      }),
    );
    expect(() => paired([first, second], 'a')).toThrow(
      'the validation splits differ, dataset.validation is 1000 and 5000',
    );
    expect(() => paired([first], 'a')).toThrow('there is no other method');
    expect(() => paired([first, second], 'c')).toThrow('no run is labelled "c". Labels: a, b');
  });
});

it('agrees with a computation of its own on the results of the repository', () => {
  const directory = fileURLToPath(new URL('../../results/reference/mnist-mlp', import.meta.url));
  const [{ reference, thresholds, methods }] = paired([directory], 'fenchel').comparisons;
  expect(methods.length).toBeGreaterThan(2);
  const t: Record<number, number> = { 2: 12.7062, 3: 4.30265, 5: 2.77645, 10: 2.26216 };
  const rowsOf = (label: string, seed: number) => {
    const text = readFileSync(join(directory, `${label}-s${seed}`, 'metrics.csv'), 'utf8');
    const [head, ...lines] = text.trim().split('\n');
    const at = (name: string) => head.split(',').indexOf(name);
    const [batch, wall, accuracy] = ['batch', 'wall_s', 'test_accuracy'].map(at);
    return lines
      .map((line) => line.split(','))
      .filter((cells) => cells[accuracy] !== '')
      .map((cells) => [cells[batch], cells[wall], cells[accuracy]].map(Number));
  };
  const interval = (values: readonly number[]) => {
    const n = values.length;
    const mean = values.reduce((a, b) => a + b) / n;
    const squares = values.map((value) => (value - mean) ** 2).reduce((a, b) => a + b);
    return { mean, half: (t[n] * Math.sqrt(squares / (n - 1))) / Math.sqrt(n) };
  };
  for (const { method, difference, ratios } of methods) {
    const pairs = reference.seeds.map((seed) => [rowsOf(method, seed), rowsOf('fenchel', seed)]);
    const d = interval(pairs.map(([x, y]) => x.at(-1)![2] - y.at(-1)![2]));
    expect(difference!.mean).toBeCloseTo(d.mean, 10);
    expect(difference!.halfWidth).toBeCloseTo(d.half, 6);
    for (const [i, threshold] of thresholds.entries()) {
      const crossings = pairs.map((sides) =>
        sides.map((rows) => rows.find(([, , value]) => value >= threshold)),
      );
      const both = crossings.filter((sides) => sides.every((row) => row !== undefined));
      expect(ratios[i].seeds.length).toBe(both.length);
      if (both.length < 2) continue;
      for (const [unit, column] of [
        ['batches', 0],
        ['seconds', 1],
      ] as const) {
        const { mean, half } = interval(both.map(([x, y]) => Math.log(x![column] / y![column])));
        const { ratio, low, high } = ratios[i][unit]!;
        expect(Math.log(ratio)).toBeCloseTo(mean, 9);
        expect([Math.log(low!), Math.log(high!)]).toEqual([
          expect.closeTo(mean - half, 4),
          expect.closeTo(mean + half, 4),
        ]);
      }
    }
  }
});
