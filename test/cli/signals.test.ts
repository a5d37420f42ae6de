import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tinyConfig, untimed } from '../experiment/tiny.js';
import { fln, until, workplace } from './fln.js';

const statuses = (cwd: string) =>
  JSON.parse(readFileSync(join(cwd, 'run', 'run.json'), 'utf8')).runs.map(
    ({ status }: { status: string }) => status,
  );
const long = ['run', 'tiny.yaml', 'epochs=150', 'backend=wasm', '--only', 'sgd'];

describe.each(['SIGTERM', 'SIGUSR2', 'SIGINT'] as const)('a run that gets %s', (name) => {
  it('writes a checkpoint, says so by its exit code, and goes on to the same bytes', async () => {
    const cwd = workplace(tinyConfig);
    let sent = false;
    const first = await fln([...long, '--out', 'run'], {
      cwd,
      onStderr: (text, signal) => {
        if (!sent && text.includes('(10 %)')) signal(name);
        sent ||= text.includes('(10 %)');
      },
    });
    expect(first.code).toBe(name === 'SIGINT' ? 130 : 75);
    expect(first.stderr).toContain('The same command with --resume goes on in run');
    expect(statuses(cwd)).toEqual(['INTERRUPTED']);
    expect(readdirSync(join(cwd, 'run', 'sgd-s1', 'checkpoints'))).toHaveLength(1);

    expect((await fln([...long, '--out', 'run', '--resume'], { cwd })).code).toBe(0);
    expect((await fln([...long, '--out', 'whole'], { cwd })).code).toBe(0);
    const csv = (directory: string) => untimed(join(cwd, directory, 'sgd-s1', 'metrics.csv'));
    expect(csv('run')).toBe(csv('whole'));
  });
});

it('stops at once on a second Ctrl-C, without waiting for a checkpoint', async () => {
  const cwd = workplace(tinyConfig);
  // Steps long enough for both signals to arrive during one.
  const slow = ['dataset.limit=1500', 'batchSize=full', 'epochs=8', 'network.layers.0.dense=400'];
  let sent = 0;
  const { code, stderr } = await fln([...long, ...slow, '--out', 'run'], {
    cwd,
    onStderr: (text, signal) => {
      if (sent > 0 || !text.includes(' %)')) return;
      sent++;
      signal('SIGINT');
      setTimeout(() => signal('SIGINT'), 30);
    },
  });
  expect(code).toBe(130);
  expect(stderr).not.toContain('interrupted after batch');
  expect(existsSync(join(cwd, 'run', 'sgd-s1', 'checkpoints'))).toBe(false);
  // Nothing is lost: the directory is taken over, and the run trained again.
  expect((await fln([...long, ...slow, '--out', 'run', '--resume'], { cwd })).code).toBe(0);
});

it('lets one of two processes that start on one directory train, and refuses the other', async () => {
  const cwd = workplace(tinyConfig);
  // Without an end of its own, so that neither can be through before the other has begun.
  const endless = [...long, 'epochs=100000', '--out', 'run', '--resume'];
  const stop: (() => void)[] = [];
  const both = [0, 1].map((i) =>
    fln(endless, {
      cwd,
      onStderr: (_, signal) => {
        stop[i] = () => signal('SIGTERM');
      },
    }),
  );
  const refused = await Promise.race(both);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(
    /^process \d+ .*is writing into .*run\. Wait for it, or write elsewhere/m,
  );
  await until(() => existsSync(join(cwd, 'run', 'sgd-s1', 'metrics.csv')));
  for (const one of stop) one();
  expect((await Promise.all(both)).map(({ code }) => code).toSorted()).toEqual([1, 75]);
  expect(statuses(cwd)).toEqual(['INTERRUPTED']);
});
