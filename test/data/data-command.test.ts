import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import yargs from 'yargs';
import { dataCommand } from '../../src/cli/commands/data.js';
import { type DatasetLocation, listDatasets } from '../../src/data/inspect.js';
import { datasets } from '../../src/data/registry.js';
import { DataError, UsageError } from '../../src/errors.js';
import { startMirror } from './mirror-server.js';
import { filesBelow, temporaryFolder } from './tiny-dataset.js';

let cacheDir: string;
let remove: () => Promise<void>;

beforeEach(async () => {
  ({ path: cacheDir, remove } = await temporaryFolder());
  vi.stubEnv('FLN_CACHE_DIR', cacheDir);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await remove();
});

/** What `fln data ARGS` prints on stdout, and the error it ends with. */
async function fln(...args: string[]): Promise<{ stdout: string; error: unknown }> {
  let stdout = '';
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += text;
    return true;
  });
  const quiet = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    await yargs(['data', ...args])
      .command(dataCommand)
      .strict()
      .fail(false)
      .parseAsync();
    return { stdout, error: undefined };
  } catch (error) {
    return { stdout, error };
  } finally {
    spy.mockRestore();
    quiet.mockRestore();
  }
}

describe('without data on the machine', () => {
  beforeEach(() => vi.stubEnv('FLN_DATA_DIR', ''));

  it('list shows sizes, checksums and mirrors, as JSON too', async () => {
    const { stdout } = await fln('list');
    expect(stdout).toContain('ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db');
    expect(stdout).toContain('not on this machine');
    expect(stdout).toContain('synthetic-digits');
    const sets = JSON.parse((await fln('list', '--json')).stdout);
    expect(sets.map(({ name, state }: DatasetLocation) => [name, state])).toEqual(
      datasets.map(({ name, storage }) => [name, storage ? 'absent' : 'generated']),
    );
  });

  it('check prints every file, then fails with a DataError', async () => {
    const { stdout, error } = await fln('check', 'mnist', '--json');
    const states = JSON.parse(stdout).mnist.map(({ state }: { state: string }) => state);
    expect(states).toEqual(['absent', 'absent', 'absent', 'absent']);
    expect(error).toBeInstanceOf(DataError);
  });

  it('check of all sets is content with sets that are elsewhere, not with part of one', async () => {
    const all = await fln('check');
    expect(all.error).toBeUndefined();
    const files = (await listDatasets()).flatMap((set) => set.files);
    expect(all.stdout.match(/ absent$/gm)).toHaveLength(files.length);
    await mkdir(join(cacheDir, 'cifar10'));
    await writeFile(join(cacheDir, 'cifar10', 'data_batch_1.bin'), '');
    vi.stubEnv('FLN_DATA_DIR', cacheDir);
    const { stdout, error } = await fln('check');
    expect(stdout).toMatch(/ {2}data_batch_1\.bin {2}damaged {2}\S+cifar10.data_batch_1\.bin$/m);
    expect(error).toBeInstanceOf(DataError);
    expect((error as Error).message).toContain('data_batch_1.bin is empty');
    expect((error as Error).message).toContain('test_batch.bin is not on this machine');
    expect((error as Error).message).not.toContain('idx');
    const { stdout: list } = await fln('list', 'cifar10');
    expect(list).toContain('no published SHA-256; the format is checked');
    expect(list).toContain('cifar10 contains only a part of the set: data_batch_2.bin');
  });

  it('fetch of CIFAR-10 asks for its archive', async () => {
    const mirror = await startMirror((_, response) => response.writeHead(404).end());
    vi.stubEnv('FLN_CIFAR10_MIRRORS', mirror.url);
    const { error } = await fln('fetch', 'cifar10');
    await mirror.close();
    expect((error as Error).message).toContain(`${mirror.url}cifar-10-binary.tar.gz: HTTP 404`);
  });

  it('check and fetch have nothing to do for a generated data set', async () => {
    expect((await fln('check', 'synthetic-digits')).error).toBeUndefined();
    expect((await fln('fetch', 'synthetic-digits')).error).toBeUndefined();
  });

  it('fetch takes mirrors from FLN_MNIST_MIRRORS and reports their failure', async () => {
    const mirror = await startMirror((_, response) => response.writeHead(404).end());
    vi.stubEnv('FLN_MNIST_MIRRORS', mirror.url);
    const { stdout, error } = await fln('fetch', '--json');
    await mirror.close();
    expect(stdout).toBe('');
    expect(error).toBeInstanceOf(DataError);
    expect((error as Error).message).toContain(`${mirror.url}train-images-idx3-ubyte.gz: HTTP 404`);
    expect(await filesBelow(cacheDir)).toEqual([]);
  });

  it.each([
    [[], 'Use fln data list, fln data fetch or fln data check'],
    [['chekc'], 'did you mean "check"?'],
    [['constructor'], 'There is no "fln data constructor"'],
    [['list', 'imagenet'], 'There is no data set "imagenet"'],
  ])('%j is a usage error', async (args, message) => {
    const { error } = await fln(...args);
    expect(error).toBeInstanceOf(UsageError);
    expect((error as Error).message).toContain(message);
  });
});

describe('with the real MNIST', () => {
  it.skipIf(!process.env.FLN_DATA_DIR)('check finds every file intact', async () => {
    const { stdout, error } = await fln('check', 'mnist');
    expect(error).toBeUndefined();
    expect(stdout.match(/ ok /g)).toHaveLength(4);
  });
});
