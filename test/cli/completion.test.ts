import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import {
  bashCompletion,
  completionEntries,
  fishCompletion,
  zshCompletion,
} from '../../src/cli/commands/completion.js';
import { commands } from '../../src/cli/commands.js';
import { temporaryFolder } from '../experiment/tiny.js';
import { fln } from './fln.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

const run = promisify(execFile);
const has = (shell: string) => spawnSync(shell, ['--version']).status === 0;

/** A folder with the script in it, and files to complete. */
async function place(write: typeof bashCompletion): Promise<string> {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'script'), write(await completionEntries(commands)));
  mkdirSync(join(folder, 'configs'));
  writeFileSync(join(folder, 'configs', 'mnist.yaml'), '');
  return folder;
}

describe.skipIf(!has('bash'))('completion in bash', () => {
  const complete = async (...words: string[]) => {
    const cwd = await place(bashCompletion);
    const array = words.map((word) => `'${word}'`).join(' ');
    const script = `source ./script; COMP_WORDS=(${array}); COMP_CWORD=${words.length - 1}; _fln; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await run('bash', ['-euc', script], { cwd });
    return stdout.split('\n').filter((line) => line !== '');
  };

  it('knows commands, options, their values, and words of arguments', async () => {
    const names = commands.filter(({ isInternal }) => !isInternal).map(({ name }) => name);
    expect(await complete('fln', '')).toEqual([...names, '--help', '--version']);
    expect(await complete('fln', 'co')).toEqual(['compare', 'completion']);
    expect(await complete('fln', 'run', 'x.yaml', '--res')).toEqual(['--resume']);
    expect(await complete('fln', 'sweep', 's.yaml', '--launcher', '')).toEqual(['local', 'slurm']);
    expect(await complete('fln', 'run', '--progress', 'b')).toEqual(['bar']);
    expect(await complete('fln', 'data', 'f')).toEqual(['fetch']);
    expect(await complete('fln', 'data', 'fetch', 'mn')).toEqual(['mnist']);
    expect(await complete('fln', 'backend', 'install', 'web')).toEqual(['webgpu']);
    expect(await complete('fln', 'verify', '--up')).toEqual(['--update-baseline']);
  });

  it('completes overrides from the fields of the config', async () => {
    const cwd = await place(bashCompletion);
    const bin = join(root, 'bin', 'fln.js');
    writeFileSync(join(cwd, 'fln'), `#!/bin/sh\nexec '${process.execPath}' '${bin}' "$@"\n`, {
      mode: 0o755,
    });
    const text = 'methods:\n  - { name: fenchel, label: fast }\n  - { name: adam }\n';
    writeFileSync(join(cwd, 'x.yaml'), text);
    const after = async (...words: string[]) => {
      const all = ['fln', 'run', 'x.yaml', ...words];
      const array = all.map((word) => `'${word}'`).join(' ');
      const script = `PATH="$PWD:$PATH"; source ./script; COMP_WORDS=(${array}); COMP_CWORD=${all.length - 1}; _fln; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { stdout } = await run('bash', ['-euc', script], { cwd });
      return stdout.split('\n').filter((line) => line !== '');
    };
    expect(await after('methods.')).toEqual(['methods.fast.', 'methods.adam.']);
    expect(await after('methods.fast.rms')).toEqual(['methods.fast.rmsChange=']);
    // bash splits words at the equals sign.
    expect(await after('loss', '=')).toEqual(['cross-entropy', 'mse']);
    expect(await after('--out', 'con')).toEqual(['configs']);
    expect(await after('conf')).toEqual(['configs']);
  });

  it('completes files where nothing else is', async () => {
    expect(await complete('fln', 'run', 'conf')).toEqual(['configs']);
    expect(await complete('fln', 'run', 'configs/m')).toEqual(['configs/mnist.yaml']);
    expect(await complete('fln', 'run', '--out', 'con')).toEqual(['configs']);
  });
});

it.skipIf(!has('zsh'))('completion in zsh is valid and knows the commands', async () => {
  const cwd = await place(zshCompletion);
  const { stdout } = await run(
    'zsh',
    ['-fc', 'autoload -U compinit; compinit -u -d dump; source ./script; whence -w _fln'],
    { cwd },
  );
  expect(stdout).toBe('_fln: function\n');
});

it.skipIf(!has('fish'))('completion in fish knows commands, options and words', async () => {
  const cwd = await place(fishCompletion);
  const complete = async (line: string) => {
    const { stdout } = await run('fish', ['-Nc', `source ./script; complete -C '${line}'`], {
      cwd,
    });
    return stdout
      .trimEnd()
      .split('\n')
      .map((text) => text.split('\t')[0]);
  };
  expect(await complete('fln dat')).toEqual(['data']);
  expect(await complete('fln data f')).toEqual(['fetch']);
  expect(await complete('fln data fetch mn')).toEqual(['mnist']);
  expect(await complete('fln run --resu')).toEqual(['--resume']);
  expect(await complete('fln sweep x --launcher s')).toEqual(['slurm']);
});

it('prints the script of a shell, and says which there are', async () => {
  const cwd = temporaryFolder();
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { code, stdout } = await fln(['completion', shell], { cwd });
    expect({ code, isFor: stdout.includes(`${shell} completion of fln`) }).toEqual({
      code: 0,
      isFor: true,
    });
  }
  const none = await fln(['completion', 'tcsh'], { cwd });
  expect(none.code).toBe(2);
  expect(none.stderr).toContain(
    'Use fln completion bash, fln completion zsh or fln completion fish.',
  );
});
