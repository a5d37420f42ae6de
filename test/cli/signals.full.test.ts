import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { tinyConfig } from '../experiment/tiny.js';
import { fln, program, until, workplace } from './fln.js';

// No checkpoint but the one that a signal asks for, however long the machine takes.
const endless = [
  'run',
  '--checkpoint-every',
  '0',
  'tiny.yaml',
  'epochs=100000',
  'backend=wasm',
  '--only',
  'sgd',
  '--out',
  'run',
];

it.each(['SIGHUP', 'SIGUSR2'] as const)('a run writes a checkpoint at %s', async (name) => {
  const cwd = workplace(tinyConfig);
  let stop = () => {};
  const running = fln(endless, {
    cwd,
    // The tests may run under nohup themselves.
    env: { _: '' },
    onStderr: (_, signal) => {
      stop = () => signal(name);
    },
  });
  await until(() => existsSync(join(cwd, 'run', 'sgd-s1', 'metrics.csv')));
  stop();
  const { code, stderr } = await running;
  expect(code).toBe(75);
  expect(stderr).toContain(`${name}: stopping after this batch, with a checkpoint.`);
  expect(readdirSync(join(cwd, 'run', 'sgd-s1', 'checkpoints'))).toHaveLength(1);
});

it.each([
  ['SIGTERM', 'npx'],
  ['SIGHUP', 'npx'],
  ['SIGKILL', 'npx'],
  ['SIGTERM', 'npm run'],
  ['SIGHUP', 'npm run'],
] as const)('a run writes a checkpoint when %s ends the %s that started it', async (name, by) => {
  const cwd = workplace(tinyConfig);
  const bin = join(cwd, 'node_modules', '.bin', 'fln');
  mkdirSync(join(bin, '..'), { recursive: true });
  const words = [process.execPath, ...program].map((word) => `'${word}'`);
  writeFileSync(bin, `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`);
  chmodSync(bin, 0o755);
  const scripts = { train: `fln ${endless.join(' ')}` };
  writeFileSync(join(cwd, 'package.json'), JSON.stringify({ name: 'x', scripts }));
  const [command, ...args] = by === 'npx' ? ['npx', 'fln', ...endless] : ['npm', 'run', 'train'];
  const npm = spawn(command, args, {
    cwd,
    env: { ...process.env, FLN_CACHE_DIR: join(cwd, 'cache') },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  // Closes once the run, which outlives npm, has ended.
  const closed = new Promise((resolve) => npm.on('close', resolve));
  npm.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
    if (text.includes('Results:')) setTimeout(() => npm.kill(name), 1000);
  });
  await closed;
  expect(stderr).toContain(
    'npm, which started fln, has ended: stopping after this batch, with a checkpoint.',
  );
  const { runs } = JSON.parse(readFileSync(join(cwd, 'run', 'run.json'), 'utf8'));
  expect(runs[0].status).toBe('INTERRUPTED');
  expect(readdirSync(join(cwd, 'run', 'sgd-s1', 'checkpoints'))).toHaveLength(1);
});

const script = '/usr/bin/script';
it.skipIf(process.platform !== 'linux' || !existsSync(script))(
  'a run writes a checkpoint and exits 75 when its terminal goes away',
  async () => {
    const cwd = workplace(tinyConfig);
    const command = [process.execPath, ...program, ...endless].map((word) => `'${word}'`).join(' ');
    // A shell that hands the hang-up on, as shells do, and outlives it, to see the exit code.
    const shell = `${command} & trap "kill -HUP $!" HUP; wait $!; wait $!; echo $? > code.tmp; mv code.tmp code`;
    const terminal = spawn(script, ['-qfc', shell, '/dev/null'], {
      cwd,
      env: { ...process.env, FLN_CACHE_DIR: join(cwd, 'cache') },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    terminal.stdout.setEncoding('utf8').on('data', (text) => {
      if (text.includes('accuracy')) terminal.kill('SIGKILL');
    });
    while (!existsSync(join(cwd, 'code'))) await sleep(100);
    expect(readFileSync(join(cwd, 'code'), 'utf8')).toBe('75\n');
    expect(readdirSync(join(cwd, 'run', 'sgd-s1', 'checkpoints'))).toHaveLength(1);
  },
);

it('does not count the time for which it was stopped as training', async () => {
  const cwd = workplace(tinyConfig);
  // Nearly all of the time is spent in steps.
  const slow = ['dataset.limit=1500', 'batchSize=full', 'epochs=12', 'network.layers.0.dense=400'];
  let pause: Promise<void> | undefined;
  const { code } = await fln([...endless, ...slow, 'evaluate.every=100'], {
    cwd,
    onStderr: (text, signal) => {
      if (pause || !text.includes('batch 2/')) return;
      signal('SIGSTOP');
      pause = sleep(8000).then(() => signal('SIGCONT'));
    },
  });
  expect(code).toBe(0);
  expect(pause).toBeDefined();
  const { startedAt, endedAt, summary } = JSON.parse(
    readFileSync(join(cwd, 'run', 'run.json'), 'utf8'),
  ).runs[0];
  const elapsed = (Date.parse(endedAt) - Date.parse(startedAt)) / 1000;
  expect(elapsed).toBeGreaterThan(8);
  expect(summary.wallSeconds).toBeGreaterThan(0);
  expect(summary.wallSeconds).toBeLessThan(elapsed - 7.5);
  expect(existsSync(join(cwd, 'run', 'sgd-s1', 'metrics.csv'))).toBe(true);
});
