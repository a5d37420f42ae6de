import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listRuns } from '../../src/index.js';
import { gateConfig, healthy, injectRuns } from '../verify/inject.js';
import { fln, workplace } from './fln.js';

/** Two run directories of three methods and three seeds, one trial of a sweep, one broken run. */
function results(): string {
  const cwd = workplace(gateConfig);
  injectRuns(join(cwd, 'results', 'a'), gateConfig, healthy);
  injectRuns(join(cwd, 'results', 'b'), gateConfig, { ...healthy, fenchel: [0.98, 0.981, 0.982] });
  mkdirSync(join(cwd, 'results', 'broken', 'adam-s1'), { recursive: true });
  writeFileSync(join(cwd, 'results', 'broken', 'adam-s1', 'metrics.csv'), 'hello\n');
  const sweep = join(cwd, 'results', 'sweeps', 's');
  mkdirSync(join(sweep, 'trials'), { recursive: true });
  writeFileSync(join(sweep, 'sweep.json'), '{"parameters":["methods.sgd.learningRate","epochs"]}');
  cpSync(join(cwd, 'results', 'a'), join(sweep, 'trials', '0123456789ab'), { recursive: true });
  return cwd;
}

const rows = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .slice(2)
    .map((line) => line.split(/ {2,}/));

it('the library lists runs without a condition, too', () => {
  const cwd = results();
  expect(listRuns([join(cwd, 'results')]).matching).toBe(27);
  expect(listRuns([join(cwd, 'results')], { limit: 3 }).runs).toHaveLength(3);
  expect(listRuns([join(cwd, 'results')], { where: ['method=adam'] }).matching).toBe(9);
});

describe('fln ls', () => {
  it('lists every run, those of sweeps too, and names the broken one', async () => {
    const cwd = results();
    const { code, stdout, stderr } = await fln(['ls', '--json'], { cwd });
    expect(code).toBe(0);
    const { runs, matching, problems } = JSON.parse(stdout);
    expect(runs).toHaveLength(27);
    expect(matching).toBe(27);
    expect(new Set(runs.map(({ directory }: { directory: string }) => directory))).toEqual(
      new Set(['results/a', 'results/b', 'results/sweeps/s/trials/0123456789ab']),
    );
    expect(problems).toHaveLength(1);
    expect(stderr).toBe(
      'warning: results/broken/adam-s1/metrics.csv:1: not a metrics file: columns method, seed, batch, epoch, ' +
        'wall_s, train_loss, train_accuracy, test_loss, test_accuracy, objective, residual, step_ms missing\n',
    );
  });

  it('chooses by results and settings, sorts and limits', async () => {
    const cwd = results();
    const where = ['--where', 'method=fenchel', '--where', 'test_accuracy>=98.1%'];
    const columns = ['--columns', 'directory,seed,test_accuracy'];
    const found = await fln(['ls', ...where, ...columns, '--sort=-test_accuracy', '--limit', '2'], {
      cwd,
    });
    expect(found.code).toBe(0);
    const [first, second] = rows(found.stdout);
    expect(first.slice(1)).toEqual(['3', '98.52 %']);
    expect(second).toHaveLength(3);
    expect(found.stdout).toMatch(/\.\.\. and 6 more of 8 runs\n$/);

    const by = async (...conditions: string[]) => {
      const where = conditions.flatMap((condition) => ['--where', condition]);
      const { stdout } = await fln(['ls', ...where, '--json'], { cwd });
      return JSON.parse(stdout).runs.map(({ directory }: { directory: string }) => directory);
    };
    expect(await by('directory~/B', 'seed<3', 'method!=sgd')).toEqual(Array(4).fill('results/b'));
    expect(await by('epochs>1000')).toEqual([]);
    expect(await by('dataset.name=mnist', 'seed=1', 'method=sgd')).toHaveLength(3);
  });

  it('ranks completed runs, and says when that is by test accuracy', async () => {
    const cwd = results();
    const record = join(cwd, 'results', 'a', 'run.json');
    const failed = readFileSync(record, 'utf8').replace('COMPLETED', 'FAILED');
    writeFileSync(record, failed);
    const args = ['ls', 'results/a', '--best', '--limit', '1', '--columns', 'method,seed,status'];
    const { stdout, stderr } = await fln(args, { cwd });
    expect(stderr).toContain('ranked by test accuracy, which is optimistic for the best run');
    expect(rows(stdout)).toEqual([['fenchel', 'COMPLETED', '3'], ['... and 7 more of 8 runs']]);
    const all = await fln(['ls', 'results/a', '--best', 'train_s', '--csv'], { cwd });
    expect(all.stdout.trimEnd().split('\n')).toHaveLength(9);
  });

  it('says in which time zone its times are', async () => {
    const cwd = results();
    const path = join(cwd, 'results', 'a', 'run.json');
    const record = JSON.parse(readFileSync(path, 'utf8'));
    record.runs[0].startedAt = '2026-01-31T09:05:07.000Z';
    record.runs[1].startedAt = '2026-02-01T02:00:00+05:30';
    writeFileSync(path, JSON.stringify(record));
    const args = ['ls', 'results/a', '--columns', 'seed,started', '--where', 'started~2026'];
    const { stdout } = await fln(args, { cwd });
    expect(stdout).toContain('  2026-01-31 09:05 UTC');
    expect(stdout).toContain('  2026-01-31 20:30 UTC');
  });

  it('shows what varies in a sweep', async () => {
    const { stdout } = await fln(['ls', 'results/sweeps/s', '--markdown'], { cwd: results() });
    expect(stdout.split('\n')[0]).toMatch(
      /^\| directory \| method \| .*\| learningRate \| epochs \|$/,
    );
  });

  it('names what it does not know, and the way out', async () => {
    const cwd = results();
    const refused = async (...args: string[]) => {
      const { code, stderr } = await fln(['ls', ...args], { cwd });
      expect(code).toBe(2);
      return stderr;
    };
    expect(await refused('--where', 'sead=1')).toMatch(
      /"sead"; did you mean "seed"\?[\s\S]*Fields: /,
    );
    expect(await refused('--where', 'seed')).toContain('"seed" is not a condition; examples:');
    expect(await refused('--sort', 'x', '--best', 'seed')).toContain('choose one');
    expect(await refused('absent')).toContain('absent: there is no such directory');
    const none = await fln(['ls', '--where', 'seed=99'], { cwd });
    expect(none).toMatchObject({ code: 0, stdout: '' });
    expect(none.stderr).toContain('none of 27 runs matches');
  });
});

describe('fln diff', () => {
  it('finds the settings, the provenance, the results and the first batch that differ', async () => {
    const cwd = results();
    const { code, stdout } = await fln(['diff', 'results/a', 'results/b'], { cwd });
    expect(code).toBe(0);
    expect(stdout).toContain('Settings: the same.');
    expect(stdout).toMatch(/fenchel, seed 1 +98\.\d\d % +98\.00 % +-0\.\d\d/);
    expect(stdout).toMatch(/fenchel, seed 1: differ from batch \d+ on: .*test_accuracy/);
    expect(stdout).toMatch(/adam, seed 1: the same in all \d+ batches/);
    const json = JSON.parse(
      (await fln(['diff', 'results/a', 'results/b', '--json'], { cwd })).stdout,
    );
    expect(json.identical).toBe(false);
  });

  it('says that two runs are the same, clocks aside', async () => {
    const cwd = results();
    const csv = join(
      cwd,
      'results',
      'sweeps',
      's',
      'trials',
      '0123456789ab',
      'sgd-s1',
      'metrics.csv',
    );
    const [head, ...lines] = readFileSync(csv, 'utf8').split('\n');
    const wall = head.split(',').indexOf('wall_s');
    const slower = lines.map((line) =>
      line
        .split(',')
        .map((cell, i) => (i === wall ? `${Number(cell) + 1}` : cell))
        .join(','),
    );
    writeFileSync(csv, [head, ...slower].join('\n'));
    const { stdout } = await fln(['diff', 'results/a', 'results/sweeps'], { cwd });
    expect(stdout).toContain('The two are the same');
  });

  it('shows a changed setting, and a method that one side has', async () => {
    const cwd = results();
    const config = join(cwd, 'results', 'b', 'config.yaml');
    const text = readFileSync(config, 'utf8');
    writeFileSync(
      config,
      `${text.replace(/epochs: \d+/, 'epochs: 77').replaceAll('sgd', 'sgd-b')}`,
    );
    const { stdout } = await fln(['diff', 'results/a', 'results/b'], { cwd });
    expect(stdout).toMatch(/^ {2}epochs +\d+ +77$/m);
    expect(stdout).toMatch(/^ {2}methods\.sgd +sgd +–$/m);
    expect(stdout).not.toContain('methods.sgd.');
  });

  it('refuses what is no run directory, and lists the candidates', async () => {
    const cwd = results();
    const { code, stderr } = await fln(['diff', 'results', 'results/a'], { cwd });
    expect(code).toBe(2);
    expect(stderr).toMatch(/results holds \d+ run directories; name one of them:\n {2}results\/a/);
  });
});
