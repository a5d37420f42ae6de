import { cifarDataset } from '../cifar-dataset.js';

/**
 * CIFAR-10: 60,000 photographs of ten kinds of objects, 32x32, colour.
 * Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009,
 * https://www.cs.toronto.edu/~kriz/cifar.html (binary version)
 */
export const cifar10 = cifarDataset({
  name: 'cifar10',
  title: 'CIFAR-10, photographs of ten kinds of things',
  side: 32,
  labels: [{ name: 'label', classes: 10 }],
  label: 0,
  recordsPerFile: { train: 10_000, test: 10_000 },
  classNames: [
    'airplane',
    'automobile',
    'bird',
    'cat',
    'deer',
    'dog',
    'frog',
    'horse',
    'ship',
    'truck',
  ],
  trainFiles: [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`),
  testFiles: ['test_batch.bin'],
  folders: ['cifar10', 'cifar-10-batches-bin', '.'],
  unsupported: {
    names: ['cifar-10-batches-py', 'cifar-10-python.tar.gz', 'cifar-10-python.tar', 'data_batch_1'],
    message:
      'is the Python version of the set, whose pickled arrays are not supported; use the binary version, cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html',
  },
  relative: {
    what: 'CIFAR-100, which is the data set cifar100',
    files: { 'train.bin': 50_000 * 3074, 'test.bin': 10_000 * 3074 },
  },
  // The authors', then copies that the Swift for TensorFlow and MindSpore projects keep.
  mirrors: [
    'https://www.cs.toronto.edu/~kriz/',
    'https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/',
    'https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/',
  ],
  mirrorsVariable: 'FLN_CIFAR10_MIRRORS',
  archive: {
    name: 'cifar-10-binary.tar',
    downloadBytes: 170_052_171,
    sha256: 'c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd',
    folder: 'cifar-10-batches-bin',
  },
});
