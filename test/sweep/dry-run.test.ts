import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { processBirth } from '../../src/files/holder.js';
import type { LaunchOptions } from '../../src/sweep/launcher.js';
import { loadSweep, type Sweep } from '../../src/sweep/load.js';
import { localLauncher } from '../../src/sweep/local/launcher.js';
import { checkSweep, runSweep } from '../../src/sweep/run-sweep.js';
import { readState } from '../../src/sweep/state.js';
import { runTrial } from '../../src/sweep/trial.js';
import { installFakeBinding } from '../backend/fake-tools.js';
import { fln, workplace } from '../cli/fln.js';
import { outcomeOf, put, temporaryFolder, tinyConfig, tree } from '../experiment/tiny.js';

const grid = `
name: grid
config: tiny.yaml
parameters: { methods.adam.learningRate: [0.01, 0.02] }
`;

function sweepIn(folder: string, overrides: string[] = [], text = grid): Sweep {
  put(join(folder, 'tiny.yaml'), tinyConfig);
  put(join(folder, 'sweep.yaml'), text);
  return loadSweep(join(folder, 'sweep.yaml'), overrides);
}

const optionsIn = (folder: string, more: Partial<LaunchOptions> = {}) => ({
  outDir: join(folder, 'out'),
  flags: {},
  ...more,
});

const run = (sweep: Sweep, options: ReturnType<typeof optionsIn>) =>
  runSweep(sweep, options, localLauncher, () => {});

/** Shadows the nvidia-smi of this machine. */
function nvidiaSmi(script: string): void {
  const folder = temporaryFolder();
  put(join(folder, 'nvidia-smi'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, 'nvidia-smi'), 0o755);
  vi.stubEnv('PATH', `${folder}${delimiter}${process.env.PATH}`);
}

beforeEach(() => nvidiaSmi('exit 9'));
afterEach(() => vi.unstubAllEnvs());

describe('a dry run of a sweep', () => {
  const refusals: Record<
    string,
    [number, RegExp, string[], (folder: string) => ReturnType<typeof optionsIn>]
  > = {
    'damaged data': [
      5,
      /train-images-idx3-ubyte .*Replace it with an intact copy/,
      ['dataset.name=mnist'],
      (folder) => {
        put(join(folder, 'data', 'train-images-idx3-ubyte'), 'cut short');
        return optionsIn(folder, { flags: { dataDir: join(folder, 'data') } });
      },
    ],
    'missing data with --offline': [
      5,
      /^The data set mnist is not complete/,
      ['dataset.name=mnist'],
      (folder) => optionsIn(folder, { flags: { offline: true } }),
    ],
    'a backend that is not installed': [
      4,
      /^the backend "tensorflow" does not start/,
      ['backend=tensorflow'],
      (folder) => optionsIn(folder),
    ],
    'the lock of the sweep': [
      1,
      new RegExp(`^process ${process.ppid} on .*the sweep in `),
      [],
      (folder) => {
        const [pid, host] = [process.ppid, hostname()];
        const holder = { pid, host, startedAt: 'now', token: 'x', birth: processBirth(pid) };
        put(join(folder, 'out', 'lock'), JSON.stringify(holder));
        return optionsIn(folder);
      },
    ],
    'a sweep directory below a file': [
      2,
      /cannot be created: .* is a file; choose another sweep directory/,
      [],
      (folder) => ({ ...optionsIn(folder), outDir: join(folder, 'tiny.yaml', 'a', 'b') }),
    ],
    'GPUs that no backend uses': [
      4,
      /^no trial can run on GPU 0: the backend "tensorflow" does not start: neither .*fln backend install tensorflow --cuda`[^\n]*\. Without --gpus/,
      [],
      (folder) => optionsIn(folder, { gpus: ['0', '1'] }),
    ],
    'GPUs for a backend without GPU support': [
      4,
      /^no trial can run on GPU 0: the backend "wasm" does not compute on the device "cuda"; backends that do: tensorflow, tensorflow-gpu\. Without --gpus/,
      ['backend=wasm'],
      (folder) => optionsIn(folder, { gpus: ['0'] }),
    ],
    'GPUs for WebGPU, which cannot select one by number': [
      4,
      /the backend "webgpu" does not compute on the device "cuda"/,
      ['backend=webgpu'],
      (folder) => optionsIn(folder, { gpus: ['0'] }),
    ],
    'GPUs with device: cpu': [
      2,
      /^the config has device: cpu/,
      ['device=cpu'],
      (folder) => optionsIn(folder, { gpus: ['0'] }),
    ],
    'an invalid GPU': [
      2,
      /^--gpus: expected numbers or UUIDs of GPUs .* got "-1"/,
      [],
      (folder) => optionsIn(folder, { gpus: ['-1'] }),
    ],
  };

  it.each(Object.entries(refusals))(
    'refuses %s as the sweep does, and neither writes anything',
    async (_, [exitCode, message, overrides, prepare]) => {
      const folder = temporaryFolder();
      vi.stubEnv('FLN_CACHE_DIR', join(folder, 'cache'));
      vi.stubEnv('FLN_DATA_DIR', '');
      const sweep = sweepIn(folder, overrides);
      const options = prepare(folder);
      const before = tree(folder);
      const dry = await outcomeOf(checkSweep(sweep, options));
      expect(dry).toMatchObject({ exitCode, message: expect.stringMatching(message) });
      expect(await outcomeOf(run(sweep, options))).toEqual(dry);
      expect(tree(folder)).toEqual(before);
    },
  );

  it('prints backend and data of the trials, and exits 1 where some would fail', async () => {
    const cwd = workplace(tinyConfig);
    writeFileSync(
      join(cwd, 'sweep.yaml'),
      'name: s\nconfig: tiny.yaml\nparameters: { backend: [wasm, tensorflow] }\n',
    );
    const before = tree(cwd);
    const { code, stdout, stderr } = await fln(['sweep', 'sweep.yaml', '--dry-run'], { cwd });
    expect(stdout).toContain('Data: synthetic-digits, generated or intact on this machine\n');
    expect(stdout).toMatch(/^Backend: wasm \S+ \(WebAssembly/m);
    expect(stdout).toContain('Would run 2 trials:');
    expect(stderr).toMatch(
      /^1 of 2 trials would fail \([0-9a-f]{12}\): the backend "tensorflow" does not start/,
    );
    expect(code).toBe(1);
    expect(tree(cwd)).toEqual(before);
  });
});

describe('a sweep over GPUs', () => {
  /** Installs a stand-in for TensorFlow with the GPUs of these numbers. */
  function withGpus(folder: string, numbers: string): void {
    installFakeBinding(folder, '@tensorflow/tfjs-node-gpu');
    vi.stubEnv('FLN_TENSORFLOW_DIR', folder);
    vi.stubEnv('FAKE_GPUS', numbers);
  }

  it('tests each GPU before anything is written', async () => {
    const folder = temporaryFolder();
    withGpus(folder, '0,1');
    const options = optionsIn(folder, { gpus: ['1', '5'] });
    const refused = await outcomeOf(run(sweepIn(folder), options));
    expect(refused).toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(/^no trial can run on GPU 5: no GPU can be used: /),
    });
    expect(existsSync(join(folder, 'out'))).toBe(false);
  });

  it.skipIf(process.platform === 'win32')(
    'reports GPUs that nvidia-smi does not list',
    async () => {
      const folder = temporaryFolder();
      nvidiaSmi('printf "0, GPU-aaaa1111\\n1, GPU-bbbb2222\\n"');
      withGpus(folder, '0,1,GPU-bbbb');
      const sweep = sweepIn(folder);
      const refused = await outcomeOf(checkSweep(sweep, optionsIn(folder, { gpus: ['0', '7'] })));
      expect(refused).toEqual({
        exitCode: 4,
        message: '--gpus: this machine has no GPU 7; nvidia-smi lists 0, 1',
      });
      const byUuid = await checkSweep(sweep, optionsIn(folder, { gpus: ['GPU-bbbb'] }));
      expect(byUuid.check?.backends).toMatchObject([
        { gpu: 'GPU-bbbb', name: 'tensorflow', device: 'cuda' },
      ]);
    },
  );

  it('assigns one to each trial', async () => {
    const folder = temporaryFolder();
    withGpus(folder, '4,7');
    const spy = join(folder, 'spy.cjs');
    const seen = join(folder, 'seen');
    put(
      spy,
      `require('fs').appendFileSync(${JSON.stringify(seen)}, process.env.CUDA_VISIBLE_DEVICES + ' ' + process.argv.slice(2, 5).join(' ') + '\\n')`,
    );
    const [, program] = process.argv;
    process.argv[1] = spy;
    onTestFinished(() => {
      process.argv[1] = program;
    });
    const before = process.env.CUDA_VISIBLE_DEVICES;
    const four = sweepIn(folder, [], grid.replace('0.02]', '0.02, 0.03, 0.04]'));
    const { status } = await run(four, optionsIn(folder, { gpus: ['4', '7'] }));
    const lines = readFileSync(seen, 'utf8').trimEnd().split('\n');
    expect(lines).toHaveLength(4);
    expect(new Set(lines)).toEqual(
      new Set(['4 sweep-trial --device cuda', '7 sweep-trial --device cuda']),
    );
    expect(status.counts.FAILED).toBe(4);
    expect(process.env.CUDA_VISIBLE_DEVICES).toBe(before);
  });

  it('fails a trial without a GPU instead of running it on the CPU', async () => {
    const folder = temporaryFolder();
    const sweep = sweepIn(folder);
    const options = optionsIn(folder);
    await runSweep(
      sweep,
      options,
      async () => ({}),
      () => {},
    );
    const [{ id }] = sweep.trials;
    const trial = { device: 'cuda', interruptedCode: () => 130 } as const;
    const failed = await outcomeOf(runTrial(options.outDir, id, trial, () => {}));
    expect(failed).toMatchObject({ exitCode: 4 });
    expect(readState(options.outDir, id)).toMatchObject({ status: 'FAILED', exitCode: 4 });
    expect(existsSync(join(options.outDir, 'trials', id))).toBe(false);
  });
});
