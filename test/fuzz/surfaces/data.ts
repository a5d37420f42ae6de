import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { encode } from 'fast-png';
import type { DatasetRequest } from '../../../src/core/dataset.js';
import { readSamples } from '../../../src/data/arrays/samples.js';
import { loadDefinition } from '../../../src/data/load.js';
import { float32File, int64File, npzFile } from '../../data/array-files.js';
import { matFile } from '../../data/mat-file.js';
import {
  plainFiles as cifarFiles,
  names as cifarNames,
  gzipped,
  tinyCifar,
} from '../../data/tiny-cifar.js';
import { mirrorFiles, names, plainFiles, tinyDataset } from '../../data/tiny-dataset.js';
import { archive, members, tinyEmnist } from '../../data/tiny-emnist.js';
import { arrays, plainFiles as matFiles, tinySvhn } from '../../data/tiny-svhn.js';
import { zipArchive } from '../../data/zip-archive.js';
import { mutated } from '../mutate.js';
import { harmless, type Surface } from '../surface.js';

const request = (name: string): DatasetRequest => ({ name, preprocessing: 'scale' });
const offline = { offline: true, mirrors: [] } as const;

/** One of the four files of an IDX set, damaged: plain, gzipped afterwards, or gzipped before. */
export const idx: Surface<readonly [string, Uint8Array, boolean]> = {
  name: 'IDX files',
  cases: fc
    .constantFrom(...names)
    .chain((name) =>
      fc.oneof(
        fc.tuple(fc.constant(name), mutated([plainFiles[name]]), fc.constant(false)),
        fc.tuple(
          fc.constant(`${name}.gz`),
          mutated([mirrorFiles[`${name}.gz`]]),
          fc.constant(false),
        ),
        fc.tuple(fc.constant(`${name}.gz`), mutated([plainFiles[name]]), fc.constant(true)),
      ),
    ),
  run: async ([broken, content, isZipped], folder) => {
    const place = fresh(folder);
    for (const name of names) {
      if (!broken.startsWith(name)) writeFileSync(join(place, name), plainFiles[name]);
    }
    writeFileSync(join(place, broken), isZipped ? gzipSync(content) : content);
    await harmless(() =>
      loadDefinition(tinyDataset(), request('tiny'), {
        ...offline,
        dataDir: folder,
        cacheDir: join(folder, 'cache'),
      }),
    );
  },
};

/** An archive of a CIFAR set, or one of its files, damaged. */
export const cifar: Surface<readonly [string, Uint8Array]> = {
  name: 'CIFAR files and archives',
  cases: fc.oneof(
    fc.tuple(fc.constantFrom('tiny.tar.gz', 'tiny.tar'), mutated([gzipped])),
    fc
      .constantFrom(...cifarNames)
      .chain((name) => fc.tuple(fc.constant(name as string), mutated([cifarFiles[name]]))),
  ),
  run: async ([broken, content], folder) => {
    const place = fresh(folder, 'tiny-cifar');
    if (!broken.startsWith('tiny.tar')) {
      for (const name of cifarNames) writeFileSync(join(place, name), cifarFiles[name]);
    }
    writeFileSync(join(place, broken), content);
    await harmless(() =>
      loadDefinition(tinyCifar(), request('tiny-cifar'), {
        ...offline,
        dataDir: folder,
        cacheDir: join(folder, 'cache'),
      }),
    );
  },
};

/** The training file of a set in SVHN's format, damaged; its arrays are compressed or not. */
export const mat: Surface<Uint8Array> = {
  name: 'MATLAB files',
  cases: mutated([
    matFiles['train.mat'],
    matFile(arrays('train').map((array) => ({ ...array, isCompressed: false }))),
  ]),
  run: async (content, folder) => {
    const place = fresh(folder, 'tiny-svhn');
    writeFileSync(join(place, 'train.mat'), content);
    writeFileSync(join(place, 'test.mat'), matFiles['test.mat']);
    await harmless(() =>
      loadDefinition(tinySvhn(), request('tiny-svhn'), {
        ...offline,
        dataDir: folder,
        cacheDir: join(folder, 'cache'),
      }),
    );
  },
};

/** The archive of EMNIST, damaged; its members are deflated or stored. */
export const emnist: Surface<Uint8Array> = {
  name: 'EMNIST archives',
  cases: mutated([archive, zipArchive(members(), { isStored: true })]),
  run: async (content, folder) => {
    writeFileSync(join(fresh(folder, 'emnist'), 'gzip.zip'), content);
    await harmless(() =>
      loadDefinition(tinyEmnist(), request('tiny-emnist'), {
        ...offline,
        dataDir: folder,
        cacheDir: join(folder, 'cache'),
      }),
    );
  },
};

const numpy = {
  x: float32File([3, 2], [1, 2, 3, 4, 5, 6]),
  y: int64File([0, 1, 2]),
};
const image = { width: 3, height: 2, data: new Uint8Array(6), channels: 1 };
const ownFiles = {
  'a.npy': numpy.x,
  'a.npz': npzFile(numpy),
  'b.npz': npzFile(numpy, { compress: true }),
  'a.csv': Buffer.from('a,b,kind\n1,2,x\n3,"4",y\n'),
  'a.png': Buffer.from(encode(image)),
};

/** A file of the user's own data, damaged. */
export const ownData: Surface<readonly [string, Uint8Array]> = {
  name: 'NumPy, CSV and PNG files',
  cases: fc.oneof(
    ...Object.entries(ownFiles).map(([name, content]) =>
      fc.tuple(fc.constant(name), mutated([content])),
    ),
  ),
  run: async ([name, content], folder) => {
    const path = join(fresh(folder, 'own'), name);
    writeFileSync(path, content);
    const source = name.endsWith('.csv')
      ? { csv: path, label: 'kind' }
      : name.endsWith('.png')
        ? { images: join(folder, 'own') }
        : path;
    await harmless(() => readSamples(source, { labelsAreOptional: true }));
  },
};

function fresh(folder: string, name = 'tiny'): string {
  const place = join(folder, name);
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  return place;
}
