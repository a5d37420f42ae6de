import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.js';
import { batchAxis, errorAxis, timeAxis } from '../../src/report/axes.js';
import {
  buildCurve,
  type Curve,
  chooseMeasure,
  groupRuns,
  leftOut,
  thinned,
} from '../../src/report/curves.js';
import { spreadLabels, style } from '../../src/report/figure-style.js';
import { settingCurves, withoutFinal } from '../../src/report/setting-curves.js';
import type { Run } from '../../src/runs/run-directory.js';
import type { Setting } from '../../src/runs/settings.js';

type Columns = Record<string, (number | undefined)[]>;

function run(columns: Columns, extra: Partial<Run> = {}): Run {
  const rows = Object.values(columns)[0].length;
  const all: Columns = {
    batch: Array.from({ length: rows }, (_, i) => i + 1),
    wall_s: Array.from({ length: rows }, (_, i) => (i + 1) / 10),
    ...columns,
  };
  const arrays = Object.entries(all).map(([name, values]) => [
    name,
    Float64Array.from(values, (value) => value ?? Number.NaN),
  ]);
  return {
    directory: 'd',
    experiment: 'e',
    label: 'adam',
    seed: 1,
    status: 'COMPLETED',
    metrics: { method: 'adam', seed: 1, rows, columns: Object.fromEntries(arrays) },
    ...extra,
  };
}

const none = undefined;
const test = { column: 'test_accuracy', title: '' };

describe('the measure drawn', () => {
  const train_accuracy = [0.1, 0.5];
  it.each([
    ['test', { test_accuracy: [none, 0.5], train_accuracy }, 'test_accuracy'],
    ['validation', { validation_accuracy: [none, 0.5], train_accuracy }, 'validation_accuracy'],
    ['training', { test_accuracy: [none, none], train_accuracy }, 'train_accuracy'],
    [
      'validation curve before a single test',
      { test_accuracy: [none, 0.5], validation_accuracy: [0.3, 0.5] },
      'validation_accuracy',
    ],
  ])('%s', (_, columns: Columns, expected) => {
    expect(chooseMeasure([run(columns)])?.column).toBe(expected);
  });

  it.each([
    [{ test_loss: [none, 0.5], train_loss: [1, 1] }, 'test_loss'],
    [{ test_loss: [none, 0.5], validation_loss: [1, 1] }, 'validation_loss'],
    [{ train_loss: [1, 1] }, 'train_loss'],
  ])('is an error without accuracies: %o', (columns: Columns, expected) => {
    expect(chooseMeasure([run(columns)])?.column).toBe(expected);
  });

  it('is none without any value', () => {
    expect(chooseMeasure([run({ test_accuracy: [none] })])).toBeUndefined();
    expect(chooseMeasure([])).toBeUndefined();
  });
});

it('names the finished runs that the figure cannot show', () => {
  const tested = run({ test_accuracy: [0.5], train_accuracy: [0.5] });
  const untested = run({ train_accuracy: [0.5] }, { seed: 2 });
  expect(leftOut([tested, { ...untested, status: 'FAILED' }])).toEqual([]);
  expect(leftOut([tested, untested]).map(({ message }) => message)).toEqual([
    `${join('d', 'adam-s2', 'metrics.csv')}: has no test accuracy, which the figure shows; omitted`,
  ]);
});

describe('a curve', () => {
  it('is the mean over seeds, at the mean time, with the range of the seeds', () => {
    const a = run({ test_accuracy: [0.2, none, 0.8], wall_s: [1, 2, 3] });
    const b = run({ test_accuracy: [0.4, 0.5, 0.9], wall_s: [3, 4, 5] });
    const { points, seeds, partial } = buildCurve('adam', [a, b], test);
    expect([seeds, partial]).toEqual([2, []]);
    expect(points.map(({ batch, seconds }) => [batch, seconds])).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(points[0].value).toBeCloseTo(0.3);
    expect(points[1]).toMatchObject({ low: 0.8, high: 0.9 });
  });

  it('keeps a seed that stopped early out of the mean', () => {
    const whole = run({ test_accuracy: [0.2, 0.6, 0.8] });
    const cut = run({ test_accuracy: [0.1, 0.2] });
    const { points, seeds, partial } = buildCurve('adam', [cut, whole], test);
    expect(seeds).toBe(1);
    expect(points.map(({ value }) => value)).toEqual([0.2, 0.6, 0.8]);
    expect(partial.map((one) => one.length)).toEqual([2]);
  });

  it('is thinned on long runs, ends and beginning kept', () => {
    const accuracies = Array.from({ length: 20_000 }, (_, i) => i / 20_000);
    const { points } = thinned(buildCurve('adam', [run({ test_accuracy: accuracies })], test));
    expect(points.length).toBeLessThan(500);
    expect(points.slice(0, 3).map(({ batch }) => batch)).toEqual([1, 2, 3]);
    expect(points.at(-1)!.batch).toBe(20_000);
  });
});

function curve(name: string, accuracies: number[], seconds = accuracies.length): Curve {
  const wall_s = accuracies.map((_, i) => ((i + 1) * seconds) / accuracies.length);
  return buildCurve(name, [run({ test_accuracy: accuracies, wall_s })], test);
}

describe('axes', () => {
  const rise = (final: number) => [0.1, 0.3, final - 0.1, final - 0.02, final];

  it.each([
    ['MNIST', [rise(0.985), rise(0.945)]],
    ['nearly perfect', [rise(0.9995), rise(0.99)]],
    ['perfect', [[0.5, 0.9, 1]]],
    ['chance', [[0.1, 0.09, 0.11]]],
    ['zero', [[0, 0]]],
    ['CIFAR-10', [rise(0.45), rise(0.4)]],
    ['a collapse', [rise(0.97), [0.2, 0.95, 0.1]]],
    ['one point', [[0.3]]],
  ])('accuracy of %s: final values and labelled ticks inside, clear of each other', (_, all) => {
    const axis = errorAxis(
      all.map((accuracies, i) => curve(`${i}`, accuracies)),
      400,
    );
    for (const accuracies of all) {
      const place = axis.position(axis.coordinate(accuracies.at(-1)!));
      expect(place).toBeGreaterThanOrEqual(0);
      expect(place).toBeLessThanOrEqual(1);
    }
    expect(axis.ticks.length).toBeGreaterThanOrEqual(2);
    expect(new Set(axis.labels).size).toBe(axis.ticks.length);
    const places = axis.ticks.map((tick) => 400 * axis.position(tick)).sort((a, b) => a - b);
    for (const [i, place] of places.entries()) {
      if (i > 0) expect(place - places[i - 1]).toBeGreaterThan(15);
    }
  });

  it('tells 97.6 % and 98.5 % apart by more than the height of a label', () => {
    const axis = errorAxis([curve('a', rise(0.985)), curve('b', rise(0.976))], 400);
    expect(400 * (axis.position(0.015) - axis.position(0.024))).toBeGreaterThan(18);
  });

  it('time is linear for curves of like length, logarithmic where one is much slower', () => {
    const fast = curve('a', rise(0.9), 10);
    expect(timeAxis([fast, curve('b', rise(0.9), 20)], () => true).type).toBe('linear');
    const axis = timeAxis([fast, curve('b', rise(0.9), 300)], () => true);
    expect(axis.type).toBe('log');
    expect(axis.domain[1]).toBeCloseTo(300);
    expect(axis.labels).toContain('10');
    expect(axis.value(axis.position(37))).toBeCloseTo(37);
  });

  it('batches are whole numbers', () => {
    expect(batchAxis([curve('a', [0.5])]).labels).toEqual(['0', '1']);
    const long = Array.from({ length: 1200 }, () => 0.5);
    expect(batchAxis([curve('a', long)]).labels).toContain('1,200');
  });
});

describe('labels at line ends', () => {
  it('keep their order and their distance, inside the panel, and move no more than needed', () => {
    const random = new Random(3, 'labels');
    for (let trial = 0; trial < 200; trial++) {
      const n = 1 + random.integer(20);
      const wanted = Array.from({ length: n }, () => 400 * random.uniform() ** 3);
      const placed = spreadLabels(wanted, 18, 0, 400);
      const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b]);
      for (const [rank, i] of order.entries()) {
        expect(placed[i]).toBeGreaterThanOrEqual(0);
        expect(placed[i]).toBeLessThanOrEqual(400 + 1e-9);
        if (rank > 0) expect(placed[i] - placed[order[rank - 1]]).toBeGreaterThan(18 - 1e-9);
      }
    }
    expect(spreadLabels([10, 50, 390], 18, 0, 400)).toEqual([10, 50, 390]);
    expect(spreadLabels([100, 100], 18, 0, 400)).toEqual([91, 109]);
  });
});

describe('series', () => {
  it('are prefixed only where a label would be ambiguous', () => {
    const a = { directory: 'r/one', experiment: 'mnist' };
    const b = { directory: 'r/two', experiment: 'mnist' };
    const c = { directory: 'r/three', experiment: 'cifar' };
    const names = (...runs: Partial<Run>[]) =>
      groupRuns(runs.map((extra) => run({ test_accuracy: [0.5] }, extra))).map(({ name }) => name);
    expect(names(a, { ...a, seed: 2 })).toEqual(['adam']);
    expect(names(a, c)).toEqual(['mnist/adam', 'cifar/adam']);
    expect(names(a, b)).toEqual(['one/adam', 'two/adam']);
    expect(names(a, { ...b, label: 'sgd' })).toEqual(['adam', 'sgd']);
    const same = { ...b, directory: 's/one' };
    expect(names(a, same)).toEqual(['r/one/adam', 's/one/adam']);
  });

  it('have 35 styles before one repeats, neighbours differing in colour, dash and marker', () => {
    const styles = Array.from({ length: 35 }, (_, i) => style(i));
    expect(new Set(styles.map((s) => JSON.stringify(s))).size).toBe(35);
    for (const [i, { color, dash, marker }] of styles.entries()) {
      if (i === 0) continue;
      const before = styles[i - 1];
      expect([color, dash, marker]).not.toContain(before.color);
      expect(dash).not.toEqual(before.dash);
      expect(marker).not.toBe(before.marker);
    }
  });

  it('have labels that read on white: contrast of at least 4.5', () => {
    const channel = (hex: string) => {
      const c = Number.parseInt(hex, 16) / 255;
      return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    };
    for (let i = 0; i < 7; i++) {
      const [r, g, b] = style(i)
        .textColor.match(/[0-9A-F]{2}/g)!
        .map(channel);
      expect(1.05 / (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05)).toBeGreaterThan(4.5);
    }
  });
});

describe('final values against a setting', () => {
  const settings = new Map([
    [
      'd',
      new Map<string, Setting>([
        ['epochs', 5],
        ['methods.a.name', 'fenchel'],
        ['methods.a.nudge', 'one-sided'],
        ['methods.a.targetStep', 0.1],
        ['methods.b.name', 'fenchel'],
        ['methods.b.nudge', 'one-sided'],
        ['methods.b.targetStep', 10],
        ['methods.c.name', 'fenchel'],
        ['methods.c.nudge', 'two-sided'],
        ['methods.c.targetStep', 10],
        ['methods.foof.name', 'foof'],
      ]),
    ],
  ]);
  const of = (label: string, seed: number, final: number, extra: Partial<Run> = {}) =>
    run({ test_accuracy: [0.1, final, none] }, { label, seed, ...extra });
  const runs = [
    of('a', 1, 0.97),
    of('a', 2, 0.98),
    of('b', 1, 0.9),
    of('b', 2, 0.5, { status: 'INTERRUPTED' }),
    of('c', 1, 0.96),
    of('foof', 1, 0.95),
  ];
  const drawn = (against: string, all = runs) =>
    settingCurves(all, { ...test, against }, settings).map(({ name, points, hasMarkers }) => {
      const values = points.map(({ batch, value }) => [batch, Number(value.toFixed(6))]);
      return [name, hasMarkers, ...values];
    });

  it('has a line for runs that differ in it alone, and a rule where there is none', () => {
    expect(drawn('targetStep')).toEqual([
      ['fenchel, one-sided', true, [0.1, 0.975], [10, 0.9]],
      ['fenchel, two-sided', true, [10, 0.96]],
      ['foof', false, [0.1, 0.95], [10, 0.95]],
    ]);
    const [{ low, high }] = settingCurves(runs, { ...test, against: 'targetStep' }, settings)[0]
      .points;
    // Student's t with one degree of freedom: 12.706 * 0.00707 / sqrt(2).
    expect(high - low).toBeCloseTo(2 * 12.706 * 0.005, 4);
  });

  it('counts a seed once, and names the runs without a final value', () => {
    const repeated = of('a', 2, 0.96, { directory: runs[0].directory });
    const [{ points, seeds }] = settingCurves(
      [...runs, repeated],
      { ...test, against: 'targetStep' },
      settings,
    );
    expect(seeds).toBe(2);
    expect(points[0].value).toBeCloseTo(0.97);
    expect(points[0].high - points[0].low).toBeCloseTo(0);
    const layers = [1, 2].map((layer) => ({ ...runs[3], label: `b, layer ${layer}` }));
    const unknown = of('a', 1, 0.5, { directory: 'e' });
    const omitted = withoutFinal([runs[0], ...layers, unknown], settings);
    expect(drawn('targetStep', [...runs, unknown])).toEqual(drawn('targetStep'));
    expect(omitted.map(({ message }) => message)).toEqual([
      'd/b-s2: INTERRUPTED, without final value; omitted from the means',
      'e: no config.yaml that can be read; omitted',
    ]);
  });

  it('takes layers, and settings of the experiment', () => {
    const layers = runs.slice(0, 3).map((each) => ({ ...each, label: `${each.label}, layer 2` }));
    expect(drawn('targetStep', layers)).toEqual([
      ['fenchel, layer 2', true, [0.1, 0.975], [10, 0.9]],
    ]);
    expect(drawn('epochs', runs.slice(4))).toEqual([
      ['fenchel', true, [5, 0.96]],
      ['foof', true, [5, 0.95]],
    ]);
  });

  it('names what can be drawn where the setting is unknown', () => {
    expect(() => drawn('methods.a.targetStep')).toThrow(
      '"methods.a.targetStep"; did you mean "targetStep"?',
    );
    expect(() => drawn('targetStp')).toThrow(
      'no run has a number as its setting "targetStp"; did you mean "targetStep"? Settings that differ between the runs: targetStep',
    );
  });
});
