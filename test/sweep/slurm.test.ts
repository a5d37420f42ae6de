import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { EnvironmentError, UsageError } from '../../src/errors.js';
import { SweepSchema } from '../../src/sweep/schema.js';
import { parseQueue, submittedJob } from '../../src/sweep/slurm/jobs.js';
import { checkSbatch, parseSbatch } from '../../src/sweep/slurm/options.js';
import { arrayScript } from '../../src/sweep/slurm/script.js';
import { readState, writeState } from '../../src/sweep/state.js';
import { fln, workplace } from '../cli/fln.js';

const settings = SweepSchema.shape.slurm.parse(undefined);

describe('options of sbatch', () => {
  it('are read as name=value, with or without dashes', () => {
    expect(parseSbatch(['time=2:00:00', '--gres=gpu:1', 'exclusive'])).toEqual({
      time: '2:00:00',
      gres: 'gpu:1',
      exclusive: true,
    });
    expect(() => parseSbatch(['=x'])).toThrow(UsageError);
  });

  it('are refused where the sweep sets them, and with line breaks', () => {
    for (const name of ['array', 'signal', 'requeue', 'output']) {
      expect(() => checkSbatch({ [name]: 'x' })).toThrow(`the option ${name} of sbatch is set by`);
    }
    expect(() => checkSbatch({ comment: 'a\n#SBATCH --uid=0' })).toThrow('line break');
  });
});

describe('the script of an array job', () => {
  const script = arrayScript({
    name: 'lambda',
    tasks: 12,
    throttle: 3,
    list: "/home/o'neil/list",
    logs: '/logs',
    output: '/slurm/%A_%a.out',
    command: ['/usr/bin/node', 'fln.js', 'sweep-trial', '/the sweep'],
    settings: { ...settings, warnSeconds: 90, setup: ['module load cuda'] },
    options: { time: '1:00:00', comment: 'two words', exclusive: true },
  });

  it('says everything to sbatch in its head', () => {
    const head = script.split('\n\n')[0].split('\n').slice(1);
    expect(head).toEqual([
      '#SBATCH --job-name=fln-lambda',
      '#SBATCH --array=0-11%3',
      '#SBATCH --output=/slurm/%A_%a.out',
      '#SBATCH --open-mode=append',
      '#SBATCH --requeue',
      '#SBATCH --signal=B:USR2@90',
      '#SBATCH --time=1:00:00',
      '#SBATCH --comment="two words"',
      '#SBATCH --exclusive',
    ]);
  });

  it('is shell, with paths that hold what they hold', () => {
    execFileSync('bash', ['-n'], { input: script });
    expect(script).toContain(`'/home/o'\\''neil/list'`);
    expect(script).toContain(
      "module load cuda\n'/usr/bin/node' 'fln.js' 'sweep-trial' '/the sweep' ",
    );
  });
});

it('reads what squeue prints', () => {
  const queue = parseQueue(
    '12|3|RUNNING|None\n12|4|PENDING|JobArrayTaskLimit\nslurm_load: error\n',
  );
  expect([...queue]).toEqual([
    ['12_3', { state: 'RUNNING', reason: 'None' }],
    ['12_4', { state: 'PENDING', reason: 'JobArrayTaskLimit' }],
  ]);
});

it('reads which job sbatch has submitted', () => {
  expect(submittedJob('12\n')).toBe('12');
  expect(submittedJob('Welcome to the cluster, 7 nodes\n12;east\n')).toBe('12');
  expect(() => submittedJob('Queued, 12 before you\n')).toThrow(
    'sbatch printed no job id but "Queued, 12 before you\\n"',
  );
  expect(() => submittedJob('')).toThrow(EnvironmentError);
});

it('says what to do where there is no Slurm', async () => {
  const cwd = sweepFolder();
  const { code, stderr } = await fln(['sweep', 'sweep.yaml', '--launcher', 'slurm'], {
    cwd,
    env: { PATH: '/nowhere' },
  });
  expect(code).toBe(4);
  expect(stderr).toContain('there is no squeue here: run this on a login node');
});

it('tells of trials that are left and in no job', async () => {
  const cwd = sweepFolder();
  const commands = join(cwd, 'commands');
  mkdirSync(commands);
  const command = (name: string, does: string) =>
    writeFileSync(join(commands, name), `#!/bin/sh\n${does}\n`, { mode: 0o755 });
  command('sbatch', 'echo 7');
  command('scontrol', 'echo "MaxArraySize = 1001"');
  // The first task waits; the other jobs are gone.
  const queue = join(cwd, 'queue');
  command('squeue', `cat ${queue}`);
  writeFileSync(queue, '');
  const env = { PATH: `${commands}:${process.env.PATH}` };
  const sweep = (...args: string[]) =>
    fln(['sweep', 'sweep.yaml', '--out', 'out', ...args], { cwd, env });
  expect((await sweep('--launcher', 'slurm')).stderr).toContain('Submitted 5 trials');

  writeFileSync(queue, '7|0|PENDING|Resources\n');
  const out = join(cwd, 'out');
  const { trials } = JSON.parse(readFileSync(join(out, 'sweep.json'), 'utf8'));
  const [, interrupted, completed]: { id: string }[] = trials;
  writeState(out, { id: interrupted.id, status: 'INTERRUPTED', attempts: 1 });
  writeState(out, { id: completed.id, status: 'COMPLETED', attempts: 1 });
  const { stderr } = await sweep('--status');
  expect(stderr).toContain('1 waiting in Slurm (Resources)');
  expect(stderr).toContain('3 trials left and in no Slurm job: --resume submits');

  const resumed = await sweep('--launcher', 'slurm', '--resume');
  expect(resumed.stderr).toContain('1 trial in Slurm already: not submitted again');
  expect(resumed.stderr).toContain('Submitted 3 trials');
});

const hasSlurm = (() => {
  try {
    return (
      execFileSync('sinfo', ['-h'], { encoding: 'utf8', stdio: 'pipe', timeout: 10_000 }) !== ''
    );
  } catch {
    return false;
  }
})();

describe('on a real Slurm', () => {
  it.skipIf(!hasSlurm)(
    'ends in the right states: successes, a failure, a kill, one that is queued again',
    { timeout: 300_000 },
    async () => {
      const cwd = sweepFolder();
      const out = join(cwd, 'out');
      const sweep = (...args: string[]) =>
        fln(['sweep', 'sweep.yaml', '--out', 'out', ...args], { cwd });
      const submitted = await sweep('--launcher', 'slurm', '--sbatch', 'time=10', '--jobs', '2');
      expect(submitted.stderr).toMatch(/Submitted 5 trials as Slurm job \d+/);
      expect(submitted.code).toBe(0);
      const { trials } = JSON.parse(readFileSync(join(out, 'sweep.json'), 'utf8'));
      const [good, bad, killed, requeued, last]: string[] = trials.map(
        ({ id }: { id: string }) => id,
      );
      const state = (id: string) => readState(out, id);
      const csv = (id: string) => join(out, 'trials', id, 'adam-s1', 'metrics.csv');
      const trains = (id: string) => state(id).status === 'RUNNING' && existsSync(csv(id));

      await until(() => trains(killed));
      process.kill(state(killed).pid as number, 'SIGKILL');
      await until(() => trains(requeued));
      // What Slurm sends before the time limit (--signal=B:USR2@...).
      const { id: job, task } = state(requeued).job ?? { id: '', task: '' };
      execFileSync('scancel', ['--signal=USR2', '--batch', `${job}_${task}`]);
      const pending = () =>
        execFileSync('squeue', ['-h', '-r', '-t', 'PENDING', '-o', '%K'], { encoding: 'utf8' });
      await until(() => pending().trim() === task);
      expect(state(requeued)).toMatchObject({ status: 'INTERRUPTED', exitCode: 75 });
      // Slurm lets a job that is queued again wait for two minutes; not at all would be too short,
      // for it takes a credential of the second in which the job was queued again for a revoked one.
      await sleep(2_000);
      execFileSync('scontrol', ['update', `JobId=${job}_${task}`, 'StartTime=now']);
      await until(() => hasEnded(job));

      const { stdout, code } = await sweep('--status', '--json');
      expect(code).toBe(0);
      const status = JSON.parse(stdout);
      expect(status.counts).toMatchObject({ COMPLETED: 3, FAILED: 2, RUNNING: 0, QUEUED: 0 });
      expect(state(good)).toMatchObject({ status: 'COMPLETED', attempts: 1, exitCode: 0 });
      expect(state(last)).toMatchObject({ status: 'COMPLETED', attempts: 1 });
      expect(state(bad).status).toBe('FAILED');
      expect(state(bad).error).toContain('diverged');
      expect(state(killed).status).toBe('FAILED');
      expect(state(killed).error).toContain('ended without a word from the trial: killed');
      expect(state(requeued)).toMatchObject({ status: 'COMPLETED', attempts: 2 });
      // Header, and every batch once.
      expect(readFileSync(csv(requeued), 'utf8').trimEnd().split('\n')).toHaveLength(1 + 12_000);

      // Nothing is due but what failed; that goes on from its checkpoint.
      const again = await sweep('--launcher', 'slurm', '--resume');
      expect(again.stderr).not.toContain('Submitted');
      const rerun = await sweep('--launcher', 'slurm', '--rerun', 'failed');
      expect(rerun.stderr).toContain('Submitted 2 trials');
      await until(() => trains(killed));
      const { id: secondJob } = state(killed).job ?? { id: '' };
      expect((await sweep('--cancel')).stderr).toMatch(/Cancelled: \d+/);
      await until(() => state(killed).status === 'INTERRUPTED');
      // Until then its script may write where the test's folder is about to be removed.
      await until(() => hasEnded(secondJob));
    },
  );
});

/** Whether Slurm has no task of a job left. */
const hasEnded = (job: string): boolean =>
  execFileSync('squeue', ['-h', '-j', job], { encoding: 'utf8' }) === '';

async function until(isSo: () => boolean): Promise<void> {
  for (let waited = 0; !isSo(); waited += 100) {
    if (waited > 120_000) throw new Error('waited for two minutes in vain');
    await sleep(100);
  }
}

/** Trials: a success, one that diverges, a long one, one of seconds, a success. */
function sweepFolder(): string {
  const folder = workplace(`name: tiny
dataset: { name: synthetic-digits, limit: 200, testLimit: 100 }
network: { layers: [ { dense: 8, activation: relu }, { dense: 10 } ] }
epochs: 2
batchSize: 50
seeds: [1]
evaluate: { every: 1000 }
backend: wasm
methods: [ { name: adam } ]
`);
  writeFileSync(
    join(folder, 'sweep.yaml'),
    `name: five
config: tiny.yaml
zip:
  - epochs: [2, 3, 300000, 3000, 4]
    methods.adam.learningRate: [0.01, 1.0e+29, 0.01, 0.01, 0.01]
`,
  );
  return folder;
}
