import { gzipSync } from 'node:zlib';
import { sha256Of } from '../../src/data/content.js';
import type { DatasetDefinition } from '../../src/data/definition.js';
import { emnistDataset } from '../../src/data/emnist-dataset.js';
import { idxFile } from './tiny-dataset.js';
import { zipArchive } from './zip-archive.js';

/** 6 training and 3 test images of 3x3 pixels; labels from 1 to 3, as letters have them. */
export const plainFiles = {
  'tiny-train-images-idx3-ubyte': idxFile([6, 3, 3], [...Array(54).keys()]),
  'tiny-train-labels-idx1-ubyte': idxFile([6], [1, 2, 3, 3, 2, 1]),
  'tiny-test-images-idx3-ubyte': idxFile([3, 3, 3], [...Array(27).keys()].reverse()),
  'tiny-test-labels-idx1-ubyte': idxFile([3], [3, 1, 2]),
};
export type Name = keyof typeof plainFiles;
export const names = Object.keys(plainFiles) as Name[];

/** As in the published archive: each file gzipped, in a folder. */
export const members = (
  files: Readonly<Record<string, Uint8Array>> = plainFiles,
): Record<string, Uint8Array> => ({
  'gzip/other-train-images-idx3-ubyte.gz': gzipSync(Buffer.alloc(9)),
  ...Object.fromEntries(
    Object.entries(files).map(([name, content]) => [`gzip/${name}.gz`, gzipSync(content)]),
  ),
});
export const archive = zipArchive(members());

export function tinyEmnist(name = 'tiny-emnist', published: Buffer = archive): DatasetDefinition {
  return emnistDataset({
    name,
    title: 'Tiny EMNIST',
    side: 3,
    classes: 3,
    trainSize: 6,
    testSize: 3,
    firstLabel: 1,
    equalClasses: true,
    prefix: 'tiny',
    folders: ['emnist', '.'],
    otherFolders: ['gzip'],
    cacheFolder: 'emnist',
    mirrors: [],
    archive: {
      name: 'gzip.zip',
      userNames: ['gzip.zip', 'emnist.zip'],
      bytes: published.length,
      sha256: sha256Of(published),
    },
  });
}
