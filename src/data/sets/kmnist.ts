import { idxDataset } from '../idx.js';
import { fashionMnistFiles } from './fashion-mnist.js';
import { mnistFiles } from './mnist.js';

/**
 * KMNIST (Kuzushiji-MNIST): 70,000 handwritten characters of classical Japanese, 28x28, 8-bit grey, in
 * MNIST's format and file names.
 * Source: T. Clanuwat, M. Bober-Irizar, A. Kitamoto, A. Lamb, K. Yamamoto, D. Ha, "Deep Learning for
 * Classical Japanese Literature", arXiv:1812.01718, http://codh.rois.ac.jp/kmnist/
 */
export const kmnist = idxDataset({
  name: 'kmnist',
  title: 'KMNIST, handwritten Japanese characters',
  hasCharacters: true,
  height: 28,
  width: 28,
  classes: 10,
  classNames: ['o', 'ki', 'su', 'tsu', 'na', 'ha', 'ma', 'ya', 're', 'wo'],
  trainSize: 60_000,
  testSize: 10_000,
  equalClasses: true,
  // Not the data folder itself: files of these names there are MNIST's.
  folders: ['kmnist'],
  // torchvision's.
  otherFolders: ['KMNIST/raw'],
  mirrors: [
    'https://codh.rois.ac.jp/kmnist/dataset/kmnist/',
    'http://codh.rois.ac.jp/kmnist/dataset/kmnist/',
  ],
  mirrorsVariable: 'FLN_KMNIST_MIRRORS',
  namesakes: { MNIST: mnistFiles, 'Fashion-MNIST': fashionMnistFiles },
  // Published are the SHA-256 of the gzip files, as TensorFlow Datasets lists them.
  files: {
    trainImages: {
      name: 'train-images-idx3-ubyte',
      bytes: 47_040_016,
      downloadBytes: 18_165_135,
      downloadSha256: '51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4',
    },
    trainLabels: {
      name: 'train-labels-idx1-ubyte',
      bytes: 60_008,
      downloadBytes: 29_497,
      downloadSha256: 'e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17',
    },
    testImages: {
      name: 't10k-images-idx3-ubyte',
      bytes: 7_840_016,
      downloadBytes: 3_041_136,
      downloadSha256: 'edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5',
    },
    testLabels: {
      name: 't10k-labels-idx1-ubyte',
      bytes: 10_008,
      downloadBytes: 5_120,
      downloadSha256: '20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c',
    },
  },
});
