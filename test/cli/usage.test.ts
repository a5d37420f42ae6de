import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { backendNames } from '../../src/backend/registry.js';
import { tinyConfig } from '../experiment/tiny.js';
import { fln, workplace } from './fln.js';

const table: [args: string[], message: string][] = [
  [['rnu', 'tiny.yaml'], 'there is no command "rnu" (did you mean "run"?). See fln --help'],
  [['frobnicate'], 'there is no command "frobnicate". See fln --help'],
  [['--resume'], 'an option must follow a command, as in: fln run CONFIG --resume. See fln --help'],
  [['run'], 'run needs a config file, as in: fln run configs/quickstart.yaml. See fln run --help'],
  [
    ['run', 'tiny.yaml', '--resmue'],
    'there is no option --resmue (did you mean "--resume"?). See fln run --help',
  ],
  [
    ['run', 'tiny.yaml', '--dry-rum', '--ofline'],
    'there is no option --dry-rum (did you mean "--dry-run"?); there is no option --ofline (did you mean "--offline"?). See fln run --help',
  ],
  [
    ['run', 'tiny.yaml', '--epochs=2'],
    'there is no option --epochs (values of the config are changed without dashes, as in epochs=2). See fln run --help',
  ],
  [
    ['run', 'tiny.yaml', '--backend', 'wasn'],
    `--backend: expected one of auto, ${backendNames.join(', ')}, got "wasn"`,
  ],
  [
    ['run', 'tiny.yaml', '--device', 'gpu'],
    '--device: expected one of cpu, cuda, got "gpu". See fln run --help',
  ],
  [
    ['run', 'tiny.yaml', '--seeds', '1,x'],
    '--seeds: expected positive integers and ranges, as in 1-5 or 1,3-5, got "x". See fln run --help',
  ],
  [['run', 'tiny.yaml', '--seeds'], '--seeds needs a value. See fln run --help'],
  [['run', 'tiny.yaml', '--only', ','], '--only needs a value. See fln run --help'],
  [
    ['run', 'tiny.yaml', '--dry-run=yes'],
    '--dry-run takes no value, got "yes". See fln run --help',
  ],
  [
    ['run', 'tiny.yaml', '--progress', 'txt'],
    '--progress: expected one of auto, bar, text, none, got "txt". See fln run --help',
  ],
  [
    ['run', 'tiny.yaml', '--progress', 'bar', '--progress', 'text'],
    '--progress is given twice. See fln run --help',
  ],
  [
    ['plot', '-'],
    '"-" is not an option or a file; standard input is /dev/stdin. See fln plot --help',
  ],
  [['verify', 'x'.repeat(300)], `${'x'.repeat(300)}: cannot be read: the path is too long`],
  [['ls', '--help=yes'], '--help takes no value, got "yes". See fln ls --help'],
  [['ls', '--best', 'a', '--best', 'b'], '--best is given twice. See fln ls --help'],
  [
    ['ls', '--limit', '1', '--limit', '2'],
    '--limit: expected one number, got 2. See fln ls --help',
  ],
  [
    ['diff', 'a'],
    'diff needs two run directories, as in: fln diff results/a results/b. See fln diff --help',
  ],
  [['plot', 'a', '--z', 'loss'], 'there is no option --z. See fln plot --help'],
  [['plot', 'a', '--z=loss'], 'there is no option --z. See fln plot --help'],
  [['plot', 'a', '-z', 'loss'], 'there is no option -z. See fln plot --help'],
  [['plot'], 'plot needs a run directory, as in: fln plot results/quickstart. See fln plot --help'],
  [
    ['compare'],
    'compare needs a run directory, as in: fln compare results/quickstart. See fln compare --help',
  ],
  [
    ['compare', 'a', '--json', '--csv'],
    '--json and --csv are given together: choose one. See fln compare --help',
  ],
  [
    ['verify'],
    'verify needs a run directory or a config, as in: fln verify configs/mnist-mlp.yaml. See fln verify --help',
  ],
  [
    ['bound'],
    'bound needs a config file, as in: fln bound configs/bound.yaml. See fln bound --help',
  ],
  [
    ['bound', 'tiny.yaml', '--lambda', '1,x'],
    '--lambda: expected a number, got "x". See fln bound --help',
  ],
  [
    ['bound', 'tiny.yaml', '--sweeps', '1,2'],
    '--sweeps: expected one number, got 2. See fln bound --help',
  ],
  [['plot', 'a', '--title', 'b', '--title', 'c'], '--title is given twice. See fln plot --help'],
  [['run', 'tiny.yaml', '--out', 'a', '--out', 'b'], '--out is given twice. See fln run --help'],
  [
    ['run', 'tiny.yaml', '--only', 'adan'],
    '--only: no method is labelled "adan"; the labels are adam, sgd',
  ],
];

describe('fln', () => {
  it.each(table)('%j', async (args, message) => {
    const cwd = workplace(tinyConfig);
    expect(await fln(args, { cwd })).toEqual({ code: 2, stdout: '', stderr: `${message}\n` });
  });

  it('shows its help on stderr and exits 2 without a command', async () => {
    const { code, stdout, stderr } = await fln([], { cwd: workplace(tinyConfig) });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('fln run CONFIG [path=value ...]');
  });

  it('answers --help and --version on stdout', async () => {
    const cwd = workplace(tinyConfig);
    const help = await fln(['--help'], { cwd });
    expect(help).toMatchObject({ code: 0, stderr: '' });
    for (const command of ['run', 'plot', 'compare', 'verify', 'bound', 'data', 'schema']) {
      expect(help.stdout).toContain(`fln ${command}`);
    }
    const { version } = JSON.parse(
      readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
    );
    expect(await fln(['--version'], { cwd })).toEqual({
      code: 0,
      stdout: `${version}\n`,
      stderr: '',
    });
    expect((await fln(['run', '--help'], { cwd })).stdout).toContain('--print-config');
  });

  it('reports every error of a config at once and trains nothing', async () => {
    const cwd = workplace(tinyConfig.replace('batchSize: 50', 'batchsize: 50\nlos: mse'));
    const { code, stdout, stderr } = await fln(['run', 'tiny.yaml'], { cwd });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('did you mean "batchSize"?');
    expect(stderr).toContain('did you mean "loss"?');
  });
});
