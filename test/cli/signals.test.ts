import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { interruptible } from '../../src/cli/interrupt.js';
import { tinyConfig, untimed } from '../experiment/tiny.js';
import { fln, program, until, workplace } from './fln.js';

const statuses = (cwd: string) =>
  JSON.parse(readFileSync(join(cwd, 'run', 'run.json'), 'utf8')).runs.map(
    ({ status }: { status: string }) => status,
  );
// No checkpoint but the one that a signal asks for, however long the machine takes.
const checkpoints = ['--checkpoint-every', '0'];
const long = ['run', 'tiny.yaml', 'epochs=150', 'backend=wasm', '--only', 'sgd', ...checkpoints];

/** Runs `long`, and sends a signal once a tenth is done. */
function interrupted(name: NodeJS.Signals, cwd: string, separate = true) {
  let sent = false;
  return fln([...long, '--out', 'run'], {
    cwd,
    separate,
    // The tests may run under nohup themselves.
    env: { _: '' },
    onStderr: (text, signal) => {
      if (sent || !text.includes('(10 %)')) return;
      sent = true;
      signal(name);
    },
  });
}

// At SIGUSR1, Node itself opens a debugger where nothing listens. cli/run.test.ts sends SIGINT.
it.each([
  ['SIGHUP', false],
  ['SIGUSR1', true],
  ['SIGUSR2', false],
] as const)(
  'a run that gets %s writes a checkpoint, and says so by its exit code',
  async (name, separate) => {
    const cwd = workplace(tinyConfig);
    const { code, stderr } = await interrupted(name, cwd, separate);
    expect(code).toBe(75);
    expect(stderr).toContain(`${name}: stopping after this batch, with a checkpoint.`);
    expect(stderr).toContain('To resume run, repeat the command with --resume');
    expect(stderr).not.toContain('Debugger');
    expect(statuses(cwd)).toEqual(['INTERRUPTED']);
    expect(readdirSync(join(cwd, 'run', 'sgd-s1', 'checkpoints'))).toHaveLength(1);
  },
);

it('a run that gets SIGTERM goes on from its checkpoint to the same bytes', async () => {
  const cwd = workplace(tinyConfig);
  expect((await interrupted('SIGTERM', cwd)).code).toBe(75);
  expect(statuses(cwd)).toEqual(['INTERRUPTED']);
  expect(readdirSync(join(cwd, 'run', 'sgd-s1', 'checkpoints'))).toHaveLength(1);

  expect((await fln([...long, '--out', 'run', '--resume'], { cwd })).code).toBe(0);
  expect((await fln([...long, '--out', 'whole'], { cwd })).code).toBe(0);
  const csv = (directory: string) => untimed(join(cwd, directory, 'sgd-s1', 'metrics.csv'));
  expect(csv('run')).toBe(csv('whole'));
});

it('a command that does not train ends at SIGUSR1, and opens no debugger', async () => {
  // Names itself on stderr, then tries the backends for some seconds.
  const { code, stderr } = await fln(['doctor'], {
    cwd: workplace(tinyConfig),
    onStderr: (text, signal) => {
      if (text === 'Testing the backends ...\n') signal('SIGUSR1');
    },
  });
  expect(code).not.toBeNull();
  expect(stderr).not.toContain('Debugger');
});

it('goes on after SIGHUP under nohup', async () => {
  const cwd = workplace(tinyConfig);
  const words = [process.execPath, ...program, ...long, '--out', 'run'];
  const shell = spawn('bash', ['-c', 'nohup "$@" & echo $!; wait $!', 'bash', ...words], { cwd });
  let pid = '';
  let stderr = '';
  let sent = false;
  shell.stdout.setEncoding('utf8').on('data', (text) => {
    pid += text;
  });
  shell.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
    if (sent || !stderr.includes('(10 %)')) return;
    sent = true;
    process.kill(Number.parseInt(pid, 10), 'SIGHUP');
  });
  const code = await new Promise((resolve) => shell.on('close', resolve));
  expect({ code, sent }).toEqual({ code: 0, sent: true });
  expect(stderr).not.toContain('SIGHUP');
  expect(statuses(cwd)).toEqual(['COMPLETED']);
});

it('writes its checkpoint when Ctrl-C is pressed twice within one long batch', async () => {
  const cwd = workplace(tinyConfig);
  // Steps long enough for both signals to arrive during one.
  const slow = ['dataset.limit=1500', 'batchSize=full', 'epochs=8', 'network.layers.0.dense=400'];
  let sent = 0;
  const { code, stderr } = await fln([...long, ...slow, '--out', 'run'], {
    cwd,
    onStderr: (text, signal) => {
      if (sent > 0 || !text.includes(' %)')) return;
      sent++;
      // At once: later, the batch may have ended, and the second would count.
      signal('SIGINT');
      signal('SIGINT');
    },
  });
  expect(code).toBe(130);
  expect(stderr).toContain('interrupted after batch');
  expect(readdirSync(join(cwd, 'run', 'sgd-s1', 'checkpoints'))).toHaveLength(1);
  expect((await fln([...long, ...slow, '--out', 'run', '--resume'], { cwd })).code).toBe(0);
});

describe('interruptible', () => {
  it('ends the process at a second Ctrl-C, but not before the first was answered', async () => {
    const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never);
    onTestFinished(() => exit.mockRestore());
    const answers: string[] = [];
    await interruptible(
      ({ by }) => answers.push(by),
      async (signal) => {
        // Both in one turn of the event loop, as after a long batch.
        process.emit('SIGINT', 'SIGINT');
        process.emit('SIGINT', 'SIGINT');
        expect(signal.aborted).toBe(true);
        await nextTurn();
        expect(exit).not.toHaveBeenCalled();
        process.emit('SIGTERM', 'SIGTERM');
        expect(exit).not.toHaveBeenCalled();
        process.emit('SIGINT', 'SIGINT');
        expect(exit).toHaveBeenCalledExactlyOnceWith(130);
      },
    );
    expect(answers).toEqual(['SIGINT']);
  });
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
