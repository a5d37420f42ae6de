import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { comparisonFormats } from '../../src/cli/render/comparison.js';
import { compareRuns } from '../../src/report/comparison.js';
import { loadRunDirectory } from '../../src/runs/run-directory.js';
import { temporaryFolder } from '../experiment/tiny.js';
import { gateConfig, healthy, injectRuns, type Results } from '../verify/inject.js';

function compared(results: Results, change: (directory: string) => void = () => {}) {
  const directory = injectRuns(join(temporaryFolder(), 'run'), gateConfig, results);
  change(directory);
  return compareRuns([loadRunDirectory(directory)]);
}

describe('comparison', () => {
  it("has mean, interval, the paper's value, difference and training time of each method", () => {
    const { rows, problems } = compared({ ...healthy, fenchel: [0.98, 0.982, 0.984] });
    expect(problems).toEqual([]);
    expect(rows.map(({ method }) => method)).toEqual(['fenchel', 'adam', 'sgd']);
    const [fenchel, , sgd] = rows;
    expect(fenchel).toMatchObject({ measuredOn: 'test', completed: 3, seeds: 3, paper: 0.976 });
    expect(fenchel.accuracy!.mean).toBeCloseTo(0.982, 12);
    expect(fenchel.accuracy!.halfWidth).toBeCloseTo((4.30265 * 0.002) / Math.sqrt(3), 7);
    expect(fenchel.difference).toBeCloseTo(0.006, 12);
    expect(fenchel.trainSeconds!.mean).toBe(20);
    expect([sgd.paper, sgd.difference]).toEqual([undefined, undefined]);
  });

  it('leaves out seeds without a final result, and says why', () => {
    const { rows, problems } = compared({ fenchel: [0.98, 'FAILED', 'INTERRUPTED'] });
    expect(rows[0]).toMatchObject({ completed: 1, seeds: 3, accuracy: { mean: 0.98, n: 1 } });
    const messages = problems.map(({ message }) => message.replace(/^.*: (?=fenchel)/, ''));
    expect(messages).toEqual([
      'fenchel, seed 2: failed: the loss became NaN at batch 9',
      'fenchel, seed 3: interrupted',
    ]);
  });

  it('does not take the accuracy of a metrics.csv that was cut off for a final one', () => {
    const { rows, problems } = compared({ fenchel: [0.98, 0.984, 0.982] }, (directory) => {
      const file = join(directory, 'fenchel-s2', 'metrics.csv');
      writeFileSync(
        file,
        'method,seed,batch,epoch,wall_s,train_loss,train_accuracy,test_loss,test_accuracy,objective,residual,step_ms\nfenchel,2,1,1,1,,,,0.5,,,\n',
      );
    });
    expect(rows[0]).toMatchObject({ completed: 2, seeds: 3 });
    expect(rows[0].accuracy!.mean).toBeCloseTo(0.981, 12);
    expect(problems[0].message).toContain('seed 2: its metrics.csv ends at batch 1 of 2');
  });

  it("takes run.json's word where metrics.csv was left out, not where it is damaged", () => {
    const { rows } = compared({ fenchel: [0.98, 0.99, 0.982] }, (directory) => {
      rmSync(join(directory, 'fenchel-s1'), { recursive: true });
      writeFileSync(join(directory, 'fenchel-s2', 'metrics.csv'), 'hello\n');
    });
    expect(rows[0]).toMatchObject({ completed: 2, seeds: 3 });
    expect(rows[0].accuracy!.mean).toBeCloseTo(0.981, 12);
    expect(rows[0].trainSeconds!.mean).toBe(20);
  });

  it('still compares where config.yaml cannot be read, without the paper', () => {
    for (const config of ['a: [', '', 'expect: 3', 'expect: { fenchel: { paper: high } }']) {
      const { rows } = compared(healthy, (directory) =>
        writeFileSync(join(directory, 'config.yaml'), config),
      );
      expect(rows).toHaveLength(3);
      expect(rows[0].paper).toBeUndefined();
    }
  });

  it('shows validation accuracy where the test set was left alone, with no difference', () => {
    const folder = temporaryFolder();
    const tuned = injectRuns(join(folder, 'a'), gateConfig, healthy, 'validation_accuracy');
    const tested = injectRuns(join(folder, 'b'), gateConfig, healthy);
    const alone = compareRuns([loadRunDirectory(tuned)]);
    expect(alone.rows[0]).toMatchObject({ measuredOn: 'validation', paper: 0.976 });
    expect(alone.rows[0].difference).toBeUndefined();
    expect(comparisonFormats.table(alone)).toMatch(/^method +seeds +final validation accuracy/);

    const both = compareRuns([tuned, tested].map((path) => loadRunDirectory(path)));
    const lines = comparisonFormats.table(both).split('\n');
    expect(lines[0]).toMatch(/^run +method +seeds +final accuracy +measured on +paper/);
    expect(lines[2]).toMatch(
      /a +fenchel \(preconditioned\) +3 +98\.49 ± 0\.08 % +validation +97\.60 % +– +20 s$/,
    );
    expect(lines[5]).toMatch(
      /b +fenchel \(preconditioned\) +3 +98\.49 ± 0\.08 % +test +97\.60 % +\+0\.89 +20 s$/,
    );
  });

  it('keeps a Markdown table whole, whatever a directory is called', () => {
    const folder = temporaryFolder();
    const names = ['a|b', 'c'].map((name) => injectRuns(join(folder, name), gateConfig, healthy));
    mkdirSync(join(folder, 'empty'));
    const text = comparisonFormats.markdown(
      compareRuns(names.map((path) => loadRunDirectory(path))),
    );
    const cells = text
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/(?<!\\)\|/).length);
    expect(new Set(cells)).toEqual(new Set([9]));
  });
});
