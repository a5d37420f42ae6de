import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { SweepEvent } from '../../src/sweep/launcher.js';
import { loadSweep } from '../../src/sweep/load.js';
import type { SweepPlanOptions } from '../../src/sweep/plan.js';
import { runSweep } from '../../src/sweep/run-sweep.js';
import { SweepSchema } from '../../src/sweep/schema.js';
import { cancelJobs, crossCheck } from '../../src/sweep/slurm/cross-check.js';
import { readJobs } from '../../src/sweep/slurm/jobs.js';
import { slurmLauncher } from '../../src/sweep/slurm/launcher.js';
import type { SbatchOptions } from '../../src/sweep/slurm/script.js';
import { readState, writeState } from '../../src/sweep/state.js';
import { runTrial } from '../../src/sweep/trial.js';
import { fln, workplace } from '../cli/fln.js';

/** A sweep of five trials, and fake Slurm commands that each test defines. */
class Workplace {
  readonly cwd = workplace(`name: tiny
dataset: { name: synthetic-digits, limit: 200, testLimit: 100 }
network: { layers: [ { dense: 8, activation: relu }, { dense: 10 } ] }
epochs: 2
batchSize: 50
seeds: [1]
methods: [ { name: adam } ]
`);
  readonly out = join(this.cwd, 'out');
  readonly #bin = join(this.cwd, 'bin');
  readonly #log = join(this.cwd, 'calls');

  constructor() {
    writeFileSync(
      join(this.cwd, 'sweep.yaml'),
      'name: five\nconfig: tiny.yaml\nparameters: { methods.adam.learningRate: [0.1, 0.2, 0.3, 0.4, 0.5] }\n',
    );
    mkdirSync(this.#bin);
    this.command('sbatch', `n=$(cat ${this.#bin}/n); echo $((n + 1)) > ${this.#bin}/n; echo "$n"`);
    writeFileSync(join(this.#bin, 'n'), '101');
    this.command('squeue', '');
    this.scontrol({});
    this.command('scancel', '');
    this.command('sacct', 'echo "Slurm accounting storage is disabled" >&2; exit 1');
  }

  get path(): string {
    return `${this.#bin}${delimiter}${process.env.PATH}`;
  }

  /** Defines a command as a shell script. */
  command(name: string, script: string): void {
    const head = `#!/bin/sh\necho "${name} $*" >> ${this.#log}\n`;
    writeFileSync(join(this.#bin, name), `${head}${script}\n`, { mode: 0o755 });
  }

  scontrol({ name = 'home', maxArraySize = 1001, job = 'exit 1' }): void {
    const config = `echo "ClusterName = ${name}"; echo "MaxArraySize = ${maxArraySize}"`;
    this.command('scontrol', `case "$*" in *config) ${config};; *"show job"*) ${job};; esac`);
  }

  /** Calls of a command since the last time. */
  calls(name: string): string[] {
    const lines = existsSync(this.#log) ? readFileSync(this.#log, 'utf8').trim().split('\n') : [];
    rmSync(this.#log, { force: true });
    return lines.filter((line) => line.startsWith(`${name} `));
  }

  /** Runs the sweep. @returns warnings */
  async sweep(
    plan: SweepPlanOptions = {},
    {
      jobs,
      resubmit,
      given = {},
    }: { jobs?: number; resubmit?: boolean; given?: SbatchOptions } = {},
  ): Promise<string[]> {
    const settings = SweepSchema.shape.slurm.parse(undefined);
    const launcher = await slurmLauncher({ settings, given, resubmit });
    const events: SweepEvent[] = [];
    const sweep = loadSweep(join(this.cwd, 'sweep.yaml'));
    const options = { outDir: this.out, ...plan, jobs, flags: {} };
    await runSweep(sweep, options, launcher, (event) => events.push(event));
    return events.flatMap((event) => (event.type === 'warning' ? event.message : []));
  }

  check(resubmit = false): Promise<string[]> {
    return crossCheck(this.out, { resubmit, resume: 'fln sweep' });
  }

  get trials(): string[] {
    const { trials } = JSON.parse(readFileSync(join(this.out, 'sweep.json'), 'utf8'));
    return trials.map(({ id }: { id: string }) => id);
  }
}

/** A command that starts no trials but in Slurm: it needs no process of its own. */
const command = (args: readonly string[], env?: Readonly<Record<string, string>>) =>
  fln(args, { cwd: place.cwd, env, separate: false });

let place: Workplace;
beforeEach(() => {
  place = new Workplace();
  vi.stubEnv('PATH', place.path);
  onTestFinished(() => void vi.unstubAllEnvs());
});

/** The error of squeue for a job that the controller does not know. */
const unknownId = 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1';
const all = [0, 1, 2, 3, 4].map((task) => `echo "101|${task}|PENDING|Resources"`).join('\n');

describe('a job on another cluster', () => {
  beforeEach(async () => {
    place.command('sbatch', 'echo "101;gpu"');
    place.command('squeue', `case "$*" in *"-M gpu"*) echo "CLUSTER: gpu"; ${all};; esac`);
    await place.sweep();
  });

  it('is recorded with its cluster, and not submitted again', async () => {
    expect(readJobs(place.out)).toMatchObject([{ id: '101', cluster: 'gpu' }]);
    expect(place.calls('sbatch')).toHaveLength(1);
    expect(await place.sweep({ resume: true })).toEqual([
      '5 trials already in Slurm: not submitted again',
    ]);
    expect(place.calls('sbatch')).toEqual([]);
    expect(await place.check()).toEqual(['5 pending in Slurm (Resources)']);
  });

  it('is cancelled there', async () => {
    expect(await cancelJobs(place.out)).toMatchObject({ cancelled: [{ id: '101' }], failed: [] });
    expect(place.calls('scancel')).toEqual(['scancel -M gpu 101']);
  });

  it('is reported when it is not cancelled, and fails the command', async () => {
    place.command('scancel', 'echo "Access/permission denied" >&2; exit 1');
    const { stderr, code } = await command(['sweep', 'out', '--cancel']);
    expect(stderr).toContain(
      'Not cancelled: job 101 on cluster gpu: scancel failed: Access/permission denied',
    );
    expect(code).toBe(4);
  });

  it('cannot share a limit with jobs of this one', async () => {
    const completed = place.trials[0];
    place.command('squeue', `case "$*" in *"-M gpu"*) echo "101|1|RUNNING|None";; esac`);
    writeState(place.out, { id: completed, status: 'COMPLETED', attempts: 1 });
    await expect(place.sweep({ resume: true }, { jobs: 2 })).rejects.toThrow(
      '--jobs cannot limit trials on several clusters, and Slurm job 101 on cluster gpu',
    );
    // On the same cluster the new job depends on it.
    place.calls('sbatch');
    await place.sweep({ resume: true }, { jobs: 2, given: { clusters: 'cpu,gpu' } });
    const [call] = place.calls('sbatch');
    expect(call).toContain('--array=0-2%2 ');
    expect(call).toContain('--clusters=gpu --dependency=afterany:101 ');
  });
});

it('looks up a job on its own cluster, also from another one', async () => {
  await place.sweep();
  expect(readJobs(place.out)).toMatchObject([{ id: '101', home: 'home' }]);
  place.scontrol({ name: 'other' });
  // Job 101 of that cluster is another user's.
  place.command('squeue', `case "$*" in *"-M home"*) ${all};; *) ${unknownId};; esac`);
  expect(await place.check()).toEqual(['5 pending in Slurm (Resources)']);
  // SLURM_CLUSTERS may name another cluster than that of the job.
  place.scontrol({ name: 'home' });
  place.command('squeue', `test -z "$SLURM_CLUSTERS" && { ${all}\n}`);
  vi.stubEnv('SLURM_CLUSTERS', 'other');
  expect(await place.check()).toEqual(['5 pending in Slurm (Resources)']);
});

describe('a job that squeue does not list', () => {
  beforeEach(() => place.sweep());
  const resubmitted = async () => {
    place.calls('sbatch');
    const warnings = await place.sweep({ resume: true });
    return { warnings, count: place.calls('sbatch').length };
  };

  it.each([
    ['fails', 'echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1'],
    ['lists nothing', ''],
  ])('may still be queued when squeue %s', async (_, squeue) => {
    place.command('squeue', squeue);
    const { warnings, count } = await resubmitted();
    expect(count).toBe(0);
    expect(warnings).toEqual([
      '5 trials may still be in Slurm: not submitted again. ' +
        'If the jobs have ended, add --resubmit',
    ]);
    const [id] = place.trials;
    const running = { id, status: 'RUNNING', attempts: 1, job: { id: '101', task: '0' } } as const;
    writeState(place.out, running);
    const [line] = await place.check();
    expect(line).toContain(
      `5 trials may still be in Slurm job 101, whose state is unknown: ${squeue ? 'squeue failed' : 'scontrol failed'}`,
    );
    expect(readState(place.out, id)).toEqual(running);

    await place.check(true);
    expect(readState(place.out, id).status).toBe('FAILED');
    expect(await place.sweep({ resume: true }, { resubmit: true })).toEqual([]);
    expect(place.calls('sbatch')[0]).toContain('--array=0-3 ');
  });

  it.each([
    ['squeue is not installed', 'exit 1', 'rm'],
    ['scontrol has a state that is not final', 'echo JobState=RUNNING', ''],
  ])('may still be queued when %s', async (_, job, squeue) => {
    place.scontrol({ job });
    if (squeue === 'rm') rmSync(join(place.cwd, 'bin', 'squeue'));
    vi.stubEnv('PATH', `${join(place.cwd, 'bin')}${delimiter}${coreutils()}`);
    const { warnings, count } = await resubmitted();
    expect(count).toBe(0);
    expect(warnings).toHaveLength(1);
  });

  it.each([
    ['squeue', () => place.command('squeue', unknownId)],
    ['scontrol', () => place.scontrol({ job: 'echo JobState=COMPLETED; echo JobState=TIMEOUT' })],
    ['scontrol, which does not know it,', () => place.scontrol({ job: unknownId })],
    ['sacct', () => place.command('sacct', 'echo "CANCELLED by 0"; echo COMPLETED')],
  ])('has ended according to %s', async (_, answer) => {
    answer();
    const { warnings, count } = await resubmitted();
    expect(warnings).toEqual([]);
    expect(count).toBe(1);
  });

  it('has not ended while one of its tasks has not', async () => {
    place.scontrol({ job: 'echo JobState=COMPLETED; echo JobState=PENDING' });
    expect((await resubmitted()).count).toBe(0);
    place.scontrol({});
    place.command('sacct', 'echo COMPLETED; echo PENDING');
    expect((await resubmitted()).count).toBe(0);
  });

  it('is not looked up once all its trials have final states', async () => {
    place.command('squeue', 'exit 1');
    const job = { id: '101', task: '0' };
    for (const id of place.trials)
      writeState(place.out, { id, status: 'FAILED', attempts: 1, job });
    place.calls('sbatch');
    expect(await place.sweep({ rerun: 'failed' })).toEqual([]);
    expect(place.calls('sbatch')).toHaveLength(1);
  });
});

it('reads the jobs.json of earlier versions', async () => {
  await place.sweep();
  const jobs = [{ id: '101', submittedAt: '2026-01-01T00:00:00.000Z', trials: place.trials }];
  writeFileSync(join(place.out, 'slurm', 'jobs.json'), JSON.stringify(jobs));
  place.command('squeue', all);
  expect(await place.sweep({ resume: true })).toEqual([
    '5 trials already in Slurm: not submitted again',
  ]);
});

it('reports unfinished trials that are in no job', async () => {
  await place.sweep();
  place.command('squeue', 'echo "101|0|PENDING|Resources"');
  const [, interrupted, completed] = place.trials;
  writeState(place.out, { id: interrupted, status: 'INTERRUPTED', attempts: 1 });
  writeState(place.out, { id: completed, status: 'COMPLETED', attempts: 1 });
  const { stderr } = await command(['sweep', 'sweep.yaml', '--out', 'out', '--status']);
  expect(stderr).toContain('1 pending in Slurm (Resources)');
  expect(stderr).toContain(
    '3 trials unfinished and in no Slurm job. Submit with: ' +
      'fln sweep sweep.yaml --out out --launcher slurm --resume\n',
  );
  const args = ['sweep', 'sweep.yaml', '--out', 'out', '--launcher', 'slurm', '--resume'];
  const resumed = await command(args);
  expect(resumed.stderr).toContain('1 trial already in Slurm: not submitted again');
  expect(resumed.stderr).toContain('Submitted 3 trials');
});

describe('--jobs', () => {
  const limits = (calls: string[]) =>
    calls.map((call) => [
      /--array=(\S+)/.exec(call)?.[1],
      /--dependency=(\S+)/.exec(call)?.[1] ?? '',
    ]);

  it('applies to the whole sweep: each array depends on the one before', async () => {
    place.scontrol({ maxArraySize: 2 });
    await place.sweep({}, { jobs: 3 });
    expect(limits(place.calls('sbatch'))).toEqual([
      ['0-1%3', ''],
      ['0-1%3', 'afterany:101'],
      ['0-0%3', 'afterany:102'],
    ]);
  });

  it('applies to jobs of earlier commands too', async () => {
    place.scontrol({ maxArraySize: 3 });
    await place.sweep();
    expect(limits(place.calls('sbatch'))).toEqual([
      ['0-2', ''],
      ['0-1', ''],
    ]);
    place.command('squeue', 'echo "101|2|RUNNING|None"; echo "102|1|RUNNING|None"');
    expect(await place.sweep({ resume: true }, { jobs: 2 })).toEqual([
      '2 trials already in Slurm: not submitted again',
      'Slurm job 101 runs 2 trials at a time from now on',
      'Slurm job 102 runs 2 trials at a time from now on',
    ]);
    expect(readJobs(place.out).map(({ throttle }) => throttle)).toEqual([2, 2, 2]);
    expect(limits(place.calls('sbatch'))).toEqual([['0-2%2', 'afterany:101:102']]);
    // The limit is already set.
    place.command('squeue', 'echo "103|1|RUNNING|None"');
    place.scontrol({ job: unknownId });
    await place.sweep({ resume: true }, { jobs: 2 });
    expect(place.calls('scontrol').filter((call) => call.includes('update'))).toEqual([]);
  });
});

it('cancels a job that it cannot record', async () => {
  const jobs = join(place.out, 'slurm', 'jobs.json');
  place.command('sbatch', `mkdir ${jobs}; echo 101`);
  await expect(place.sweep()).rejects.toThrow(jobs);
  expect(place.calls('scancel')).toEqual(['scancel 101']);
});

it('submits the remaining trials once the cluster accepts more jobs', async () => {
  place.scontrol({ maxArraySize: 3 });
  const limit = 'sbatch: error: AssocMaxSubmitJobLimit';
  place.command(
    'sbatch',
    `test -e ${place.out}/slurm/jobs.json || { echo 101; exit; }; echo "${limit}" >&2; exit 1`,
  );
  await expect(place.sweep()).rejects.toThrow('--resume submits the remaining trials');
  place.command('sbatch', 'echo 102');
  place.command('squeue', 'for task in 0 1 2; do echo "101|$task|PENDING|None"; done');
  await place.sweep({ resume: true });
  expect(readJobs(place.out).map(({ trials }) => trials)).toEqual([
    place.trials.slice(0, 3),
    place.trials.slice(3),
  ]);
});

it('reports a Slurm without array jobs', async () => {
  place.scontrol({ maxArraySize: 0 });
  await expect(place.sweep()).rejects.toThrow(
    'this Slurm does not allow array jobs (MaxArraySize is 0)',
  );
});

describe('a dry run', () => {
  const args = ['sweep', 'sweep.yaml', '--out', 'my out', '--launcher', 'slurm', '--dry-run'];

  it('prints the command and the script, has sbatch check them, and writes nothing', async () => {
    const { cwd } = place;
    place.command('sbatch', `cat > ${join(cwd, 'checked')}`);
    const before = readdirSync(cwd);
    const { stdout, code } = await command([...args, '--sbatch', 'time=10', '--jobs', '2']);
    expect(code).toBe(0);
    const folder = join(cwd, 'my out', 'slurm');
    expect(stdout).toContain('Would run 5 trials:\n');
    expect(stdout).toContain(
      `\nsbatch --parsable --job-name=fln-five --array=0-4%2 '--output=${folder}/%A_%a.out' ` +
        `'--error=${folder}/%A_%a.out' --open-mode=append --requeue --signal=B:USR2@120 --time=10 ` +
        `'${folder}/job-1.sh'\n`,
    );
    const script = readFileSync(join(cwd, 'checked'), 'utf8');
    expect(script).toContain(`sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" '${folder}/job-1.trials'`);
    expect(stdout).toContain(script);
    expect(place.calls('sbatch')).toEqual([
      expect.stringContaining('sbatch --test-only --job-name'),
    ]);
    expect(readdirSync(cwd).sort()).toEqual([...before, 'checked'].sort());
  });

  it('fails as a launch does for options that sbatch rejects', async () => {
    const { cwd } = place;
    place.command('sbatch', 'echo "sbatch: error: invalid partition specified: gqu" >&2; exit 1');
    const dry = await command([...args, '--sbatch', 'partition=gqu']);
    expect(dry.code).toBe(2);
    expect(dry.stderr).toContain('invalid partition specified: gqu');
    expect(existsSync(join(cwd, 'my out'))).toBe(false);
    const real = await command([...args.slice(0, -1), '--sbatch', 'partition=gqu']);
    expect(real.code).toBe(2);
    expect(real.stderr).toContain(dry.stderr.trim());
  });
});

it.each([['--dry-run'], ['--json']])(
  'requires Slurm before it writes anything (%s)',
  async (flag) => {
    const { cwd } = place;
    const args = ['sweep', 'sweep.yaml', '--launcher', 'slurm', flag];
    const { code, stderr } = await command(args, { PATH: '/nowhere' });
    expect(code).toBe(4);
    expect(stderr).toBe(
      'sbatch is not installed: run this on a login node of a Slurm cluster, or use --launcher local\n',
    );
    expect(existsSync(join(cwd, 'results'))).toBe(false);
  },
);

it('prints follow-up commands quoted for the shell', async () => {
  const args = ['sweep', 'sweep.yaml', 'epochs=3', '--out', "o'neil's", '--launcher', 'slurm'];
  const { stderr } = await command([...args, '--sbatch', 'time=10,gres=gpu:1']);
  expect(stderr).toContain(
    "Print its state with: fln sweep sweep.yaml epochs=3 --out 'o'\\''neil'\\''s' --status\n",
  );
  const nothing = await command(['sweep', 'sweep.yaml', '--out', 'a b', '--status']);
  expect(nothing.stderr).toContain("start it with: fln sweep sweep.yaml --out 'a b'\n");
});

/** A folder with the commands that the fake ones use, without Slurm. */
function coreutils(): string {
  const folder = join(place.cwd, 'coreutils');
  mkdirSync(folder);
  for (const name of ['sh', 'cat']) {
    writeFileSync(join(folder, name), `#!/bin/sh\nexec /bin/${name} "$@"\n`, { mode: 0o755 });
  }
  return folder;
}

describe('a halving search on Slurm', () => {
  it('submits the trials of one rung after the other, each time that it is resumed', async () => {
    const config = join(place.cwd, 'sweep.yaml');
    const search = 'search: { kind: halving, eta: 2, minEpochs: 1 }';
    writeFileSync(
      config,
      `name: four\nconfig: tiny.yaml\n${search}\nset: { epochs: 4, dataset.validation: 40 }\nparameters: { methods.adam.learningRate: [0.0001, 0.001, 0.01, 0.003] }\n`,
    );
    const arrays: string[] = [];
    /** Submits what is due; then Slurm runs it, here in this process. */
    const wave = async (resume: boolean) => {
      await place.sweep({ resume }, { resubmit: resume });
      const [sbatch] = place.calls('sbatch');
      const array = /--array[= ](\S+)/.exec(sbatch ?? '')?.[1];
      if (array === undefined) return undefined;
      arrays.push(array);
      const tasks = array.split(',').flatMap((part) => {
        const [first, last = first] = part.split('-').map(Number);
        return Array.from({ length: last - first + 1 }, (_, k) => first + k);
      });
      for (const task of tasks) {
        await runTrial(place.out, place.trials[task], { interruptedCode: () => 130 }, () => {});
      }
      return tasks.length;
    };
    expect(await wave(false)).toBe(4);
    expect(await wave(true)).toBe(2);
    expect(await wave(true)).toBe(1);
    // Finished: nothing is submitted.
    expect(await wave(true)).toBeUndefined();
    expect(arrays).toHaveLength(3);
    const states = place.trials.map((id) => readState(place.out, id));
    expect(states.map(({ rungs }) => rungs?.map(({ epoch }) => epoch).at(-1)).toSorted()).toEqual([
      1, 1, 2, 4,
    ]);
  }, 120_000);
});
