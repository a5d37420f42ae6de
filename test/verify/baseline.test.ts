import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { commands } from '../../src/cli/commands.js';
import { loadExperiment } from '../../src/config/load.js';
import { judge } from '../../src/verify/judge.js';
import { fln, workplace } from '../cli/fln.js';
import { tinyConfig } from '../experiment/tiny.js';
import { gateConfig, healthy, injectRuns, type Results } from './inject.js';

const seeds = (...accuracies: number[]) =>
  accuracies.map((accuracy, i) => ({ seed: i + 1, accuracy }));

describe('a baseline', () => {
  it('allows for the sampling error of both means', () => {
    const before = [0.98, 0.981, 0.979];
    const verdict = (...now: number[]) => judge('m', seeds(...now), undefined, 10_000, before);
    expect(verdict(0.98, 0.981, 0.979)).toMatchObject({ verdict: 'ok', failures: [] });
    const [check] = verdict(0.978, 0.979, 0.977).checks;
    // 1.645 sqrt(0.98 * 0.02 / 10000) / sqrt(3) = 0.00133, the spread of the seeds (1.69e-3) counts: both together.
    const spread = (2.91998558 * 0.001) / Math.sqrt(3);
    expect(check.tolerance.value).toBeCloseTo(Math.SQRT2 * spread, 7);
    expect(check.passed).toBe(true);
    expect(verdict(0.977, 0.978, 0.976).verdict).toBe('failed');
    expect(verdict(0.99, 0.991, 0.989).verdict).toBe('ok');
  });
});

describe('fln verify --baseline', () => {
  const place = (results: Results = healthy) => {
    const cwd = workplace(gateConfig);
    injectRuns(join(cwd, 'run'), gateConfig, results);
    return cwd;
  };
  const verify = (cwd: string, ...options: string[]) =>
    fln(['verify', 'run', '--baseline', 'b/baseline.json', ...options], { cwd });

  it('is written, read again, and fails lower accuracies', async () => {
    const cwd = place();
    const written = await verify(cwd, '--update-baseline');
    expect(written.code).toBe(0);
    expect(written.stderr).toMatch(/^Baseline: b\/baseline\.json\n[\s\S]*fenchel +– +98\.49 % +–/);
    expect((await verify(cwd)).code).toBe(0);

    // sgd has no limit in the config: only the baseline shows that it got worse.
    injectRuns(join(cwd, 'run'), gateConfig, {
      ...healthy,
      sgd: [0.91, 0.911, 0.912],
      fenchel: [0.99, 0.99, 0.99],
    });
    const worse = await verify(cwd, '--junit', 'reports/verify.xml', '--markdown', 'summary.md');
    expect(worse.code).toBe(3);
    expect(worse.stdout).toMatch(/^sgd .* baseline 94\.10 % +-3\.00 .* FAILED$/m);
    expect(worse.stdout).toMatch(/^fenchel .* baseline 98\.49 % .* ok, improved$/m);
    expect(worse.stderr).toContain('sgd: 91.10 % is 3.000 points below the baseline, 94.1 %');

    const xml = readFileSync(join(cwd, 'reports', 'verify.xml'), 'utf8');
    expect(xml).toContain('<testsuite name="gate" tests="9" failures="1" skipped="0" errors="0">');
    expect(xml).toMatch(
      /name="sgd: baseline 94\.10 %"><failure message="91\.10 % is 3\.000 points below/,
    );
    const summary = readFileSync(join(cwd, 'summary.md'), 'utf8');
    expect(summary).toMatch(/^### gate: FAILED\n\n\| method \| seeds/);
    expect(summary).toMatch(/\| sgd \| 3 \| 91\.10 ± .* \| FAILED \|/);

    const updated = await verify(cwd, '--update-baseline');
    expect(updated.stderr).toMatch(/sgd +94\.10 % +91\.10 % +-3\.00/);
    expect((await verify(cwd)).code).toBe(0);
    const { experiments } = JSON.parse(readFileSync(join(cwd, 'b', 'baseline.json'), 'utf8'));
    expect(experiments.gate.methods.sgd).toEqual({ 1: 0.91, 2: 0.911, 3: 0.912 });
  });

  it('goes to the summary of a GitHub run', async () => {
    const cwd = place();
    const env = { GITHUB_STEP_SUMMARY: join(cwd, 'step.md') };
    for (let i = 0; i < 2; i++) await fln(['verify', 'run'], { cwd, env });
    expect(readFileSync(env.GITHUB_STEP_SUMMARY, 'utf8').match(/### gate: passed/g)).toHaveLength(
      2,
    );
  });

  it('refuses files that are not baselines, other settings, and incomplete results', async () => {
    const cwd = place();
    const refused = async (...options: string[]) => {
      const { code, stderr } = await verify(cwd, ...options);
      expect(code).toBe(2);
      return stderr;
    };
    expect(await refused()).toContain(
      'there is no baseline b/baseline.json. Accept the current results',
    );
    await verify(cwd, '--update-baseline');
    const file = join(cwd, 'b', 'baseline.json');
    const good = readFileSync(file, 'utf8');
    writeFileSync(file, good.replace(/"config": "[0-9a-f]+"/, '"config": "000000000000"'));
    expect(await refused()).toContain('their settings differ');
    writeFileSync(file, good.replace('"gate"', '"other"'));
    expect(await refused()).toContain('has no baseline of gate');
    writeFileSync(file, good.replace('0.985', '98.5'));
    expect(await refused()).toMatch(
      /is not a baseline file: experiments\.gate\.methods\.fenchel\.1: .*version control/,
    );
    writeFileSync(file, '{');
    expect(await refused('--update-baseline')).toContain('is not a baseline file: not valid JSON');
    expect(readFileSync(file, 'utf8')).toBe('{');
    writeFileSync(file, good);
    injectRuns(join(cwd, 'run'), gateConfig, { ...healthy, sgd: [0.94, 'FAILED', 0.94] });
    expect(await refused('--update-baseline')).toContain('sgd, seed 2, has no result');
    injectRuns(join(cwd, 'run'), gateConfig, { ...healthy, fenchel: [0.9, 0.9, 0.9] });
    expect((await verify(cwd, '--update-baseline')).code).toBe(3);
    expect(readFileSync(file, 'utf8')).toBe(good);
    const { code } = await fln(['verify', 'run', '--update-baseline'], { cwd });
    expect(code).toBe(2);
  });
});

describe('docs/ci.md', () => {
  const text = readFileSync(new URL('../../docs/ci.md', import.meta.url), 'utf8');
  const blocks = (language: string) =>
    [...text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(
      ([, code]) => code,
    );
  const lines = () => {
    const [workflow] = blocks('yaml').map((yaml) => parse(yaml));
    const steps: { run?: string }[] = workflow.jobs.accuracy.steps;
    return [...steps.flatMap(({ run }) => run ?? []), ...blocks('sh').join('').split('\n')]
      .filter((line) => line.startsWith('npx fln '))
      .map((line) => line.slice('npx fln '.length).split(' '));
  };

  it('has a workflow whose commands work', async () => {
    const cwd = workplace(tinyConfig);
    const own = (words: string[]) =>
      words.map((word) => (word === 'configs/ci.yaml' ? 'tiny.yaml' : word));
    for (const [name] of lines()) expect(commands.map((command) => command.name)).toContain(name);
    const [train, exact, paired, trainBase, trainAgain, update] = lines().map(own);
    expect((await fln(trainBase, { cwd })).code).toBe(0);
    expect((await fln(train, { cwd })).code).toBe(0);
    // The same seeds on the same backend: the same bytes.
    const same = await fln(exact, { cwd });
    expect(same).toMatchObject({ code: 0, stderr: '' });
    expect(same.stdout).toContain('2 of 2 runs\n');
    const kept = await fln(paired, { cwd });
    expect(kept.code).toBe(0);
    expect(kept.stdout).toMatch(/^adam +1 .* \+0\.00 +0\.25 +ok$/m);
    expect(existsSync(join(cwd, 'results', 'verify.xml'))).toBe(true);

    expect((await fln(trainAgain, { cwd })).code).toBe(0);
    expect((await fln(update, { cwd })).code).toBe(0);
    const byFile = await fln(['verify', 'results/ci', '--paired', 'baselines.json'], { cwd });
    expect(byFile.code).toBe(0);

    // Half a point less at the end of the run fails, by a step that may fail and by one that must not.
    const file = join(cwd, 'results', 'ci', 'adam-s1', 'metrics.csv');
    const rows = readFileSync(file, 'utf8').trimEnd().split('\n');
    const at = rows[0].split(',').indexOf('test_accuracy');
    const last = rows.at(-1)!.split(',');
    last[at] = String(Number((Number(last[at]) - 0.005).toPrecision(9)));
    writeFileSync(file, `${[...rows.slice(0, -1), last.join(',')].join('\n')}\n`);
    for (const gate of [exact, paired]) expect((await fln(gate, { cwd })).code).toBe(3);
  });

  it('trains a config of this repository, with enough seeds', () => {
    const file = fileURLToPath(new URL('../../configs/ci.yaml', import.meta.url));
    const { experiment } = loadExperiment(file);
    expect(experiment.seeds).toHaveLength(10);
    expect(lines()[0]).toEqual(['run', 'configs/ci.yaml', 'backend=wasm', '--out', 'results/ci']);
  });
});
