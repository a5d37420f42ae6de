import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatNumber, MetricsWriter } from '../../src/runs/metrics-writer.js';
import { temporaryFolder } from './tiny.js';

describe('MetricsWriter', () => {
  it('writes whole lines, leaves unmeasured cells empty and quotes where it must', () => {
    const path = join(temporaryFolder(), 'metrics.csv');
    const writer = MetricsWriter.create(path, ['method', 'loss', 'own']);
    expect(readFileSync(path, 'utf8')).toBe('method,loss,own\n');
    writer.append({ method: 'a,b', loss: 0.1 });
    writer.append({ method: 'c', loss: undefined, own: Number.NaN });
    writer.close();
    expect(readFileSync(path, 'utf8')).toBe('method,loss,own\n"a,b",0.1,\nc,,\n');
  });

  it('flushes by itself in long stretches without evaluation', () => {
    const path = join(temporaryFolder(), 'metrics.csv');
    const writer = MetricsWriter.create(path, ['batch']);
    for (let batch = 1; batch <= 120; batch++) writer.append({ batch });
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    expect(lines.length - 1).toBeGreaterThanOrEqual(100);
    writer.close();
    expect(readFileSync(path, 'utf8').trimEnd().split('\n')).toHaveLength(121);
  });

  it('starts a new file where an old one was', () => {
    const path = join(temporaryFolder(), 'metrics.csv');
    for (const name of ['old', 'new']) MetricsWriter.create(path, [name]).close();
    expect(readFileSync(path, 'utf8')).toBe('new\n');
  });
});

describe('formatNumber', () => {
  it('tells neighbouring float32 numbers apart and reads back as the same float32', () => {
    for (const x of [0.1, 1 / 3, 123456.789, 1e-7, 3e38, 0.30000001192092896]) {
      const single = Math.fround(x);
      expect(Math.fround(Number(formatNumber(single)))).toBe(single);
    }
    expect(formatNumber(0.5)).toBe('0.5');
    expect(formatNumber(12)).toBe('12');
  });
});
