import { appendFileSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import { checkExperiment } from '../../src/experiment/check.js';
import { runExperiment } from '../../src/experiment/run.js';
import { processBirth } from '../../src/files/holder.js';
import { lockName } from '../../src/runs/run-directory-writer.js';
import { outcomeOf, put, temporaryFolder, tinyExperiment, tree } from './tiny.js';

// Data that this machine has elsewhere would be found.
vi.stubEnv('FLN_DATA_DIR', '');

type Options = Parameters<typeof checkExperiment>[1];

/** An IDX file: its magic number, its sizes, and zeros for as many bytes as the last sizes say. */
function idx(...sizes: number[]): Buffer {
  const header = Buffer.alloc(4 + 4 * sizes.length);
  header.writeUInt32BE(0x0800 + sizes.length);
  for (const [i, size] of sizes.entries()) header.writeUInt32BE(size, 4 + 4 * i);
  return Buffer.concat([header, Buffer.alloc(sizes.reduce((a, b) => a * b, 1))]);
}

const images = 'data/mnist/train-images-idx3-ubyte.gz';
const damaged = (place: string, files: Record<string, () => Buffer>) => (folder: string) => {
  for (const [name, content] of Object.entries(files)) put(join(folder, name), content());
  return { outDir: join(folder, 'run'), dataDir: join(folder, place) };
};

async function trained(folder: string, ...overrides: string[]): Promise<Options> {
  const outDir = join(folder, 'run');
  await runExperiment(tinyExperiment(...overrides), { outDir, only: ['adam'] });
  return { outDir };
}

/** What a run refuses, with its exit code and the start of its message. */
const refusals: Record<
  string,
  [number, RegExp, string[], (folder: string) => Options | Promise<Options>]
> = {
  'a data file cut short': [
    5,
    /train-images-idx3-ubyte\.gz .*Replace it with an intact copy/,
    ['dataset.name=mnist'],
    damaged('data', { [images]: () => gzipSync(idx(60_000, 28, 28).subarray(0, 5000)) }),
  ],
  'a file that is not what it was when it was published': [
    5,
    /train-images-idx3-ubyte\.gz .*SHA-256/,
    ['dataset.name=mnist'],
    damaged('data', { [images]: () => gzipSync(idx(60_000, 28, 28)) }),
  ],
  'labels in place of images': [
    5,
    /train-images-idx3-ubyte\.gz /,
    ['dataset.name=mnist'],
    damaged('data', { [images]: () => gzipSync(idx(60_000)) }),
  ],
  'a data folder that is not there': [
    5,
    /^The data folder .* does not exist/,
    ['dataset.name=mnist'],
    (folder) => ({ outDir: join(folder, 'run'), dataDir: join(folder, 'nothing') }),
  ],
  'data that is not here, with --offline': [
    5,
    /^The data set mnist is not complete on this machine/,
    ['dataset.name=mnist'],
    (folder) => ({ outDir: join(folder, 'run'), offline: true }),
  ],
  'a cache folder that cannot be made': [
    5,
    /^Cannot write to the cache folder /,
    ['dataset.name=mnist'],
    (folder) => {
      put(join(folder, 'file'), '');
      return { outDir: join(folder, 'run'), cacheDir: join(folder, 'file', 'cache') };
    },
  ],
  'device: cuda without a GPU': [
    4,
    /fln backend install tensorflow --cuda/,
    ['device=cuda'],
    (folder) => ({ outDir: join(folder, 'run') }),
  ],
  'a backend that is not installed': [
    4,
    /^the backend "tensorflow" does not start: neither/,
    ['backend=tensorflow'],
    (folder) => ({ outDir: join(folder, 'run') }),
  ],
  'WebGPU that is not installed': [
    4,
    /^the backend "webgpu" does not start: /,
    ['backend=webgpu'],
    (folder) => ({ outDir: join(folder, 'run') }),
  ],
  'a network that memory does not hold': [
    4,
    /^network\.layers: the weights take at least/,
    [
      'network.layers=[{dense: 30000, activation: relu}, {dense: 30000, activation: relu}, {dense: 10}]',
    ],
    (folder) => ({ outDir: join(folder, 'run') }),
  ],
  'a held lock': [
    1,
    new RegExp(`process ${process.ppid} on .* is writing into`),
    [],
    (folder) => {
      const [pid, host] = [process.ppid, hostname()];
      const holder = { pid, host, startedAt: 'now', token: 'x', birth: processBirth(pid) };
      put(join(folder, 'run', lockName), JSON.stringify(holder));
      return { outDir: join(folder, 'run') };
    },
  ],
  'a place below a file': [
    2,
    /cannot be created: .*file is a file/,
    [],
    (folder) => {
      put(join(folder, 'file'), '');
      return { outDir: join(folder, 'file', 'a', 'b') };
    },
  ],
  'a folder of something else': [
    2,
    /is not empty and not a run directory/,
    [],
    (folder) => {
      put(join(folder, 'run', 'thesis.tex'), '');
      return { outDir: join(folder, 'run') };
    },
  ],
  'the directory of another config': [
    2,
    /holds results of another config/,
    [],
    (folder) => trained(folder, 'epochs=1'),
  ],
  'results that are there': [2, /already holds results/, [], async (folder) => trained(folder)],
  'results from other data': [
    2,
    /computed from other data/,
    [],
    async (folder) => {
      const options = await trained(folder);
      const file = join(folder, 'run', 'run.json');
      const text = readFileSync(file, 'utf8').replace(
        /"generated": "[0-9a-f]+"/,
        '"generated": ""',
      );
      writeFileSync(file, text);
      return { ...options, resume: true };
    },
  ],
  'a run folder that is a link': [
    2,
    /sgd-s1 is a symbolic link: /,
    [],
    async (folder) => {
      const options = await trained(folder);
      symlinkSync(temporaryFolder(), join(folder, 'run', 'sgd-s1'));
      return { ...options, resume: true };
    },
  ],
};

describe('a dry run', () => {
  it.each(Object.entries(refusals))(
    'refuses %s as the run does, and writes nothing',
    async (_, [exitCode, message, overrides, prepare]) => {
      const folder = temporaryFolder();
      const options = { cacheDir: join(folder, 'cache'), ...(await prepare(folder)) };
      const experiment = tinyExperiment(...overrides);
      const before = tree(folder);
      const dry = await outcomeOf(checkExperiment(experiment, options));
      expect(tree(folder)).toEqual(before);
      expect(dry).toMatchObject({ exitCode, message: expect.stringMatching(message) });
      expect(await outcomeOf(runExperiment(experiment, options))).toEqual(dry);
    },
  );

  it('says what would be downloaded, and that a cached file is damaged', async () => {
    const folder = temporaryFolder();
    const cacheDir = join(folder, 'cache');
    put(join(cacheDir, 'mnist', 't10k-labels-idx1-ubyte.gz'), 'not a gzip file');
    const before = tree(folder);
    const experiment = tinyExperiment('dataset.name=mnist');
    const check = await checkExperiment(experiment, { cacheDir, outDir: join(folder, 'run') });
    expect(check.dataset).toEqual({ name: 'mnist', state: 'absent', downloadBytes: 11594722 });
    expect(check.warnings).toEqual([
      expect.stringMatching(
        /^The cached file .*t10k-labels-idx1-ubyte\.gz .*; downloading it again\.$/,
      ),
    ]);
    expect(tree(folder)).toEqual(before);
  });

  it('says which runs would train, from where, which are kept, and which are replaced', async () => {
    const folder = temporaryFolder();
    const outDir = join(folder, 'run');
    // adam completes, sgd diverges, and the second seed is interrupted in adam after a checkpoint.
    const experiment = tinyExperiment('seeds=[1, 2]', 'methods.sgd.learningRate=1e30');
    const controller = new AbortController();
    await runExperiment(
      experiment,
      { outDir, signal: controller.signal, checkpointEvery: 0 },
      (event) => {
        if (event.type === 'batch' && event.run.seed === 2 && event.batch === 5) controller.abort();
      },
    );
    const before = tree(folder);
    const planned = async (options: Options) => {
      const { train, keep, others } = await checkExperiment(experiment, { outDir, ...options });
      const name = ({ label, seed }: { label: string; seed: number }) => `${label} ${seed}`;
      return {
        train: train.map((run) => `${name(run)} after ${run.done} replaces ${run.replaces}`),
        keep: keep.map(name),
        others: others.map((run) => `${name(run)} ${run.status}`),
      };
    };
    expect(await planned({ resume: true })).toEqual({
      train: [
        'sgd 1 after 0 replaces FAILED',
        'adam 2 after 5 replaces undefined',
        'sgd 2 after 0 replaces undefined',
      ],
      keep: ['adam 1'],
      others: [],
    });
    expect(await planned({ rerun: 'failed' })).toEqual({
      train: ['sgd 1 after 0 replaces FAILED'],
      keep: [],
      others: ['adam 1 COMPLETED', 'adam 2 INTERRUPTED'],
    });
    expect(await planned({ overwrite: true, seeds: [1] })).toEqual({
      train: ['adam 1 after 0 replaces COMPLETED', 'sgd 1 after 0 replaces FAILED'],
      keep: [],
      others: ['adam 2 INTERRUPTED'],
    });
    expect(tree(folder)).toEqual(before);

    // A checkpoint that is damaged is no place to go on from, and rows that were changed are refused.
    const point = join(outDir, 'adam-s2', 'checkpoints', 'batch-00000005');
    const state = readFileSync(join(point, 'state.safetensors'));
    appendFileSync(join(point, 'state.safetensors'), 'x');
    expect((await planned({ resume: true })).train).toContain(
      'adam 2 after 0 replaces INTERRUPTED',
    );
    writeFileSync(join(point, 'state.safetensors'), state);
    const csv = join(outDir, 'adam-s2', 'metrics.csv');
    writeFileSync(csv, readFileSync(csv, 'utf8').replace('adam,2,3', 'adam,2,4'));
    const torn = await outcomeOf(checkExperiment(experiment, { outDir, resume: true }));
    expect(torn).toMatchObject({ exitCode: 1, message: expect.stringContaining(csv) });
  });
});

describe('resuming results of backend: auto', () => {
  /** A directory whose completed run was computed where auto is another backend. */
  async function computedOn(name: string, folder = temporaryFolder()): Promise<string> {
    const { outDir } = await trained(folder);
    const file = join(outDir as string, 'run.json');
    const text = readFileSync(file, 'utf8').replace('"name": "wasm"', `"name": "${name}"`);
    writeFileSync(file, text);
    return outDir as string;
  }

  it('takes the backend of the results where it starts, whatever auto is here', async () => {
    const outDir = await computedOn('cpu');
    const check = await checkExperiment(tinyExperiment(), { outDir, resume: true });
    expect(check).toMatchObject({ backend: 'auto', computes: { name: 'cpu', device: 'cpu' } });
    await runExperiment(tinyExperiment(), { outDir, resume: true });
    const { backend, runs } = JSON.parse(readFileSync(join(outDir, 'run.json'), 'utf8'));
    expect(backend.name).toBe('cpu');
    expect(runs.map(({ status }: { status: string }) => status)).toEqual([
      'COMPLETED',
      'COMPLETED',
    ]);
  });

  it('says what is missing where it does not start, and each way out leads on', async () => {
    const outDir = await computedOn('tensorflow');
    const experiment = tinyExperiment();
    const refused = await outcomeOf(runExperiment(experiment, { outDir, resume: true }));
    expect(refused).toEqual(await outcomeOf(checkExperiment(experiment, { outDir, resume: true })));
    expect(refused).toMatchObject({ exitCode: 4 });
    const { message } = refused as { message: string };
    expect(message).toContain(
      'holds results that were computed on the backend "tensorflow" (device cpu)',
    );
    expect(message).toContain('Install it with `fln backend install tensorflow`');
    expect(message).not.toContain('--backend wasm');
    expect(message).toContain('--overwrite (without --resume, --only and --seeds');
    expect(message).toContain('--out DIR');

    // Naming the backend makes another config of it, and that message leads back to --resume.
    const named = { outDir, resume: true };
    expect(await outcomeOf(checkExperiment(tinyExperiment('backend=tensorflow'), named))).toEqual({
      exitCode: 2,
      message: expect.stringContaining(
        'holds results of this config with backend: auto and no device, computed on the backend "tensorflow". ' +
          'With these settings, --resume continues them on that backend',
      ),
    });
    const elsewhere = { outDir: join(outDir, '..', 'other') };
    expect((await checkExperiment(experiment, elsewhere)).train).toHaveLength(2);
    await runExperiment(experiment, { outDir, overwrite: true });
    expect(JSON.parse(readFileSync(join(outDir, 'run.json'), 'utf8')).backend.name).toBe('wasm');
  });
});
