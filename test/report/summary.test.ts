import { parse } from 'csv-parse/sync';
import { describe, expect, it } from 'vitest';
import { formatTable } from '../../src/report/table.js';
import { parseMetrics } from '../../src/runs/metrics.js';
import type { RunSummary } from '../../src/runs/run-json.js';
import { aggregate, summarise, summaryCsv, summaryJson } from '../../src/runs/summary.js';
import { estimate, median, tQuantile } from '../../src/shared/statistics.js';
import { duration, significant } from '../../src/shared/text.js';

const header =
  'method,seed,batch,epoch,wall_s,train_loss,train_accuracy,test_loss,test_accuracy,objective,residual,step_ms';

function run(
  method: string,
  seed: number,
  final: number,
  extra: Partial<RunSummary> = {},
): RunSummary {
  return {
    method,
    seed,
    status: 'COMPLETED',
    batches: 100,
    finalTestAccuracy: final,
    bestTestAccuracy: final + 0.001,
    wallSeconds: 30,
    medianStepMs: 25,
    secondsToAccuracy: { 0.8: 1, 0.9: 2, 0.95: 3 },
    ...extra,
  };
}

describe('statistics', () => {
  it.each([
    [1, 12.7062],
    [2, 4.3027],
    [20, 2.086],
    [21, 2.07961],
    [30, 2.04227],
    [120, 1.97993],
    [100000, 1.95999],
  ])('t quantile with %i degrees of freedom', (degrees, value) => {
    expect(tQuantile(degrees)).toBeCloseTo(value, 4);
  });

  it.each([
    [1, 0.95, 6.313752],
    [2, 0.95, 2.919986],
    [4, 0.95, 2.131847],
    [9, 0.95, 1.833113],
    [5, 0.995, 4.032143],
    [3, 0.5, 0],
  ])('t quantile with %i degrees of freedom at %d', (degrees, probability, value) => {
    expect(tQuantile(degrees, probability)).toBeCloseTo(value, 6);
  });

  it('gives the interval of a sample known by hand, and none for one value', () => {
    const { mean, halfWidth, n } = estimate([1, 2, 3])!;
    expect([mean, n]).toEqual([2, 3]);
    expect(halfWidth).toBeCloseTo(4.3027 / Math.sqrt(3), 3);
    expect(estimate([5])).toEqual({ mean: 5, n: 1 });
    expect(estimate([])).toBeUndefined();
  });

  it('takes the median of what was measured', () => {
    expect(median([3, Number.NaN, 1, 2])).toBe(2);
    expect(median([4, 1])).toBe(2.5);
    expect(median([Number.NaN])).toBeUndefined();
  });
});

describe('summary of a run', () => {
  const lines = [
    'adam,2,1,1,0.5,2.3,0.1,2.2,0.81,,,10',
    'adam,2,2,1,1.0,0.9,0.7,,,,,11',
    'adam,2,3,1,1.5,0.5,0.8,0.4,0.97,,,12',
    'adam,2,4,1,2.0,0.4,0.9,0.5,0.96,,,90',
  ];
  const { metrics } = parseMetrics(`${header}\n${lines.join('\n')}\n`, 'm.csv');

  it('takes final and best accuracy, training time, median step and first crossings', () => {
    expect(summarise(metrics, 'COMPLETED')).toEqual({
      method: 'adam',
      seed: 2,
      status: 'COMPLETED',
      batches: 4,
      finalTestAccuracy: 0.96,
      bestTestAccuracy: 0.97,
      finalTestLoss: 0.5,
      finalTrainLoss: 0.4,
      finalValidationAccuracy: undefined,
      wallSeconds: 2,
      medianStepMs: 11.5,
      secondsToAccuracy: {
        ...{ 0.3: 0.5, 0.4: 0.5, 0.5: 0.5, 0.6: 0.5, 0.7: 0.5, 0.8: 0.5 },
        ...{ 0.9: 1.5, 0.95: 1.5, 0.96: 1.5, 0.97: 1.5 },
      },
      error: undefined,
    });
  });

  it('exists for a run that failed before its first batch', () => {
    const empty = { method: 'sgd', seed: 1, rows: 0, columns: {} };
    expect(summarise(empty, 'FAILED', 'diverged')).toMatchObject({
      batches: 0,
      wallSeconds: 0,
      secondsToAccuracy: {},
      error: 'diverged',
    });
  });
});

describe('summary over seeds', () => {
  it('counts completed runs alone and keeps the order of the methods', () => {
    const broken = run('sgd', 2, 0.1, { status: 'FAILED', error: 'diverged' });
    const methods = aggregate([run('sgd', 1, 0.9), run('adam', 1, 0.98), broken]);
    expect(methods.map(({ method }) => method)).toEqual(['sgd', 'adam']);
    expect(methods[0]).toMatchObject({ completed: 1, seeds: 2, finalTestAccuracy: { mean: 0.9 } });
  });

  it('gives a time to an accuracy only where every seed reached it', () => {
    const slow = run('a', 2, 0.93, { secondsToAccuracy: { 0.8: 3 } });
    const [{ secondsToAccuracy }] = aggregate([run('a', 1, 0.96), slow]);
    expect(Object.keys(secondsToAccuracy)).toEqual(['0.8']);
    expect(secondsToAccuracy['0.8'].mean).toBe(2);
  });

  it('has times of a hard problem, too', () => {
    const columns = {
      batch: Float64Array.of(1, 2, 3),
      wall_s: Float64Array.of(1, 2, 3),
      test_accuracy: Float64Array.of(0.1, 0.45, 0.61),
    };
    const metrics = { method: 'sgd', seed: 1, rows: 3, columns };
    const summary = summarise(metrics, 'COMPLETED');
    expect(summary.secondsToAccuracy).toEqual({ 0.3: 2, 0.4: 2, 0.5: 3, 0.6: 3 });
    expect(formatTable(aggregate([summary]))).toContain('to 40 %  to 50 %  to 60 %');
  });

  it('prints an aligned table', () => {
    const summaries = [
      run('fenchel', 1, 0.984, { secondsToAccuracy: { 0.95: 1.234, 0.97: 2.5, 0.98: 10 } }),
      run('fenchel', 2, 0.985, { secondsToAccuracy: { 0.95: 1.234, 0.97: 3.5, 0.98: 12 } }),
      run('sgd', 1, 0.94, { wallSeconds: 372, secondsToAccuracy: {} }),
      run('sgd', 2, 0.5, { status: 'FAILED' }),
    ];
    expect(formatTable(aggregate(summaries))).toBe(
      [
        'method    seeds  final test accuracy     best  to 95 %  to 97 %  to 98 %  ms/step  train time',
        '-------  ------  -------------------  -------  -------  -------  -------  -------  ----------',
        'fenchel       2       98.45 ± 0.64 %  98.60 %    1.2 s    3.0 s     11 s       25        30 s',
        'sgd      1 of 2              94.00 %  94.10 %        –        –        –       25     6.2 min',
        'accuracy: mean ± 95 % interval over seeds; times: training alone, means',
      ].join('\n'),
    );
  });

  it('shows the validation accuracy where the test set was left alone', () => {
    const untouched = {
      finalTestAccuracy: undefined,
      bestTestAccuracy: undefined,
      finalValidationAccuracy: 0.97,
    };
    const table = formatTable(aggregate([run('adam', 1, 0, untouched)]));
    expect(table).toMatch(/final validation accuracy/);
    expect(table).toMatch(/97\.00 %/);
    expect(table).not.toMatch(/best/);
  });
});

describe('summary files', () => {
  const summaries = [run('a', 1, 0.96), run('b', 1, 0.1, { status: 'FAILED', error: 'x,"y"\nz' })];

  it('summary.csv has a line a run, whatever its error message holds', () => {
    const rows: Record<string, string>[] = parse(summaryCsv(summaries), { columns: true });
    expect(rows).toHaveLength(2);
    expect(rows[0]).toMatchObject({
      method: 'a',
      final_test_accuracy: '0.96',
      'seconds_to_0.95': '3',
    });
    expect(rows[0]['seconds_to_0.99']).toBe('');
    expect(rows[1]).toMatchObject({ status: 'FAILED', error: 'x,"y"\nz' });
  });

  it('summary.json holds the runs and the methods', () => {
    const content = JSON.parse(summaryJson('mnist', summaries));
    expect(content.experiment).toBe('mnist');
    expect(content.runs).toHaveLength(2);
    expect(content.methods[0]).toMatchObject({ method: 'a', completed: 1 });
  });
});

describe('numbers', () => {
  it.each([
    [0, '0 s'],
    [0.0421, '0.042 s'],
    [9.96, '10.0 s'],
    [31.4, '31 s'],
    [366, '6.1 min'],
    [7560, '2.1 h'],
  ])('%d seconds read %s', (seconds, text) => expect(duration(seconds)).toBe(text));

  it.each([
    [0.123, '0.12'],
    [26.4, '26'],
    [1234.5, '1235'],
  ])('%d is %s to two digits', (value, text) => expect(significant(value)).toBe(text));
});
