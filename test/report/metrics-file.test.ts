import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RunError } from '../../src/errors.js';
import { commonColumns, mostCells, parseMetrics, readMetrics } from '../../src/runs/metrics.js';
import { readMetricsEnd } from '../../src/runs/metrics-end.js';
import { temporaryFolder } from '../experiment/tiny.js';
import { mnistMethods, syntheticCsv } from './synthetic.js';

const header = commonColumns.join(',');
const row = (batch: number | string, accuracy: number | string = '', own = '') =>
  `adam,7,${batch},1,0.5,2.3,0.1,,${accuracy},,,12.5${own}`;
const parse = (...lines: string[]) => parseMetrics(`${lines.join('\n')}\n`, 'm.csv');

describe('metrics.csv', () => {
  it('is read into typed columns, with NaN where nothing was measured', () => {
    const own = `${header},validation_accuracy,inner`;
    const text = [own, row(1, 0.25, ',0.5,'), row(2, '', ',,3')].join('\n');
    const { metrics, warnings } = parseMetrics(`${text}\n`, 'm.csv');
    expect(warnings).toEqual([]);
    expect(metrics).toMatchObject({ method: 'adam', seed: 7, rows: 2 });
    expect([...metrics.columns.test_accuracy]).toEqual([0.25, Number.NaN]);
    expect([...metrics.columns.validation_accuracy]).toEqual([0.5, Number.NaN]);
    expect([...metrics.columns.inner]).toEqual([Number.NaN, 3]);
    expect(metrics.columns.batch).toBeInstanceOf(Float64Array);
  });

  it('may have a byte-order mark, CRLF line ends and non-finite numbers', () => {
    const text = `\ufeff${header}\r\na,1,1,1,0.1,Infinity,NaN,,,-Infinity,1e-7,2\r\n`;
    const { columns } = parseMetrics(text, 'm.csv').metrics;
    expect(columns.train_loss[0]).toBe(Number.POSITIVE_INFINITY);
    expect(columns.objective[0]).toBe(Number.NEGATIVE_INFINITY);
    expect(columns.train_accuracy[0]).toBeNaN();
    expect(columns.residual[0]).toBe(1e-7);
  });

  it('without rows is a run that has only begun', () => {
    expect(parse(header).metrics.rows).toBe(0);
  });

  it('survives being cut off at any byte: a torn last line is left out with a warning', () => {
    const whole = syntheticCsv(mnistMethods[0], 1, { batches: 12 });
    const headerEnd = whole.indexOf('\n') + 1;
    for (let end = headerEnd; end <= whole.length; end++) {
      const { metrics, warnings } = parseMetrics(whole.slice(0, end), 'm.csv');
      const complete = whole.slice(0, end).split('\n').length - 2;
      expect(metrics.rows).toBe(complete);
      const torn = whole[end - 1] !== '\n';
      expect(warnings).toHaveLength(torn ? 1 : 0);
      if (torn) expect(warnings[0]).toMatch(`m.csv:${complete + 2}: the last line is incomplete`);
    }
  });

  it('survives the zeros that a power cut leaves at its end', () => {
    const { metrics, warnings } = parseMetrics(
      `${header}\n${row(1)}\n${'\0'.repeat(512)}`,
      'm.csv',
    );
    expect([metrics.rows, warnings.length]).toEqual([1, 1]);
  });

  it.each([
    ['an empty file', '', /m\.csv:1: .*no complete line/],
    ['only a torn header', 'method,se', /m\.csv:1: .*no complete line/],
    ['blank lines', '\n\n', /m\.csv:1: the file is empty/],
    ['another table', 'a,b\n1,2\n', /m\.csv:1: not a metrics file: columns method, seed/],
    ['a column twice', `${header},x,x\n`, /m\.csv:1: column "x" appears twice/],
    ['a short line', `${header}\n${row(1)}\nadam,7,2\n`, /m\.csv:3: 3 fields, but .* 12/],
    ['a word', `${header}\n${row(1)}\n${row(2, 'high')}\n`, /m\.csv:3: test_accuracy is "high"/],
    ['a hexadecimal number', `${header}\n${row(1, '0x1')}\n`, /m\.csv:2: test_accuracy is "0x1"/],
    ['a percentage', `${header}\n${row(1, 97.5)}\n`, /m\.csv:2: .* 97\.5; .* shares from 0 to 1/],
    ['a batch repeated', `${header}\n${row(3)}\n${row(3)}\n`, /m\.csv:3: batch is "3"/],
    ['no batch', `${header}\n${row('')}\n`, /m\.csv:2: batch is ""/],
    ['1001 columns', `${header}${',x'.repeat(989)}\n`, /m\.csv:1: 1001 columns are more than/],
    [
      'a line without end',
      `${header}\n${','.repeat(200_000)}\n`,
      /m\.csv:2: a line of 200000 bytes/,
    ],
    ['an open quote', `${header}\n"adam,1\n${row(2)}\n`, /m\.csv:\d: not valid CSV/],
  ])('with %s is refused by file and line', (_, text, message) => {
    expect(() => parseMetrics(text, 'm.csv')).toThrow(message);
    expect(() => parseMetrics(text, 'm.csv')).toThrow(RunError);
  });

  it('with more rows than fit into memory is refused', () => {
    // A wide table, so that few rows are enough.
    const columns = 980;
    const own = `,x${Array.from({ length: columns }, (_, i) => i).join(',x')}`;
    const most = Math.floor(mostCells / (commonColumns.length + columns));
    const blank = ','.repeat(columns);
    const rows = (count: number) => Array.from({ length: count }, (_, i) => row(i + 1, '', blank));
    expect(() => parse(header + own, ...rows(most + 1))).toThrow(
      `m.csv:${most + 2}: more rows than a run has`,
    );
  });

  it('that cannot be read is an error of its own', () => {
    expect(() => readMetrics('/nowhere/metrics.csv')).toThrow(
      /\/nowhere\/metrics.csv: cannot be read/,
    );
  });
});

describe('readMetricsEnd', () => {
  const rows = (count: number) => syntheticCsv(mnistMethods[0], 1, { batches: count });
  const place = (text: string) => {
    const path = join(temporaryFolder(), 'metrics.csv');
    writeFileSync(path, text);
    return path;
  };

  it('reads the last row of a long file, and says what is damaged as the whole would', () => {
    const text = rows(900);
    const path = place(text);
    const whole = readMetrics(path).metrics;
    const { metrics, warnings } = readMetricsEnd(path);
    expect(warnings).toEqual([]);
    expect(metrics).toMatchObject({ method: 'fenchel', seed: 1, rows: 1 });
    for (const [name, values] of Object.entries(whole.columns)) {
      expect(metrics.columns[name].at(-1)).toEqual(values.at(-1));
    }
    // A row that was cut off is left out, and named.
    const cut = readMetricsEnd(place(text.slice(0, -9)));
    expect(cut.metrics.columns.batch.at(-1)).toBe(899);
    expect(cut.warnings[0]).toMatch(/:901: the last line is incomplete/);
    expect(() => readMetricsEnd(place(`${text}fenchel,1,x\n`))).toThrow(
      /metrics\.csv:902: 3 fields/,
    );
    expect(() => readMetricsEnd(place(''))).toThrow(/:1: the file has no complete line/);
    expect(readMetricsEnd(place(rows(3))).metrics.rows).toBe(3);
  });
});
