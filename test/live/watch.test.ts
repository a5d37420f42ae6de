import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MetricsFollower } from '../../src/runs/metrics-follower.js';
import { writeManifest } from '../../src/sweep/manifest.js';
import { writeState } from '../../src/sweep/state.js';
import { fln, until } from '../cli/fln.js';
import { temporaryFolder, tree } from '../experiment/tiny.js';
import { mnistMethods, writeRuns } from '../report/synthetic.js';
import { header, RunningDirectory, row } from './running.js';

describe('MetricsFollower', () => {
  const start = (content: string) => {
    const path = join(temporaryFolder(), 'metrics.csv');
    writeFileSync(path, content);
    const follower = new MetricsFollower(path);
    const batches = async () => {
      await follower.update();
      return [...(follower.file().metrics.columns.batch ?? [])];
    };
    return { path, follower, batches };
  };

  it('reads the rows that were appended, and a line only when it is complete', async () => {
    const { path, batches } = start('method,se');
    expect(await batches()).toEqual([]);
    writeFileSync(path, header);
    expect(await batches()).toEqual([]);
    appendFileSync(path, row(1) + row(2) + row(3).slice(0, 9));
    expect(await batches()).toEqual([1, 2]);
    appendFileSync(path, row(3).slice(9));
    expect(await batches()).toEqual([1, 2, 3]);
  });

  it('does not read again what it has read', async () => {
    const { path, batches } = start(header + row(1) + row(2) + row(3));
    await batches();
    // Damage before the last bytes that were read would be found by another reading.
    const text = header + row(1) + row(2) + row(3);
    writeFileSync(path, `${text.replace('adam', '"dam')}${row(4)}`);
    expect(await batches()).toEqual([1, 2, 3, 4]);
  });

  it('starts again when the file was truncated, rewritten, replaced or removed', async () => {
    const { path, batches } = start(header + row(1) + row(2) + row(3));
    expect(await batches()).toEqual([1, 2, 3]);
    truncateSync(path, (header + row(1)).length);
    expect(await batches()).toEqual([1]);
    writeFileSync(path, header + row(5) + row(6) + row(7));
    expect(await batches()).toEqual([5, 6, 7]);
    writeFileSync(`${path}.new`, header + row(5) + row(6) + row(7) + row(8));
    renameSync(`${path}.new`, path);
    expect(await batches()).toEqual([5, 6, 7, 8]);
    rmSync(path);
    expect(await batches()).toEqual([]);
    writeFileSync(path, header + row(1));
    expect(await batches()).toEqual([1]);
  });

  it('names the line that is damaged, until the file is replaced', async () => {
    const { path, follower, batches } = start(header + row(1));
    await batches();
    appendFileSync(path, row(2) + row(2));
    await follower.update();
    expect(() => follower.file()).toThrow('metrics.csv:4: batch is "2"');
    appendFileSync(path, row(3));
    await follower.update();
    expect(() => follower.file()).toThrow('metrics.csv:4: batch is "2"');
    writeFileSync(path, header + row(1));
    expect(await batches()).toEqual([1]);
  });
});

describe('fln watch', () => {
  it('prints a line for each run that changes, and ends with the runs', async () => {
    const cwd = temporaryFolder();
    const running = new RunningDirectory(join(cwd, 'run'), ['adam', 'sgd']);
    const watching = fln(['watch', 'run', '--every', '0.1', '--json'], { cwd, separate: true });
    let text = '';
    const lines = fln(['watch', 'run', '--every', '0.1'], {
      cwd,
      onStdout: (all) => {
        text = all;
      },
    });
    await until(() => text.includes('adam, seed 1: queued'));
    running.record({ adam: 'RUNNING', sgd: 'QUEUED' });
    running.start('adam', header + row(1, 0.5));
    await until(() => text.includes('batch 1/40'));
    running.append(row(2, '') + row(20, 0.75).slice(0, 12));
    await until(() => text.includes('batch 2/40'));
    running.append(row(20, 0.75).slice(12));
    await until(() => text.includes('batch 20/40'));
    running.record({ adam: 'COMPLETED', sgd: 'FAILED' }, 'training diverged');
    running.release();
    const { code, stdout } = await lines;
    expect(stdout).toMatch(
      /adam, seed 1: running, batch 20\/40 \(50 %\), epoch 1, loss 0\.50, test loss 0\.40, test accuracy 75\.00 %, [\d.]+ batches\/s, [\d.]+ s left\n/,
    );
    expect(stdout).toMatch(
      /adam, seed 1: completed, .*\nsgd, seed 1: failed, .*training diverged\n/,
    );
    expect(stdout.trimEnd().split('\n').at(-1)).toBe('2 runs: 1 completed, 1 failed');
    expect(code).toBe(1);

    const json = await watching;
    const updates = json.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(updates.at(-1)).toMatchObject({
      ended: true,
      runs: [
        { method: 'adam', status: 'COMPLETED', batch: 20, totalBatches: 40, testAccuracy: 0.75 },
        { method: 'sgd', status: 'FAILED', error: 'training diverged' },
      ],
    });
    expect(updates.slice(0, -1).every(({ ended }) => !ended)).toBe(true);
    expect({ code: json.code, stderr: json.stderr }).toEqual({ code: 1, stderr: '' });
  });

  it('prints the state once, writes nothing, and shows the others beside a broken run', async () => {
    const cwd = temporaryFolder();
    writeRuns(join(cwd, 'good'), mnistMethods.slice(0, 2), [1], { batches: 30 });
    writeRuns(join(cwd, 'bad'), mnistMethods.slice(2, 3), [1], { batches: 30 });
    writeFileSync(join(cwd, 'bad', 'adam-s1', 'metrics.csv'), 'no,metrics\n1,2\n');
    const before = tree(cwd);
    const { code, stdout, stderr } = await fln(['watch', 'good', 'bad', '--once'], { cwd });
    expect(tree(cwd)).toEqual(before);
    expect(stdout).toMatch(/fenchel, seed 1 +completed +30\/30 .* [▁-█]+\n/);
    expect(stdout).toMatch(/warning: bad\/adam-s1\/metrics.csv:1: not a metrics file/);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('follows a sweep, whose trials may not have started', async () => {
    const cwd = temporaryFolder();
    const [id, other] = ['000000000001', '000000000002'];
    const trials = [id, other].map((id) => ({ id, overrides: {}, addedAt: '', retired: false }));
    const metric = { column: 'test_accuracy', goal: 'maximize' } as const;
    const base = { version: 1, config: 'base.yaml', search: 'grid', seed: 1 } as const;
    writeManifest(cwd, { ...base, name: 'grid', metric, parameters: [], trials });
    writeState(cwd, { id, status: 'FAILED', attempts: 1 });
    const { code, stdout } = await fln(['watch', '.'], { cwd });
    expect(stdout).toContain(': 2 trials: 1 queued, 1 failed\n');
    expect(code).toBe(1);
  });

  it('takes no file two folders above a run for its sweep, unless the run lies in trials/', async () => {
    const cwd = temporaryFolder();
    writeRuns(join(cwd, 'a', 'b', 'run'), mnistMethods.slice(0, 1), [1], { batches: 30 });
    writeFileSync(join(cwd, 'a', 'sweep.json'), 'of something else');
    const { code, stdout, stderr } = await fln(['watch', 'a/b/run', '--once'], { cwd });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).not.toContain('sweep');
  });

  it('is refused where there is nothing to watch, or no such interval', async () => {
    const cwd = temporaryFolder();
    const absent = await fln(['watch', 'nowhere'], { cwd });
    expect(absent).toMatchObject({ code: 2, stdout: '' });
    expect(absent.stderr).toContain('nowhere: there is no such directory');
    const interval = await fln(['watch', '.', '--every', '0'], { cwd });
    expect(interval.code).toBe(2);
    expect(interval.stderr).toContain('--every: expected a number of seconds, at least 0.1');
  });

  it.skipIf(process.platform === 'win32')('ends with 130 at Ctrl-C', async () => {
    const cwd = temporaryFolder();
    const running = new RunningDirectory(join(cwd, 'run'));
    const { code, stdout, stderr } = await fln(['watch', 'run'], {
      cwd,
      onStdout: (_, signal) => signal('SIGINT'),
    });
    running.release();
    expect({ code, stdout, stderr }).toEqual({
      code: 130,
      stdout: 'adam, seed 1: queued\n',
      stderr: '',
    });
  });
});
