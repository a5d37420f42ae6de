import { type IdxFiles, idxDataset } from '../idx.js';

export const mnistFiles: IdxFiles = {
  trainImages: {
    name: 'train-images-idx3-ubyte',
    bytes: 47_040_016,
    downloadBytes: 9_912_422,
    sha256: 'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db',
  },
  trainLabels: {
    name: 'train-labels-idx1-ubyte',
    bytes: 60_008,
    downloadBytes: 28_881,
    sha256: '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5',
  },
  testImages: {
    name: 't10k-images-idx3-ubyte',
    bytes: 7_840_016,
    downloadBytes: 1_648_877,
    sha256: '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7',
  },
  testLabels: {
    name: 't10k-labels-idx1-ubyte',
    bytes: 10_008,
    downloadBytes: 4_542,
    sha256: 'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2',
  },
};

/**
 * MNIST: 70,000 handwritten digits, 28x28, 8-bit grey.
 * Source: Y. LeCun, C. Cortes, C. Burges, http://yann.lecun.com/exdb/mnist/
 */
export const mnist = idxDataset({
  name: 'mnist',
  title: 'MNIST handwritten digits',
  hasCharacters: true,
  height: 28,
  width: 28,
  classes: 10,
  trainSize: 60_000,
  testSize: 10_000,
  folders: ['mnist', '.'],
  // torchvision's.
  otherFolders: ['MNIST/raw'],
  mirrors: [
    'https://storage.googleapis.com/cvdf-datasets/mnist/',
    'https://ossci-datasets.s3.amazonaws.com/mnist/',
    'http://yann.lecun.com/exdb/mnist/',
  ],
  mirrorsVariable: 'FLN_MNIST_MIRRORS',
  files: mnistFiles,
});
