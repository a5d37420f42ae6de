import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { loadRunDirectory } from '../../src/runs/run-directory.js';
import { lockDirectory, lockName } from '../../src/runs/run-directory-writer.js';
import { program } from '../cli/fln.js';
import { temporaryFolder, tinyConfig } from '../experiment/tiny.js';

/** What a container is here: a PID namespace of its own, under the host's name. */
const contained = ['--pid', '--fork', '--mount-proc', '--kill-child'];
// Only root may make one, and not in every container.
const canContain = spawnSync('unshare', [...contained, 'true']).status === 0;

it.skipIf(!canContain)('two containers of one host name share a folder of runs', async () => {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, 'long.yaml'), tinyConfig.replace('epochs: 2', 'epochs: 100000'));
  const out = join(cwd, 'out');
  const args = [
    'run',
    'long.yaml',
    '--out',
    out,
    '--progress',
    'none',
    '--checkpoint-every',
    '1e-9',
  ];
  const command = [...contained, process.execPath, ...program, ...args];
  const status = () => loadRunDirectory(out).runs[0]?.status;
  const lock = () => JSON.parse(readFileSync(join(out, lockName), 'utf8'));

  const first = spawn('unshare', command, { cwd, stdio: 'ignore' });
  onTestFinished(() => void first.kill('SIGKILL'));
  while (!existsSync(join(out, 'adam-s1', 'metrics.csv'))) {
    expect(first.exitCode).toBeNull();
    await sleep(50);
  }
  const { token } = lock();
  // The host sees it run, and a second container, whose numbers are the same, is refused.
  expect(status()).toBe('RUNNING');
  const second = await ended(execFile('unshare', [...command, '--resume'], { cwd }));
  expect(second.code).toBe(1);
  expect(second.stderr).toMatch(/^process \d+ on .* is writing into .* expires in 1[678]\d s/);
  expect(lock().token).toBe(token);
  expect(status()).toBe('RUNNING');

  // Started again after it was killed, it goes on at once, whatever its namespace is called.
  first.kill('SIGKILL');
  await ended(first);
  while (status() !== 'INTERRUPTED') await sleep(50);
  const again = await ended(execFile('unshare', [...command, '--resume', '--dry-run'], { cwd }));
  expect(again.stderr).toBe('');
  expect(again.code).toBe(0);
  lockDirectory(out).release();
});

function ended(child: ChildProcess): Promise<{ code: number | null; stderr: string }> {
  let stderr = '';
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stderr })));
}
