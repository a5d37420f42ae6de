import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/config/issues.js';
import { parseExperiment } from '../../src/config/load.js';
import { UsageError } from '../../src/errors.js';
import { processBirth, runContext } from '../../src/files/holder.js';
import type { RunStatus } from '../../src/runs/run-json.js';
import type { Launcher } from '../../src/sweep/launcher.js';
import { loadSweep, type Sweep } from '../../src/sweep/load.js';
import { FailureCounter, MemoryGuard } from '../../src/sweep/local/launcher.js';
import { manifestOf, writeManifest } from '../../src/sweep/manifest.js';
import { sweepPaths } from '../../src/sweep/paths.js';
import { planSweep } from '../../src/sweep/plan.js';
import { runSweep } from '../../src/sweep/run-sweep.js';
import { sweepSchemaText } from '../../src/sweep/schema.js';
import { readState, writeState } from '../../src/sweep/state.js';
import { ranked, sweepStatus } from '../../src/sweep/status.js';
import { fln, workplace } from '../cli/fln.js';
import { temporaryFolder, tinyConfig } from '../experiment/tiny.js';

const grid = `
name: grid
config: tiny.yaml
parameters:
  methods.adam.learningRate: [0.01, 0.02]
  batchSize: { range: [25, 100], count: 2, integer: true }
`;

function folderWith(sweep: string): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'tiny.yaml'), tinyConfig);
  writeFileSync(join(folder, 'sweep.yaml'), sweep);
  return folder;
}

const load = (sweep: string, ...overrides: string[]) =>
  loadSweep(join(folderWith(sweep), 'sweep.yaml'), overrides);
const overridesOf = (sweep: string) => load(sweep).trials.map(({ overrides }) => overrides);

describe('the trials of a sweep', () => {
  it('of configs/sweeps/quickstart.yaml lie around the values of configs/quickstart.yaml', () => {
    const file = (name: string) => fileURLToPath(new URL(`../../configs/${name}`, import.meta.url));
    const quickstart = readFileSync(file('quickstart.yaml'), 'utf8');
    const { methods } = parseExperiment(quickstart, 'quickstart.yaml').experiment;
    const { trials } = loadSweep(file('sweeps/quickstart.yaml'));
    for (const field of ['inputRank', 'rmsChange']) {
      const tried = trials.map(({ overrides }) => Number(overrides[`methods.fenchel.${field}`]));
      const own = Number(methods.find(({ label }) => label === 'fenchel')!.config[field]);
      expect(tried, field).toContain(own);
      expect(Math.min(...tried), field).toBeLessThan(own);
      expect(Math.max(...tried), field).toBeGreaterThan(own);
    }
    expect(trials).toHaveLength(9);
  });

  it.each([
    ['read', 'noise', 'read', [0, 0.05, 0.1, 0.2]],
    ['signal', 'noise', 'signal', [0, 0.3, 1]],
    ['bits', 'quantize', 'signals', [2, 3, 4, 8]],
  ])(
    'of configs/hardware/%s.yaml set the same %s.%s in every method',
    (name, block, field, values) => {
      const file = new URL(`../../configs/hardware/${name}.yaml`, import.meta.url);
      const set = loadSweep(fileURLToPath(file)).trials.map(({ experiment }) => [
        ...new Set(
          experiment.methods.map(
            ({ config }) => (config[block] as Record<string, number> | undefined)?.[field],
          ),
        ),
      ]);
      expect(set).toEqual(values.map((value) => [value]));
    },
  );

  it('are every combination of a grid', () => {
    expect(overridesOf(grid)).toEqual([
      { 'methods.adam.learningRate': 0.01, batchSize: 25 },
      { 'methods.adam.learningRate': 0.01, batchSize: 100 },
      { 'methods.adam.learningRate': 0.02, batchSize: 25 },
      { 'methods.adam.learningRate': 0.02, batchSize: 100 },
    ]);
  });

  it('take lists together, space by logarithms, and set what all have in common', () => {
    const trials = load(`
name: z
config: tiny.yaml
set: { loss: mse }
zip: [ { epochs: [1, 2], batchSize: [50, 25] } ]
parameters: { methods.adam.learningRate: { range: [0.001, 0.1], scale: log, count: 3 } }
`).trials;
    expect(trials.map(({ overrides }) => Object.values(overrides))).toEqual(
      [0.001, 0.01, 0.1].flatMap((rate) => [
        [rate, 1, 50],
        [rate, 2, 25],
      ]),
    );
    expect(trials.every(({ experiment }) => experiment.loss === 'mse')).toBe(true);
    expect(trials[1].experiment).toMatchObject({ epochs: 2, batchSize: 25 });
  });

  const random = (trials: number, more = '') => `
name: r
config: tiny.yaml
search: random
trials: ${trials}
seed: 3
parameters:
  methods.adam.learningRate: { range: [0.001, 0.1], scale: log }
${more}`;

  it('are drawn by the seed; more of them, and more parameters, leave the first as they were', () => {
    const ten = overridesOf(random(10));
    expect(ten).toHaveLength(10);
    expect(overridesOf(random(4))).toEqual(ten.slice(0, 4));
    const rates = ten.map((overrides) => overrides['methods.adam.learningRate'] as number);
    expect(rates.every((rate) => rate >= 0.001 && rate <= 0.1)).toBe(true);
    expect(new Set(rates).size).toBe(10);
    const wider = overridesOf(random(4, '  epochs: [1, 2, 3]\n'));
    expect(wider.map((o) => o['methods.adam.learningRate'])).toEqual(rates.slice(0, 4));
    expect(overridesOf(random(10).replace('seed: 3', 'seed: 4'))).not.toEqual(ten);
  });

  it('are each there once', () => {
    const sweep = load(grid.replace('[0.01, 0.02]', '[0.01, 0.01, 0.010]'));
    expect(sweep.trials).toHaveLength(2);
    expect(sweep.duplicates).toBe(4);
  });

  it('are checked all at once, with the line of the sweep file', () => {
    const bad = grid.replace('[0.01, 0.02]', '[0.01, -1, fast]').replace('range: [25', 'range: [0');
    const attempt = () => load(bad);
    expect(attempt).toThrow(ConfigError);
    expect(attempt).toThrow(
      /sweep\.yaml:5:\d+ parameters\.methods\.adam\.learningRate: -1.*: must be greater than 0/,
    );
    expect(attempt).toThrow(/sweep\.yaml:5:.*"fast"/);
    expect(attempt).toThrow(/sweep\.yaml:6:\d+ parameters\.batchSize: 0/);
  });

  it.each([
    ['name: x\nconfig: tiny.yaml\n', 'nothing varies'],
    [grid.replace('parameters', 'paramters'), 'did you mean "parameters"'],
    [`${grid}search: random\n`, 'is required for a random search'],
    [`${grid}trials: 5\n`, 'is for a random search'],
    [grid.replace('[25, 100]', '[100, 25]'), 'expected the smaller value first'],
    [`${grid}set: { batchSize: 5 }\n`, 'is set for all trials and also varied'],
    [`${grid}zip: [ { epochs: [1, 2], seeds: [[1]] } ]\n`, 'expected lists of the same length'],
    [
      grid
        .replace('count: 2', 'count: 10000')
        .replace('[0.01, 0.02]', '{ range: [0.1, 1], count: 10000 }'),
      'the grid has',
    ],
    [grid.replace('tiny.yaml', 'missing.yaml'), 'no such file'],
    [grid.replace('methods.adam', 'methods.__proto__'), 'unknown key "__proto__"'],
    ['- 1', 'a sweep is a block of keys'],
  ])('%j is refused', (sweep, message) => {
    expect(() => load(sweep)).toThrow(UsageError);
    expect(() => load(sweep)).toThrow(message);
  });

  it('are those of docs/sweeps.md, whose sweep file is valid', () => {
    const docs = readFileSync(new URL('../../docs/sweeps.md', import.meta.url), 'utf8');
    const [sweep, , slurm] = [...docs.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text);
    const folder = temporaryFolder();
    const config = fileURLToPath(new URL('../../configs/mnist-mlp.yaml', import.meta.url));
    const file = join(folder, 'sweep.yaml');
    writeFileSync(file, sweep.replace('../mnist-mlp.yaml', config) + slurm);
    const { trials, config: read } = loadSweep(file, []);
    expect(trials).toHaveLength(3 * 5 * 2);
    expect(read.slurm).toMatchObject({ warnSeconds: 120, setup: ['module load cuda'] });
  });

  it('have a schema, which is the one in schemas/', () => {
    expect(readFileSync(new URL('../../schemas/sweep.json', import.meta.url), 'utf8')).toBe(
      sweepSchemaText(),
    );
  });
});

describe('the plan of a sweep', () => {
  let sweep: Sweep;
  let ids: string[];
  beforeEach(() => {
    sweep = load(grid);
    ids = sweep.trials.map(({ id }) => id);
  });
  const directoryWith = (...statuses: RunStatus[]) => {
    const directory = temporaryFolder();
    writeManifest(directory, manifestOf(sweep));
    for (const [i, status] of statuses.entries()) {
      if (status !== 'QUEUED') writeState(directory, { id: ids[i], status, attempts: 1 });
    }
    return directory;
  };
  const due = (outDir: string, options: object) =>
    planSweep(sweep, { outDir, ...options }).due.map(({ id }) => ids.indexOf(id));

  it('has a manifest that can be read again, or none', () => {
    const directory = temporaryFolder();
    const manifest = manifestOf(sweep);
    const [trial] = manifest.trials;
    const trials = Array(3000).fill({ ...trial, overrides: { note: 'x'.repeat(12_000) } });
    expect(() => writeManifest(directory, { ...manifest, trials })).toThrow(
      /^3,000 trials are too many for one sweep: sweep\.json would have 36\.\d MB, the maximum is 33\.6 MB$/,
    );
    expect(readdirSync(directory)).toEqual([]);
  });

  it('takes what is asked for', () => {
    const outDir = directoryWith('COMPLETED', 'FAILED', 'INTERRUPTED', 'QUEUED');
    expect(() => due(outDir, {})).toThrow(
      /already contains trials of this sweep \(1 queued, 1 completed, 1 failed, 1 interrupted\).*--resume.*--rerun failed/,
    );
    expect(due(outDir, { resume: true })).toEqual([2, 3]);
    expect(due(outDir, { rerun: 'failed' })).toEqual([1]);
    expect(due(outDir, { rerun: 'failed', resume: true })).toEqual([1, 2, 3]);
    expect(due(outDir, { rerun: 'all' })).toEqual([0, 1, 2, 3]);
  });

  it('finds that a trial whose process died was interrupted', () => {
    const outDir = directoryWith('RUNNING');
    expect(due(outDir, { resume: true })).toEqual([0, 1, 2, 3]);
    expect(sweepStatus(outDir)?.counts.INTERRUPTED).toBe(1);

    // Of a container that is gone: its number may be ours.
    writeState(outDir, { id: ids[0], status: 'RUNNING', attempts: 1, pid: process.pid });
    expect(due(outDir, { resume: true })).toEqual([0, 1, 2, 3]);
    // Of another container, which gives heartbeats.
    const { host, boot } = runContext();
    const holder = { pid: process.pid, host, boot, pidNamespace: 'pid:[1]', startedAt: 'now' };
    const lock = sweepPaths(outDir).trialLock(ids[0]);
    writeFileSync(lock, JSON.stringify({ ...holder, token: 'x', birth: processBirth(1) }));
    expect(due(outDir, { resume: true })).toEqual([1, 2, 3]);
    expect(sweepStatus(outDir)?.counts.RUNNING).toBe(1);
  });

  it('leaves a trial to the process that runs it, and runs what that one leaves', async () => {
    const outDir = directoryWith('RUNNING');
    const lock = sweepPaths(outDir).trialLock(ids[0]);
    writeFileSync(
      lock,
      JSON.stringify({ pid: 1, host: 'elsewhere', startedAt: 'now', token: 'x' }),
    );
    const begun: string[][] = [];
    const complete = (id: string) => writeState(outDir, { id, status: 'COMPLETED', attempts: 1 });
    const run = (launcher: Launcher) =>
      runSweep(sweep, { outDir, resume: true, flags: {}, elsewhere: true }, launcher, () => {});
    const left = await run(async ({ due }) => {
      begun.push(due.map(({ id }) => id));
      for (const { id } of due) complete(id);
      return {};
    });
    expect(left.status.counts).toMatchObject({ RUNNING: 1, COMPLETED: 3 });
    expect(begun).toEqual([ids.slice(1)]);

    // What that process leaves while the others run is run as well.
    rmSync(sweepPaths(outDir).state(ids[1]));
    begun.length = 0;
    const done = await run(async ({ due }) => {
      begun.push(due.map(({ id }) => id));
      if (begun.length === 1) rmSync(lock);
      for (const { id } of due) complete(id);
      return {};
    });
    expect(begun).toEqual([[ids[1]], [ids[0]]]);
    expect(done.status.counts).toMatchObject({ RUNNING: 0, COMPLETED: 4 });
  });

  it('keeps finished trials when values are added, and those that the file drops', () => {
    const outDir = directoryWith('COMPLETED', 'COMPLETED', 'QUEUED', 'COMPLETED');
    const wider = load(grid.replace('[0.01, 0.02]', '[0.01, 0.03]'));
    const plan = planSweep(wider, { outDir, resume: true });
    expect(plan.due.map(({ overrides }) => overrides['methods.adam.learningRate'])).toEqual([
      0.03, 0.03,
    ]);
    expect(plan.manifest.trials.map(({ id, retired }) => [id, retired])).toEqual([
      [ids[0], false],
      [ids[1], false],
      [plan.due[0].id, false],
      [plan.due[1].id, false],
      [ids[2], true],
      [ids[3], true],
    ]);
  });

  it('refuses a directory of something else', () => {
    const outDir = directoryWith();
    const renamed = load(grid.replace('name: grid', 'name: other'));
    expect(() => planSweep(renamed, { outDir })).toThrow('contains the sweep "grid", not "other"');
    writeFileSync(join(outDir, 'sweep.json'), '{"version":1');
    expect(() => planSweep(sweep, { outDir })).toThrow('is damaged');
    const experiment = temporaryFolder();
    writeFileSync(join(experiment, 'run.json'), '{}');
    expect(() => planSweep(sweep, { outDir: experiment })).toThrow(
      'run directory of an experiment',
    );
  });

  it('ranks by the metric, and takes a damaged state for a trial to run', () => {
    const outDir = directoryWith('QUEUED', 'QUEUED', 'QUEUED', 'QUEUED');
    for (const [i, accuracy] of [0.5, 0.9, undefined].entries()) {
      const results = [
        { method: 'adam', seeds: 1, test_accuracy: accuracy },
        { method: 'sgd', seeds: 1, test_accuracy: accuracy && accuracy - 0.2 },
      ];
      writeState(outDir, { id: ids[i], status: 'COMPLETED', attempts: 1, results });
    }
    writeFileSync(join(outDir, 'states', `${ids[3]}.json`), '{"id":');
    const status = sweepStatus(outDir)!;
    expect(ranked(status).map(({ trial, value }) => [ids.indexOf(trial.id), value])).toEqual([
      [1, 0.9],
      [0, 0.5],
    ]);
    expect(readState(outDir, ids[3]).status).toBe('QUEUED');
  });

  it('reads a thousand states file by file', () => {
    const directory = temporaryFolder();
    mkdirSync(join(directory, 'states'));
    const trials = Array.from({ length: 1000 }, (_, i) => ({
      id: i.toString(16).padStart(12, '0'),
      overrides: { epochs: i },
      addedAt: '2026-01-01T00:00:00Z',
      retired: false,
    }));
    writeManifest(directory, { ...manifestOf(sweep), trials });
    for (const { id } of trials) {
      const state = { id, status: 'COMPLETED', attempts: 1 };
      writeFileSync(join(directory, 'states', `${id}.json`), JSON.stringify(state));
    }
    expect(sweepStatus(directory)?.counts.COMPLETED).toBe(1000);
  });
});

describe('what keeps a sweep from harm', () => {
  it('stops after so many failures for the same reason, whatever its numbers', () => {
    const counter = new FailureCounter(3);
    expect(counter.add('the loss became infinite at batch 12')).toBeUndefined();
    expect(counter.add('cannot write /a/b.csv: the disk is full')).toBeUndefined();
    expect(counter.add('the loss became infinite at batch 7')).toBeUndefined();
    expect(counter.add('the loss became infinite at batch 1e3')).toMatch(
      /^3 trials failed for the same/,
    );
  });

  it('holds trials back while memory is short, but never the only one', () => {
    let free = 1e9;
    const guard = new MemoryGuard(() => free);
    expect(guard.allows(0)).toBe(true);
    expect(guard.allows(1)).toBe(false);
    guard.observe([1, 2], (pid) => pid * 2e8);
    expect(guard.allows(1)).toBe(true);
    free = 4e8;
    expect(guard.allows(1)).toBe(false);
  });
});

describe('fln sweep', () => {
  const place = (sweep: string) => {
    const cwd = workplace(tinyConfig);
    writeFileSync(join(cwd, 'sweep.yaml'), sweep);
    return cwd;
  };

  it('runs trials side by side; a failure is one failed trial, and can be run again', async () => {
    const cwd = place(
      'name: rates\nconfig: tiny.yaml\nparameters: { methods.adam.learningRate: [0.01, 1.0e+29, 2.0e+29] }\n',
    );
    const args = ['sweep', 'sweep.yaml', '--out', 'out', '--jobs', '2'];
    const first = await fln(args, { cwd });
    expect(first.code).toBe(1);
    expect(first.stdout).toMatch(/^rates: 3 trials: 1 completed, 2 failed\n/);
    expect(first.stdout).toMatch(/learningRate=1e\+29: .*diverged/);
    expect(first.stderr).toContain('[3/3]');
    expect(first.stderr).toContain(
      'Run the failed trials again with: fln sweep sweep.yaml --out out --jobs 2 --rerun failed\n',
    );
    expect(first.stdout).toContain('Report: out/report.html\n');
    expect(readFileSync(join(cwd, 'out', 'report.html'), 'utf8')).toContain('<h2>Failed</h2>');
    const again = await fln(args, { cwd, separate: false });
    expect(again.code).toBe(2);
    const rerun = await fln(
      [...args.slice(0, 4), '--rerun', 'failed', '--json', '--stop-after', '1'],
      { cwd },
    );
    expect(rerun.code).toBe(1);
    const { counts, trials } = JSON.parse(rerun.stdout);
    expect(counts).toMatchObject({ COMPLETED: 1, FAILED: 2 });
    expect(trials.map(({ attempts }: { attempts: number }) => attempts).sort()).toEqual([1, 1, 2]);
    const status = await fln(['sweep', 'out', '--status'], { cwd, separate: false });
    expect(status).toMatchObject({ code: 0, stderr: '' });
    expect(status.stdout).toContain('3 trials: 1 completed, 2 failed');
  });
});
