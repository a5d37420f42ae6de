import { svhnDataset } from '../svhn.js';

/**
 * SVHN (Street View House Numbers), format 2, cropped digits: 99,289 photographs of digits, 32x32, colour,
 * without the 531,131 of `extra_32x32.mat`.
 * Source: Y. Netzer, T. Wang, A. Coates, A. Bissacco, B. Wu, A. Y. Ng, "Reading Digits in Natural Images
 * with Unsupervised Feature Learning", NIPS Workshop 2011, http://ufldl.stanford.edu/housenumbers/
 */
export const svhn = svhnDataset({
  name: 'svhn',
  title: 'SVHN, digits of house numbers',
  side: 32,
  trainSize: 73_257,
  testSize: 26_032,
  folders: ['svhn', '.'],
  otherFolders: ['SVHN'],
  mirrors: ['http://ufldl.stanford.edu/housenumbers/'],
  mirrorsVariable: 'FLN_SVHN_MIRRORS',
  // As TensorFlow Datasets lists them.
  files: {
    train: {
      name: 'train_32x32.mat',
      bytes: 182_040_794,
      downloadBytes: 182_040_794,
      sha256: '435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8',
    },
    test: {
      name: 'test_32x32.mat',
      bytes: 64_275_384,
      downloadBytes: 64_275_384,
      sha256: 'cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b',
    },
  },
});
