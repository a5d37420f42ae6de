import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { pairedFailures, pairedText } from '../../src/cli/render/pairing.js';
import { findBase } from '../../src/verify/base.js';
import { verifyExact } from '../../src/verify/exact.js';
import { type PairedMethod, verifyPaired } from '../../src/verify/paired.js';
import { findTarget } from '../../src/verify/target.js';
import { fln, workplace } from '../cli/fln.js';
import { gateConfig, injectRuns, type Results } from './inject.js';

const unlimited = gateConfig.slice(0, gateConfig.indexOf('expect:'));
const base: Results = {
  fenchel: [0.985, 0.984, 0.986],
  adam: [0.976, 0.977, 0.975],
  sgd: [0.94, 0.95, 0.93],
};

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'fln-paired-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

interface Sides {
  readonly run?: Results;
  readonly config?: string;
  readonly baseConfig?: string;
}

/** Run directories `run` and `base` in a new folder. */
function sides({ run = base, config = unlimited, baseConfig = unlimited }: Sides): string {
  const cwd = folder();
  injectRuns(join(cwd, 'base'), baseConfig, base);
  injectRuns(join(cwd, 'run'), config, run);
  return cwd;
}

function pair(cwd: string, tolerance?: number) {
  const target = findTarget({ target: join(cwd, 'run'), overrides: [] });
  const earlier = findBase(join(cwd, 'base'), target);
  return verifyPaired(target.experiment, target.directory, earlier, tolerance);
}

const fenchel = (...accuracies: (number | 'FAILED' | 'absent')[]): Results => ({
  ...base,
  fenchel: accuracies,
});

describe('pairs of seeds', () => {
  it('give the mean difference with the interval of a paired t-test', () => {
    // Differences -0.004, -0.005, -0.006: mean -0.005, standard deviation 0.001, t(2) = 4.302653.
    const paired = pair(sides({ run: fenchel(0.981, 0.979, 0.98) }));
    const [first, ...others] = paired.methods;
    expect(paired).toMatchObject({ ok: false, tolerance: 0.0025 });
    expect(first).toMatchObject({ method: 'fenchel', verdict: 'failed', dropped: true });
    expect(first.difference?.mean).toBeCloseTo(-0.005, 12);
    expect(first.difference?.halfWidth).toBeCloseTo((4.302653 * 0.001) / Math.sqrt(3), 8);
    expect(first.pairs[1]).toEqual({ seed: 2, base: 0.984, run: 0.979 });
    // The interval is 0.00248, which three pairs are enough for.
    expect(first.pairsNeeded).toBeUndefined();
    expect(others.map(({ verdict }) => verdict)).toEqual(['ok', 'ok']);
    expect(pairedFailures(paired)).toEqual([
      'fenchel: dropped by 0.50 points on average over 3 seeds, more than the tolerance of 0.25; 95 % interval -0.75 to -0.25',
    ]);
  });

  it.each([
    ['the same accuracies', [0.985, 0.984, 0.986], 'ok', undefined],
    ['a mean drop of just the tolerance', [0.9825, 0.9815, 0.9835], 'ok', undefined],
    ['one image more than that', [0.9825, 0.9815, 0.9834], 'failed', undefined],
    ['random differences around 0', [0.965, 1, 0.99], 'ok', 'more'],
    ['a drop that may be chance', [0.955, 0.99, 0.98], 'failed', 'more'],
    ['an improvement', [0.99, 0.99, 0.991], 'ok', undefined],
  ] as const)('%s', (_, run, verdict, needed) => {
    const [method] = pair(sides({ run: fenchel(...run) })).methods;
    expect(method.verdict).toBe(verdict);
    if (needed === 'more') expect(method.pairsNeeded).toBeGreaterThan(3);
    else expect(method.pairsNeeded).toBeUndefined();
  });

  it('report how many seeds would distinguish a drop of the tolerance from chance', () => {
    // Differences -0.002, 0, 0.002: standard deviation 0.002, interval 0.00497.
    const [method] = pair(sides({ run: fenchel(0.983, 0.984, 0.988) })).methods;
    // t(4) 0.002 / sqrt(5) = 0.00248 and t(3) 0.002 / sqrt(4) = 0.00318.
    expect(method.pairsNeeded).toBe(5);
    expect(method.verdict).toBe('ok');
  });

  it('report a drop with one seed, and that it may be chance', () => {
    const one = unlimited.replace('[1, 2, 3]', '[1]');
    const single = (accuracy: number) => {
      const cwd = folder();
      for (const [name, value] of [
        ['base', 0.985],
        ['run', accuracy],
      ] as const) {
        injectRuns(join(cwd, name), one, { fenchel: [value], adam: [0.976], sgd: [0.94] });
      }
      return pair(cwd);
    };
    const dropped = single(0.98);
    expect(dropped.methods[0]).toMatchObject({ verdict: 'failed', dropped: true });
    expect(dropped.methods[0].difference).not.toHaveProperty('halfWidth');
    expect(pairedFailures(dropped)).toEqual([
      'fenchel: dropped by 0.50 points with one seed, more than the tolerance of 0.25; with one seed, this may be chance',
    ]);
    const kept = single(0.984);
    expect(kept.ok).toBe(true);
    expect(pairedText(kept)).toContain('fenchel, adam, sgd: one seed gives no confidence interval');
  });

  it('take another tolerance', () => {
    const cwd = sides({ run: fenchel(0.981, 0.979, 0.98) });
    expect(pair(cwd, 0.005).ok).toBe(true);
    expect(pair(cwd, 0.0049).ok).toBe(false);
    expect(pair(cwd, 0).methods[1]).toMatchObject({ method: 'adam', verdict: 'ok' });
  });

  it('fail for seeds of the run that have no result, or another number of batches', () => {
    const cwd = sides({ run: fenchel(0.985, 'FAILED', 'absent') });
    const file = join(cwd, 'run', 'adam-s3', 'metrics.csv');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/^adam,3,2,/m, 'adam,3,5,'));
    const paired = pair(cwd);
    expect(pairedFailures(paired)).toEqual([
      'fenchel: no result from 2 of 3 seeds: seed 2: failed: the loss became NaN at batch 9; seed 3: not run',
      'adam: no result from 1 of 3 seeds: seed 3: it has 5 batches, and 2 in the base',
    ]);
    expect(paired.ok).toBe(false);
  });

  it('fail for a seed of the base that the config no longer has', () => {
    const cwd = sides({ config: unlimited.replace('[1, 2, 3]', '[1, 2]') });
    const [method] = pair(cwd).methods;
    expect(method).toMatchObject({ verdict: 'failed', lost: [{ seed: 3, missing: 'not run' }] });
  });
});

describe('a base', () => {
  const refused = (cwd: string) => {
    let message = '';
    try {
      pair(cwd);
    } catch (error) {
      message = (error as Error).message.replaceAll(`${cwd}/`, '');
      expect(error).toMatchObject({ name: 'UsageError', exitCode: 2 });
    }
    return message;
  };

  it('of other settings is refused, naming each', () => {
    const config = unlimited
      .replace('epochs: 1', 'epochs: 2')
      .replace('adam }', 'adam, beta1: 0.8 }');
    expect(refused(sides({ config }))).toBe(
      'run cannot be compared with base: their settings differ. To compare them, train both with the same config\n' +
        '  epochs: 2, in the base 1\n  methods.adam.beta1: 0.8, in the base 0.9',
    );
  });

  it('may have another name, backend, expectations, and fewer methods', () => {
    const added = '  - { name: sgd, label: slow, learningRate: 0.01 }\nbackend: wasm\n';
    const config = `${gateConfig.replace('name: gate', 'name: other').replace('expect:', `${added}expect:`)}`;
    const cwd = sides({ config, run: { ...base, slow: [0.9, 0.9, 0.9] } });
    const verdicts = pair(cwd).methods.map(({ method, verdict }) => [method, verdict]);
    expect(verdicts).toEqual([
      ['fenchel', 'ok'],
      ['adam', 'ok'],
      ['sgd', 'ok'],
      ['slow', 'not judged'],
    ]);
    expect(refused(sides({ config: unlimited.replace('  - { name: adam }\n', '') }))).toContain(
      'methods.adam: absent, in the base present',
    );
  });

  it('on other data is refused', () => {
    const cwd = sides({});
    for (const [name, sha256] of [
      ['run', 'aa'],
      ['base', 'bb'],
    ]) {
      const file = join(cwd, name, 'run.json');
      const record = JSON.parse(readFileSync(file, 'utf8'));
      writeFileSync(
        file,
        JSON.stringify({ ...record, dataset: { name: 'mnist', sha256: { x: sha256 } } }),
      );
    }
    expect(refused(cwd)).toContain(
      'they were trained on different data. To compare them, train both on the same files\n  dataset.sha256.x: aa, in the base bb',
    );
  });

  it('without a result of a seed is refused, and so is the run itself', () => {
    const cwd = sides({ config: unlimited.replace('[1, 2, 3]', '[1, 2, 3, 4]') });
    expect(refused(cwd)).toMatch(
      /^base has no results of some runs; train them with the same config:\n {2}fenchel, seed 4: not run\n {2}adam, seed 4/,
    );
    const target = findTarget({ target: join(cwd, 'run'), overrides: [] });
    expect(() => findBase(join(cwd, '.', 'run'), target)).toThrow(
      'compared with itself always passes',
    );
    const never = unlimited.replace('seeds:', 'evaluate: { test: never }\nseeds:');
    expect(refused(sides({ config: never, baseConfig: never }))).toContain('evaluate.test: never');
  });
});

describe('metrics.csv that must be identical', () => {
  const exact = (cwd: string) => {
    const target = findTarget({ target: join(cwd, 'run'), overrides: [] });
    return verifyExact(target.experiment, target.directory, findBase(join(cwd, 'base'), target));
  };
  const edit = (cwd: string, change: (text: string) => string, name = 'adam-s2') => {
    const file = join(cwd, 'run', name, 'metrics.csv');
    writeFileSync(file, change(readFileSync(file, 'utf8')));
    const { ok, runs } = exact(cwd);
    return { ok, failed: runs.filter(({ verdict }) => verdict === 'failed') };
  };

  it('may differ in time columns, and in nothing else', () => {
    const cwd = sides({});
    expect(exact(cwd)).toMatchObject({ ok: true });
    expect(exact(cwd).runs).toHaveLength(9);
    // wall_s of the second batch is 20 s.
    expect(edit(cwd, (text) => text.replace(/^(adam,2,2,1),20,/m, '$1,21,'))).toEqual({
      ok: true,
      failed: [],
    });
    const difference = {
      line: 3,
      batch: '2',
      column: 'test_accuracy',
      run: '0.9771',
      base: '0.977',
    };
    expect(edit(cwd, (text) => text.replace('0.977', '0.9771'))).toEqual({
      ok: false,
      failed: [{ method: 'adam', seed: 2, verdict: 'failed', difference }],
    });
  });

  it.each([
    [
      'the same number in other digits',
      (text: string) => text.replace('0.977', '0.9770'),
      { line: 3, column: 'test_accuracy', run: '0.9770' },
    ],
    [
      'a row more',
      (text: string) => `${text}${text.split('\n')[2].replace('adam,2,2', 'adam,2,3')}\n`,
      { line: 4, batch: '3', ends: 'base' },
    ],
    [
      'a row less',
      (text: string) => `${text.split('\n').slice(0, 2).join('\n')}\n`,
      { line: 3, batch: '2', ends: 'run' },
    ],
    [
      'a column more',
      (text: string) => text.replaceAll('\n', ',\n').replace(',\n', ',own\n'),
      { line: 1, column: 'own', run: 'own', base: undefined },
    ],
  ])('%s', (_, change, difference) => {
    const { ok, failed } = edit(sides({}), change);
    expect(ok).toBe(false);
    expect(failed).toHaveLength(1);
    expect(failed[0].difference).toMatchObject(difference);
  });

  it('are reported missing where a run has none', () => {
    const cwd = sides({ run: { ...base, sgd: [0.94, 'FAILED', 0.93] } });
    const lost = exact(cwd).runs.filter(({ verdict }) => verdict === 'failed');
    expect(lost).toEqual([
      {
        method: 'sgd',
        seed: 2,
        verdict: 'failed',
        missing: 'failed: the loss became NaN at batch 9',
      },
    ]);
  });
});

describe('fln verify --paired --exact', () => {
  it('passes, or exits 3 with an explanation, and writes its reports', async () => {
    const cwd = sides({});
    const verify = (...options: string[]) => fln(['verify', 'run', ...options], { cwd });
    const same = await verify('--paired', 'base', '--exact');
    expect({ code: same.code, stderr: same.stderr }).toEqual({ code: 0, stderr: '' });
    expect(same.stdout).toMatch(/^fenchel +3 +98\.50 % +98\.50 % +\+0\.00 ± 0\.00 +0\.25 +ok$/m);
    expect(same.stdout).toContain('Identical to base, apart from the time columns: 9 of 9 runs\n');
    // Without limits there is no table of limits.
    expect(same.stdout).not.toContain('paper');

    injectRuns(join(cwd, 'run'), unlimited, fenchel(0.981, 0.979, 0.98));
    for (const [name, backend, node] of [
      ['run', 'tensorflow', 'v22.1.0'],
      ['base', 'wasm', 'v20.2.0'],
    ]) {
      const file = join(cwd, name, 'run.json');
      const record = JSON.parse(readFileSync(file, 'utf8'));
      writeFileSync(file, JSON.stringify({ ...record, node, backend: { name: backend } }));
    }
    const worse = await verify(
      '--paired',
      'base',
      '--exact',
      '--junit',
      'v.xml',
      '--markdown',
      'v.md',
    );
    expect(worse.code).toBe(3);
    expect(worse.stdout).toMatch(
      /^fenchel +3 +98\.50 % +98\.00 % +-0\.50 ± 0\.25 +0\.25 +FAILED$/m,
    );
    expect(worse.stdout).toContain('fenchel, difference by seed: 1: -0.40, 2: -0.50, 3: -0.60\n');
    expect(worse.stdout).toContain('  node: v22.1.0, in the base v20.2.0\n');
    expect(worse.stdout).toContain('Backends, their versions and devices round differently');
    expect(worse.stderr.split('\n').slice(0, 3)).toEqual([
      'Verification failed:',
      '  fenchel: dropped by 0.50 points on average over 3 seeds, more than the tolerance of 0.25; 95 % interval -0.75 to -0.25',
      '  fenchel, seed 1: first difference in line 3 (batch 2), column test_accuracy: 0.981, in the base 0.985',
    ]);
    const xml = readFileSync(join(cwd, 'v.xml'), 'utf8');
    expect(xml).toContain('<testsuite name="gate" tests="12" failures="4" skipped="0" errors="0">');
    expect(xml).toContain('name="fenchel: paired by seed, no drop beyond 0.25 points"><failure');
    const summary = readFileSync(join(cwd, 'v.md'), 'utf8');
    expect(summary).toMatch(/^### gate: FAILED\n\n- fenchel: dropped by 0\.50 points/);
    expect(summary).toContain('| fenchel | 3 | 98.50 % | 98.00 % | -0.50 ± 0.25 | 0.25 | FAILED |');

    const json = await verify('--paired', 'base', '--tolerance', '0.5', '--json');
    expect(json.code).toBe(0);
    const { ok, paired, exact } = JSON.parse(json.stdout);
    expect({ ok, tolerance: paired.tolerance, exact }).toEqual({ ok: true, tolerance: 0.005 });
    const methods: PairedMethod[] = paired.methods;
    expect(methods[0].pairs[2]).toEqual({ seed: 3, base: 0.986, run: 0.98 });
    const alone = await verify('--exact', 'base');
    expect(alone.code).toBe(3);
    expect(alone.stdout).not.toContain('Paired');
  });

  it('judges the limits of the config too, takes a config, and a baseline file as the base', async () => {
    const cwd = workplace(gateConfig);
    injectRuns(join(cwd, 'base'), gateConfig, base);
    injectRuns(join(cwd, 'run'), gateConfig, base);
    const verify = (...options: string[]) =>
      fln(['verify', 'tiny.yaml', '--run', 'run', ...options], { cwd });
    expect((await verify('--baseline', 'b.json', '--update-baseline')).code).toBe(0);
    injectRuns(join(cwd, 'run'), gateConfig, { ...base, sgd: [0.935, 0.945, 0.925] });
    // The baseline allows for the scatter of its seeds, which is the same in every seed here.
    expect((await verify('--baseline', 'b.json')).code).toBe(0);
    for (const earlier of ['b.json', 'base']) {
      const { code, stdout, stderr } = await verify('--paired', earlier);
      expect(code).toBe(3);
      expect(stdout).toMatch(/^fenchel .* >= 98\.3 % .* ok$/m);
      expect(stderr).toMatch(/^ {2}sgd: dropped by 0\.50 points .* -0\.50 to -0\.50\n$/m);
    }
    const file = await verify('--exact', 'b.json');
    expect({ code: file.code, stderr: file.stderr }).toEqual({
      code: 2,
      stderr:
        'b.json is a baseline file, which has no metrics.csv; --exact needs a run directory\n',
    });
  });

  it.each([
    [['--tolerance', '0.5'], '--tolerance requires --paired DIR\n'],
    [
      ['--paired', 'run', '--tolerance', 'x'],
      '--tolerance: expected a number, got "x". See fln verify --help\n',
    ],
    [
      ['--paired', 'run', '--tolerance=-1'],
      '--tolerance: expected percentage points from 0 to 100, got "-1". See fln verify --help\n',
    ],
    [['--exact'], '--exact requires a run directory: --exact DIR, or --paired DIR --exact\n'],
    [
      ['--paired', 'nowhere'],
      'nowhere is not a run directory, and has none below it. "fln ls" lists run directories\n',
    ],
  ])('exits 2 for %j', async (options, message) => {
    const cwd = workplace(unlimited);
    injectRuns(join(cwd, 'run'), unlimited, base);
    const { code, stderr } = await fln(['verify', 'run', ...options], { cwd });
    expect({ code, stderr }).toEqual({ code: 2, stderr: message });
  });
});
