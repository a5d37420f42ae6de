import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseExperiment } from '../../src/config/load.js';
import { tinyConfig } from '../experiment/tiny.js';
import { gateConfig, healthy, injectRuns, type Results } from '../verify/inject.js';
import { fln, type Outcome, workplace } from './fln.js';

/** Verifies a run directory that holds these results. */
function verify(results: Results, ...options: string[]): Promise<Outcome> {
  const cwd = workplace(gateConfig);
  injectRuns(join(cwd, 'run'), gateConfig, results);
  return fln(['verify', 'run', ...options], { cwd });
}

describe('fln verify', () => {
  it('exits 0 when every method keeps its limits, and lists methods that are not judged', async () => {
    const { code, stdout, stderr } = await verify(healthy);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const row = (pattern: string) => new RegExp(`^${pattern.replaceAll(' ', ' +')}$`, 'm');
    const fenchel =
      'fenchel 3 98\\.49 ± 0\\.08 % 97\\.60 % >= 98\\.3 % \\+0\\.19 0\\.12 \\(test set\\) ok';
    expect(stdout).toMatch(row(fenchel));
    expect(stdout).toMatch(row('adam 3 97\\.65 .* <= 98 % -0\\.35 0\\.13 \\(test set\\) ok'));
    expect(stdout).toMatch(row('sgd 3 94\\.10 ± 0\\.25 % – – – – not judged'));
  });

  it('does not fail on the spread of seeds just below the limit', async () => {
    const { code, stdout } = await verify({ ...healthy, fenchel: [0.9818, 0.9836, 0.9822] });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^fenchel .* -0\.05 .* ok, within tolerance$/m);
  });

  it('exits 3 on a drop of half a point and reports method and difference', async () => {
    const { code, stdout, stderr } = await verify({ ...healthy, fenchel: [0.978, 0.9784, 0.9776] });
    expect(code).toBe(3);
    expect(stdout).toMatch(/^fenchel .* FAILED$/m);
    expect(stdout).toMatch(/^adam .* ok$/m);
    expect(stderr).toBe(
      'Verification failed:\n  fenchel: 97.80 % is 0.500 points below atLeast 98.3 %, ' +
        'more than the tolerance of 0.123 (test set)\n',
    );
  });

  it('exits 3 on a collapsed seed, which a t-test alone would not detect', async () => {
    const { code, stderr } = await verify({ ...healthy, fenchel: [0.985, 0.1135, 0.986] });
    expect(code).toBe(3);
    expect(stderr).toContain(
      'fenchel: collapsed: seed 2 with 11.35 % is 86.95 points below atLeast, 98.3 %, more than 6 binomial standard errors',
    );
  });

  it('exits 3 and names every run without a result', async () => {
    const { code, stdout, stderr } = await verify({
      ...healthy,
      fenchel: [0.985, 'FAILED', 'absent'],
      adam: [],
    });
    expect(code).toBe(3);
    expect(stdout).toMatch(/^fenchel +1 of 3 .* FAILED$/m);
    expect(stderr).toBe(
      [
        'Verification failed:',
        '  fenchel: no result from 2 of 3 seeds: seed 2: failed: the loss became NaN at batch 9; seed 3: not run',
        '  adam: no result from 3 of 3 seeds: seed 1: not run; seed 2: not run; seed 3: not run',
        'Train the missing runs with: fln run run/config.yaml --resume --out run',
        '',
      ].join('\n'),
    );
  });

  it('takes results from metrics.csv only', async () => {
    const cwd = workplace(gateConfig);
    injectRuns(join(cwd, 'run'), gateConfig, healthy);
    rmSync(join(cwd, 'run', 'fenchel-s1', 'metrics.csv'));
    writeFileSync(join(cwd, 'run', 'adam-s2', 'metrics.csv'), 'hello\n');
    const { code, stderr } = await fln(['verify', 'run'], { cwd });
    expect(code).toBe(3);
    expect(stderr).toContain('seed 1: its metrics.csv is absent');
    expect(stderr).toContain('seed 2: its metrics.csv is damaged');
  });

  it('prints only JSON on stdout with --json', async () => {
    const ok = await verify(healthy, '--json');
    expect(ok.stderr).toBe('');
    expect(JSON.parse(ok.stdout)).toMatchObject({ ok: true, exitCode: 0, failures: [] });
    const bad = await verify({ ...healthy, fenchel: [0.978, 0.9784, 0.9776] }, '--json');
    expect(bad.code).toBe(3);
    const { failures, methods, ...rest } = JSON.parse(bad.stdout);
    expect(rest).toMatchObject({ ok: false, exitCode: 3, experiment: 'gate', testImages: 10000 });
    expect(failures).toEqual([expect.stringContaining('fenchel: 97.80 % is 0.500 points below')]);
    expect(methods[0]).toMatchObject({ method: 'fenchel', verdict: 'failed' });
    expect(methods[0].checks[0].difference).toBeCloseTo(-0.005, 12);
    expect(methods[2]).toMatchObject({ method: 'sgd', verdict: 'not judged' });
  });

  it('finds the run directory of a config, or takes one with --run, and says how to create one', async () => {
    const cwd = workplace(gateConfig);
    const absent = await fln(['verify', 'tiny.yaml', 'epochs=2', 'seeds=[1]'], { cwd });
    expect(absent.code).toBe(2);
    expect(absent.stderr).toMatch(
      /^there are no results of tiny\.yaml: results\/gate\/[0-9a-f]{12} does not exist\. Train first: fln run tiny\.yaml epochs=2 'seeds=\[1\]'; if they are elsewhere, pass their directory with --run DIR\n$/,
    );

    const { hash } = parseExperiment(gateConfig, 'tiny.yaml').experiment;
    injectRuns(join(cwd, 'results', 'gate', hash), gateConfig, healthy);
    injectRuns(join(cwd, 'other'), gateConfig, { ...healthy, adam: [0.9, 0.9, 0.9] });
    expect((await fln(['verify', 'tiny.yaml'], { cwd })).code).toBe(0);
    for (const option of ['--run', '--out']) {
      const other = await fln(['verify', 'tiny.yaml', option, 'other'], { cwd });
      expect(other.code).toBe(3);
      expect(other.stderr).toContain('adam: 90.00 % is 7.000 points below');
    }
    const stricter = await fln(['verify', 'tiny.yaml', 'expect.fenchel.atLeast=0.99'], { cwd });
    expect(stricter.code).toBe(3);
  });

  it.each([
    [
      'a directory of other settings',
      ['tiny.yaml', 'epochs=5', '--run', 'a'],
      /their settings differ/,
    ],
    ['several run directories', ['.'], /holds 2 run directories; name one of them:\n {2}a\n {2}b$/],
    ['--run with a directory', ['a', '--run', 'b'], /and a is a run directory$/],
    ['a directory without runs', ['empty'], /^empty is not a run directory, and has none below it/],
    ['a config that limits nothing', ['b'], /has no limits to verify/],
  ])('exits 2 for %s', async (_, args, message) => {
    const cwd = workplace(gateConfig);
    injectRuns(join(cwd, 'a'), gateConfig, healthy);
    injectRuns(join(cwd, 'b'), gateConfig.slice(0, gateConfig.indexOf('expect:')), healthy);
    mkdirSync(join(cwd, 'empty'));
    const { code, stdout, stderr } = await fln(['verify', ...args], { cwd });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr.trimEnd()).toMatch(message);
  });

  it('exits 2 without config.yaml, and 2 where the config never measured the test set', async () => {
    const cwd = workplace(gateConfig);
    injectRuns(join(cwd, 'a'), gateConfig, healthy);
    rmSync(join(cwd, 'a', 'config.yaml'));
    const without = await fln(['verify', 'a'], { cwd });
    expect(without.code).toBe(2);
    expect(without.stderr).toContain('Pass the config: fln verify CONFIG --run a');
    // run.json still says which config it was.
    expect((await fln(['verify', 'tiny.yaml', '--run', 'a'], { cwd })).code).toBe(0);

    const never = gateConfig.replace('seeds:', 'evaluate: { test: never }\nseeds:');
    injectRuns(join(cwd, 'b'), never, healthy);
    const untested = await fln(['verify', 'b'], { cwd });
    expect(untested.code).toBe(2);
    expect(untested.stderr).toContain('evaluate.test: never');
  });

  it('verifies and compares what fln run has trained', async () => {
    const cwd = workplace(`${tinyConfig}expect: { adam: { paper: 0.9, atLeast: 0.1 } }\n`);
    expect((await fln(['run', 'tiny.yaml', '--progress', 'none'], { cwd })).code).toBe(0);
    expect((await fln(['verify', 'tiny.yaml'], { cwd })).code).toBe(0);
    const strict = await fln(['verify', 'tiny.yaml', 'expect.adam.atLeast=1'], { cwd });
    expect(strict.code).toBe(3);
    expect(strict.stderr).toMatch(/adam: .* points below atLeast 100 %/);
    const { code, stdout } = await fln(['compare', 'results'], { cwd });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^adam +1 +\d\d\.\d\d % +90\.00 % +[+-]\d/m);
  });

  it('warns of expectations of methods that the config does not have', async () => {
    const cwd = workplace(gateConfig.replace('expect:', 'expect:\n  lpom: { atLeast: 0.9 }'));
    injectRuns(join(cwd, 'run'), gateConfig, healthy);
    const { code, stderr } = await fln(['verify', 'tiny.yaml', '--run', 'run'], { cwd });
    expect(code).toBe(0);
    expect(stderr).toMatch(/^warning: tiny\.yaml:\d+:3 expect\.lpom: no method has this label; /);
  });

  it('verifies the reference run of Figure 2', async () => {
    const cwd = new URL('../..', import.meta.url).pathname;
    const { code, stderr } = await fln(['verify', 'results/reference/mnist-mlp'], { cwd });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});
