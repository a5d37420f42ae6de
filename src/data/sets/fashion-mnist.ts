import { type IdxFiles, idxDataset } from '../idx.js';

export const fashionMnistFiles: IdxFiles = {
  trainImages: {
    name: 'train-images-idx3-ubyte',
    bytes: 47_040_016,
    downloadBytes: 26_421_880,
    sha256: 'c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888',
  },
  trainLabels: {
    name: 'train-labels-idx1-ubyte',
    bytes: 60_008,
    downloadBytes: 29_515,
    sha256: 'bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9',
  },
  testImages: {
    name: 't10k-images-idx3-ubyte',
    bytes: 7_840_016,
    downloadBytes: 4_422_102,
    sha256: '5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b',
  },
  testLabels: {
    name: 't10k-labels-idx1-ubyte',
    bytes: 10_008,
    downloadBytes: 5_148,
    sha256: '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34',
  },
};

/**
 * Fashion-MNIST: 70,000 photographs of clothes, 28x28, 8-bit grey, in MNIST's format and file names.
 * Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
 * Machine Learning Algorithms", arXiv:1708.07747, https://github.com/zalandoresearch/fashion-mnist
 */
export const fashionMnist = idxDataset({
  name: 'fashion-mnist',
  title: 'Fashion-MNIST, clothes',
  height: 28,
  width: 28,
  classes: 10,
  classNames: [
    'T-shirt/top',
    'Trouser',
    'Pullover',
    'Dress',
    'Coat',
    'Sandal',
    'Shirt',
    'Sneaker',
    'Bag',
    'Ankle boot',
  ],
  trainSize: 60_000,
  testSize: 10_000,
  // Not the data folder itself: files of these names there are MNIST's.
  folders: ['fashion-mnist'],
  // torchvision's.
  otherFolders: ['FashionMNIST/raw'],
  mirrors: [
    'https://fashion-mnist.s3.eu-central-1.amazonaws.com/',
    'https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/',
    'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
  ],
  mirrorsVariable: 'FLN_FASHION_MNIST_MIRRORS',
  files: fashionMnistFiles,
});
