import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { newsIn } from '../../src/backend/tensorflow/start-up-log.js';
import { temporaryFolder } from '../experiment/tiny.js';

const startUp =
  'WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n' +
  'I0000 00:00:1.5   10 port.cc:153] oneDNN custom operations are on.\n';

it('what TensorFlow says at its start is no news, warnings and errors are', () => {
  expect(newsIn(startUp)).toBe('');
  const warning = 'W0000 00:00:1.5   10 cuda.cc:1] no GPU';
  expect(newsIn(`${startUp}${warning}\n/lib/x.so: symbol lookup error\n`)).toBe(
    `${warning}\n/lib/x.so: symbol lookup error`,
  );
});

/** What reaches a pipe from a process that loads a library which prints to descriptor 2. */
function loading(said: string, then: string): { shown: string; left: string[] } {
  const folder = temporaryFolder();
  const file = join(folder, 'main.mts');
  const source = new URL('../../src/backend/tensorflow/start-up-log.ts', import.meta.url).href;
  writeFileSync(
    file,
    `import { writeSync } from 'node:fs';
     const { loadWithoutStartUpLines } = await import(${JSON.stringify(source)});
     console.error('before');
     try {
       loadWithoutStartUpLines(() => { writeSync(2, ${JSON.stringify(said)}); ${then} });
     } catch (error) { console.error('failed: ' + error.message); }
     console.error('after');`,
  );
  // A pipe of the shell: Node's own are sockets.
  const command = ['-c', '"$@" 2>&1 | cat', 'sh', process.execPath];
  const { stdout } = spawnSync('sh', [...command, '--import', import.meta.resolve('tsx'), file], {
    env: { ...process.env, TMPDIR: folder },
    encoding: 'utf8',
  });
  const left = readdirSync(folder).filter((entry) => entry.startsWith('fln-stderr'));
  return { shown: stdout, left };
}

it.runIf(process.platform === 'linux')(
  'start-up lines do not reach a terminal or a pipe, all else does',
  () => {
    const quiet = loading(startUp, '');
    expect(quiet).toEqual({ shown: 'before\nafter\n', left: [] });
    const warned = loading(`${startUp}E0000 bad driver\n`, '');
    expect(warned.shown).toBe('before\nE0000 bad driver\nafter\n');
    const failed = loading(`${startUp}F0000 no symbol\n`, "throw new Error('cannot open x.so')");
    expect(failed).toEqual({
      shown: 'before\nfailed: cannot open x.so; F0000 no symbol\nafter\n',
      left: [],
    });
  },
);
