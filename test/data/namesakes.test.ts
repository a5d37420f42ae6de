import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { DatasetLocation } from '../../src/data/inspect.js';
import { checkDataset, locateDataset } from '../../src/data/inspect.js';
import { loadDataset } from '../../src/data/load.js';
import { mirrorsOf } from '../../src/data/locations.js';
import { findDataset } from '../../src/data/registry.js';
import { DataError } from '../../src/errors.js';
import { idxFile, temporaryFolder } from './tiny-dataset.js';

const names = [
  'train-images-idx3-ubyte',
  'train-labels-idx1-ubyte',
  't10k-images-idx3-ubyte',
  't10k-labels-idx1-ubyte',
];
const realMnist = process.env.FLN_DATA_DIR ? await filesOf('mnist') : undefined;

async function filesOf(name: string): Promise<string[] | undefined> {
  const { state, files }: DatasetLocation = await locateDataset(name);
  return state === 'present' ? files.map(({ path }) => path!) : undefined;
}

let dataDir: string;
let remove: () => Promise<void>;

beforeEach(async () => {
  ({ path: dataDir, remove } = await temporaryFolder());
  await mkdir(join(dataDir, 'fashion-mnist'));
  vi.stubEnv('FLN_DATA_DIR', '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await remove();
});

const options = () => ({ dataDir, cacheDir: join(dataDir, 'cache'), offline: true });
const load = (name: string) => loadDataset({ name, preprocessing: 'scale' }, options());

describe('MNIST and Fashion-MNIST have files of the same names', () => {
  it('files in the data folder itself are never looked at for fashion-mnist', async () => {
    for (const name of names) await writeFile(join(dataDir, name), idxFile([1], [1]));
    const { state, files } = await locateDataset('fashion-mnist', options());
    expect([state, files.map(({ path }) => path)]).toEqual(['absent', Array(4).fill(undefined)]);
    expect((await locateDataset('mnist', options())).state).toBe('present');
    await expect(load('fashion-mnist')).rejects.toThrow(
      'put the files into DIR/fashion-mnist, and',
    );
  });

  it('files of fashion-mnist/ are never looked at for mnist', async () => {
    for (const name of names) await writeFile(join(dataDir, 'fashion-mnist', name), '');
    expect((await locateDataset('mnist', options())).state).toBe('absent');
    expect((await locateDataset('fashion-mnist', options())).state).toBe('present');
  });

  it.skipIf(!realMnist)(
    "MNIST's files in fashion-mnist/ are refused by their content",
    async () => {
      for (const [i, path] of realMnist!.entries()) {
        const suffix = path.endsWith('.gz') ? '.gz' : '';
        await symlink(path, join(dataDir, 'fashion-mnist', `${names[i]}${suffix}`));
      }
      const error = await load('fashion-mnist').catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(DataError);
      expect((error as DataError).message).toMatch(
        /train-images-idx3-ubyte\S* has the wrong content/,
      );
      const states = (await checkDataset('fashion-mnist', options())).map(({ state }) => state);
      expect(states).toEqual(['damaged', 'damaged', 'damaged', 'damaged']);
    },
  );

  it('each has mirrors of its own, and a variable that replaces them', () => {
    vi.stubEnv('FLN_FASHION_MNIST_MIRRORS', 'http://localhost/fashion');
    vi.stubEnv('FLN_CIFAR10_MIRRORS', 'http://localhost/cifar/');
    const of = (name: string) => mirrorsOf(findDataset(name), {});
    expect(of('fashion-mnist')).toEqual(['http://localhost/fashion/']);
    expect(of('cifar10')).toEqual(['http://localhost/cifar/']);
    expect(of('mnist').join()).not.toContain('localhost');
  });
});

describe('files as other programs leave them', () => {
  const dotted = (name: string) => name.replace('-idx', '.idx');
  const put = async (...parts: string[]) => {
    const path = join(dataDir, ...parts);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, '');
    return path;
  };

  it.each([
    ['7-zip', (name: string) => dotted(name)],
    ['7-zip, into a folder each', (name: string) => join(name, dotted(name))],
    ['7-zip, folders named as the files', (name: string) => join(dotted(name), dotted(name))],
    ['Kaggle', (name: string) => join(name, name)],
    ['7-zip, gzipped again', (name: string) => `${dotted(name)}.gz`],
    ['7-zip, in mnist', (name: string) => join('mnist', dotted(name))],
    ['torchvision', (name: string) => join('MNIST', 'raw', name)],
    ['torchvision, gzipped', (name: string) => join('MNIST', 'raw', `${name}.gz`)],
  ])('are found: %s', async (_, layout) => {
    const paths = await Promise.all(names.map((name) => put(layout(name))));
    const { state, files } = await locateDataset('mnist', options());
    expect([state, files.map(({ path }) => path)]).toEqual(['present', paths]);
    expect((await locateDataset('fashion-mnist', options())).state).toBe('absent');
  });

  it("are found in torchvision's folder of Fashion-MNIST, which is not looked at for mnist", async () => {
    const paths = await Promise.all(names.map((name) => put('FashionMNIST', 'raw', name)));
    const at = async (name: string, folder: string) => {
      const found = await locateDataset(name, { ...options(), dataDir: join(dataDir, folder) });
      return found.files.map(({ path }) => path);
    };
    for (const folder of ['.', 'FashionMNIST', 'FashionMNIST/raw']) {
      expect(await at('fashion-mnist', folder)).toEqual(paths);
    }
    expect(await at('mnist', '.')).toEqual(Array(4).fill(undefined));
    expect(await at('mnist', 'FashionMNIST')).toEqual(Array(4).fill(undefined));
  });

  it('are preferred to a folder of the same name, and verified as any others', async () => {
    const folder = join(dataDir, names[0]);
    await mkdir(folder);
    for (const name of names) await put(dotted(name));
    const { files } = await locateDataset('mnist', options());
    expect(files[0].path).toBe(join(dataDir, dotted(names[0])));
    await expect(load('mnist')).rejects.toThrow(`${join(dataDir, dotted(names[0]))} is empty`);
  });

  it.skipIf(!realMnist)('are loaded', async () => {
    for (const [i, path] of realMnist!.entries()) {
      await symlink(path, join(dataDir, dotted(names[i])));
    }
    expect((await load('mnist')).test.count).toBe(10_000);
  });
});

describe('CIFAR-10 as Python reads it', () => {
  it.each([
    ['the folder', 'cifar-10-batches-py/data_batch_1'],
    ['the archive', 'cifar-10-python.tar.gz'],
    ["the folder's files", 'data_batch_1'],
  ])('is named, and where the binary version is: %s', async (_, path) => {
    await mkdir(dirname(join(dataDir, path)), { recursive: true });
    await writeFile(join(dataDir, path), 'x');
    await expect(load('cifar10')).rejects.toThrow(
      /is the Python version of the set, whose pickled arrays are not supported; use the binary version/,
    );
  });

  it('is not spoken of where there is none', async () => {
    await expect(load('cifar10')).rejects.not.toThrow('Python');
  });
});
