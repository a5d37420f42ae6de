import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { EnvironmentError, UsageError } from '../../src/errors.js';
import { trialCommand } from '../../src/sweep/launcher.js';
import { SweepSchema } from '../../src/sweep/schema.js';
import { slurmEnvironment, submittedJob } from '../../src/sweep/slurm/commands.js';
import { parseQueue } from '../../src/sweep/slurm/jobs.js';
import {
  checkSbatch,
  literalPath,
  parseSbatch,
  sbatchArguments,
  trialScript,
} from '../../src/sweep/slurm/script.js';
import { readState, type TrialState } from '../../src/sweep/state.js';
import { fln, workplace } from '../cli/fln.js';

const settings = SweepSchema.shape.slurm.parse(undefined);

describe('options of sbatch', () => {
  it('are parsed as name=value, with or without dashes', () => {
    expect(parseSbatch(['time=2:00:00', '--gres=gpu:1', 'exclusive'])).toEqual({
      time: '2:00:00',
      gres: 'gpu:1',
      exclusive: true,
    });
    expect(() => parseSbatch(['=x'])).toThrow(UsageError);
  });

  it('are refused if the sweep sets them, and with line breaks', () => {
    for (const name of ['array', 'signal', 'requeue', 'no-requeue', 'output', 'wait']) {
      expect(() => checkSbatch({ [name]: 'x' })).toThrow(`the sbatch option ${name} is set by`);
    }
    expect(() => checkSbatch({ comment: 'a\n#SBATCH --uid=0' })).toThrow('line break');
    expect(() => checkSbatch({ dependency: 'afterok:1?afterok:2' })).toThrow('by commas');
  });
});

describe('the arguments of sbatch', () => {
  const job = {
    name: 'lambda',
    tasks: 12,
    output: join(literalPath("/home/o'neil/50% off"), '%A_%a.out'),
    settings: { ...settings, warnSeconds: 90 },
    options: { time: '1:00:00', comment: 'two words', exclusive: true as const },
  };

  it('include all options, since SBATCH_* in the environment would override those in a script', () => {
    expect(sbatchArguments({ ...job, throttle: 3, after: ['7', '8'] })).toEqual([
      '--job-name=fln-lambda',
      '--array=0-11%3',
      "--output=/home/o'neil/50%% off/%A_%a.out",
      "--error=/home/o'neil/50%% off/%A_%a.out",
      '--open-mode=append',
      '--requeue',
      '--signal=B:USR2@90',
      '--time=1:00:00',
      '--comment=two words',
      '--exclusive',
      '--dependency=afterany:7:8',
    ]);
  });

  it('combine a dependency of the user with those of the sweep', () => {
    const options = { dependency: 'afterok:3' };
    expect(sbatchArguments({ ...job, options, after: ['7'] })).toContain(
      '--dependency=afterok:3,afterany:7',
    );
    expect(sbatchArguments({ ...job, options })).toContain('--dependency=afterok:3');
  });
});

describe('the script of an array job', () => {
  const script = () =>
    trialScript({
      list: "/home/o'neil/list",
      logs: '/logs',
      command: ['/usr/bin/node', 'fln.js', 'sweep-trial', '/the sweep'],
      settings: { ...settings, setup: ['module load cuda'] },
    });

  it('is valid shell, with quoted paths', () => {
    execFileSync('bash', ['-n'], { input: script() });
    expect(script()).toContain(`'/home/o'\\''neil/list'`);
    expect(script()).toContain(
      "module load cuda\n'/usr/bin/node' 'fln.js' 'sweep-trial' '/the sweep' ",
    );
    expect(script()).not.toContain('#SBATCH');
  });

  it('exports the variables of the program, which --export=NONE removes', () => {
    vi.stubEnv('FLN_DATA_DIR', "my data's");
    vi.stubEnv('FLN_CACHE_DIR', '');
    vi.stubEnv('FLN_SWEEP_JOB', '1_2');
    const text = script();
    vi.unstubAllEnvs();
    expect(text).toContain(`export FLN_DATA_DIR='${process.cwd()}/my data'\\''s'\n`);
    expect(text).not.toContain('FLN_CACHE_DIR');
    expect(text.match(/export FLN_SWEEP_JOB/g)).toHaveLength(1);
  });

  it('runs the program itself and not a link to it', () => {
    const folder = sweepFolder();
    writeFileSync(join(folder, 'fln.js'), '');
    symlinkSync(join(folder, 'fln.js'), join(folder, 'link'));
    const [, before] = process.argv;
    process.argv[1] = join(folder, 'link');
    const command = trialCommand('/the sweep', {});
    process.argv[1] = before;
    expect(command).toContain(realpathSync(join(folder, 'fln.js')));
  });
});

it('removes variables from the environment that filter the output of Slurm, or belong to the current job', () => {
  const site = { PATH: '/bin', SLURM_CONF: '/conf', SLURM_CLUSTERS: 'a', SBATCH_ACCOUNT: 'b' };
  const narrowing = { SQUEUE_STATES: 'RUNNING', SCANCEL_INTERACTIVE: '1', SBATCH_WAIT: '1' };
  expect(slurmEnvironment({ ...site, ...narrowing })).toEqual(site);
  const job = { SLURM_JOB_ID: '7', SLURM_RESTART_COUNT: '3', SLURM_MEM_PER_NODE: '100' };
  expect(slurmEnvironment({ ...site, ...job })).toEqual(site);
});

it('parses the output of squeue', () => {
  const queue = parseQueue(
    'CLUSTER: east\n12|3|RUNNING|None\n12|4|PENDING|JobArrayTaskLimit\nslurm_load: error\n',
  );
  expect(queue.size).toBe(1);
  expect([...(queue.get('12') ?? [])]).toEqual([
    [3, { state: 'RUNNING', reason: 'None' }],
    [4, { state: 'PENDING', reason: 'JobArrayTaskLimit' }],
  ]);
});

it('parses the job that sbatch has submitted', () => {
  expect(submittedJob('12\n')).toEqual({ id: '12' });
  const east = { id: '12', cluster: 'east' };
  expect(submittedJob('Welcome to the cluster, 7 nodes\n12;east\n')).toEqual(east);
  expect(() => submittedJob('Queued, 12 before you\n')).toThrow(
    'sbatch printed "Queued, 12 before you\\n" instead of a job id',
  );
  expect(() => submittedJob('')).toThrow(EnvironmentError);
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
    'ends in the right states: successes, a failure, a kill, a requeue',
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
      // Slurm delays a requeued job by two minutes. Without any delay, it would reject a credential of the
      // second in which the job was requeued as revoked.
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
      expect(state(killed).error).toContain('ended before the trial recorded a result: killed');
      expect(state(requeued)).toMatchObject({ status: 'COMPLETED', attempts: 2 });
      // Header, and every batch once.
      expect(readFileSync(csv(requeued), 'utf8').trimEnd().split('\n')).toHaveLength(1 + 12_000);

      // Only the failed trials are due; they resume from their checkpoints.
      const again = await sweep('--launcher', 'slurm', '--resume');
      expect(again.stderr).not.toContain('Submitted');
      const rerun = await sweep('--launcher', 'slurm', '--rerun', 'failed');
      expect(rerun.stderr).toContain('Submitted 2 trials');
      await until(() => trains(killed));
      const { id: secondJob } = state(killed).job ?? { id: '' };
      expect((await sweep('--cancel')).stderr).toMatch(/Cancelled: \d+/);
      await until(() => state(killed).status === 'INTERRUPTED');
      // Until then its script may write into the test's folder, which is deleted next.
      await until(() => hasEnded(secondJob));
    },
  );

  it.skipIf(!hasSlurm)(
    'uses the options and the limit of the sweep, regardless of the environment',
    { timeout: 300_000 },
    async () => {
      const cwd = sweepFolder();
      writeFileSync(
        join(cwd, 'sweep.yaml'),
        'name: three\nconfig: tiny.yaml\nparameters: { methods.adam.learningRate: [0.01, 0.02, 0.03] }\n',
      );
      const out = join(cwd, "o'neil's 50%j");
      // Arrays of two tasks at most.
      mkdirSync(join(cwd, 'bin'));
      const real = execFileSync('which', ['scontrol'], { encoding: 'utf8' }).trim();
      writeFileSync(
        join(cwd, 'bin', 'scontrol'),
        `#!/bin/sh\nif [ "$*" = "show config" ]; then ${real} show config | sed 's/^MaxArraySize.*/MaxArraySize = 2/'; else exec ${real} "$@"; fi\n`,
        { mode: 0o755 },
      );
      const misleading = {
        SBATCH_ARRAY_INX: '7-9',
        SBATCH_ERROR: join(cwd, 'elsewhere.err'),
        SBATCH_EXCLUSIVE: '',
        SBATCH_EXPORT: 'NONE',
        SBATCH_JOB_NAME: 'elsewhere',
        SBATCH_NO_REQUEUE: '1',
        SBATCH_OPEN_MODE: 'truncate',
        SBATCH_OUTPUT: join(cwd, 'elsewhere.out'),
        SBATCH_PARTITION: 'nowhere',
        SBATCH_TIMELIMIT: '1',
        SBATCH_WAIT: '1',
        SQUEUE_STATES: 'SUSPENDED',
        // As inside of a job that was queued again.
        SLURM_JOB_ID: '1',
        SLURM_RESTART_COUNT: '99',
      };
      const env = { ...misleading, PATH: `${join(cwd, 'bin')}:${process.env.PATH}` };
      const args = ['sweep', 'sweep.yaml', '--out', out, '--launcher', 'slurm', '--jobs', '1'];
      const options = ['--sbatch', 'time=10,partition=test,exclusive=user'];
      const submitted = await fln([...args, ...options], { cwd, env });
      expect(submitted.code).toBe(0);
      const jobs: { id: string }[] = JSON.parse(
        readFileSync(join(out, 'slurm', 'jobs.json'), 'utf8'),
      );
      expect(jobs).toHaveLength(2);
      const show = execFileSync('scontrol', ['show', 'job', jobs[0].id], { encoding: 'utf8' });
      expect(show).toContain('JobName=fln-three\n');
      expect(show).toContain('ArrayTaskThrottle=1 ');
      expect(show).toMatch(/TimeLimit=00:10:00 /);
      expect(show).toMatch(/Partition=test /);
      expect(show).toMatch(/Requeue=1 /);
      expect(show).toMatch(/OverSubscribe=USER /);
      await until(() => hasEnded(jobs[0].id) && hasEnded(jobs[1].id));

      const { trials } = JSON.parse(readFileSync(join(out, 'sweep.json'), 'utf8'));
      const states = trials.map(({ id }: { id: string }) => readState(out, id));
      expect(states.map(({ status }: TrialState) => status)).toEqual(Array(3).fill('COMPLETED'));
      const [first, second, third] = states;
      expect(second.startedAt >= first.endedAt).toBe(true);
      expect(third.startedAt >= second.endedAt).toBe(true);
      const files = [`${jobs[0].id}_0.out`, `${jobs[0].id}_1.out`, `${jobs[1].id}_0.out`];
      expect(readdirSync(join(out, 'slurm'))).toEqual(expect.arrayContaining(files));
      expect(readdirSync(cwd).filter((name) => name.startsWith('elsewhere'))).toEqual([]);
    },
  );
});

/** Whether Slurm has no task of a job left. */
const hasEnded = (job: string): boolean =>
  execFileSync('squeue', ['-h', '-j', job], { encoding: 'utf8' }) === '';

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 100) {
    if (waited > 120_000) throw new Error('timed out after two minutes');
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
