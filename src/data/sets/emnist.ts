import { emnistDataset } from '../emnist-dataset.js';

/**
 * EMNIST: handwritten digits and letters in MNIST's format, 28x28, 8-bit grey; six data sets, which differ in
 * classes and images.
 * Source: G. Cohen, S. Afshar, J. Tapson, A. van Schaik, "EMNIST: an extension of MNIST to handwritten
 * letters", arXiv:1702.05373, https://www.nist.gov/itl/products-and-services/emnist-dataset
 */
const split = (
  name: string,
  title: string,
  {
    names,
    ...facts
  }: {
    /** One character for each class. */
    readonly names: string;
    readonly trainSize: number;
    readonly testSize: number;
    readonly equalClasses?: boolean;
    readonly firstLabel?: number;
  },
) =>
  emnistDataset({
    firstLabel: 0,
    equalClasses: false,
    ...facts,
    classes: names.length,
    classNames: [...names],
    name: `emnist-${name}`,
    title: `EMNIST ${title}`,
    side: 28,
    prefix: `emnist-${name}`,
    folders: ['emnist', '.'],
    // `gzip` is the folder in the archive, the others are torchvision's.
    otherFolders: ['emnist/gzip', 'EMNIST/raw', 'EMNIST/raw/gzip', 'gzip'],
    cacheFolder: 'emnist',
    mirrors: [
      'https://biometrics.nist.gov/cs_links/EMNIST/',
      'https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/',
    ],
    mirrorsVariable: 'FLN_EMNIST_MIRRORS',
    archive: {
      name: 'gzip.zip',
      userNames: ['gzip.zip', 'emnist.zip', 'emnist-gzip.zip'],
      bytes: 561_753_746,
      // As TensorFlow Datasets lists it.
      sha256: 'fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e',
    },
  });

const digits = '0123456789';
const capitals = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
/** The other lower-case letters look like their capitals, and are in one class with them. */
const distinct = 'abdefghnqrt';

export const emnist = [
  split('balanced', 'balanced: digits and letters, equally many of each class', {
    names: digits + capitals + distinct,
    trainSize: 112_800,
    testSize: 18_800,
    equalClasses: true,
  }),
  split('letters', 'letters, upper and lower case in one class', {
    names: capitals,
    trainSize: 124_800,
    testSize: 20_800,
    firstLabel: 1,
  }),
  split('digits', 'digits', {
    names: digits,
    trainSize: 240_000,
    testSize: 40_000,
    equalClasses: true,
  }),
  split('mnist', 'MNIST: digits, as many as MNIST has', {
    names: digits,
    trainSize: 60_000,
    testSize: 10_000,
    equalClasses: true,
  }),
  split('byclass', 'by class: digits, upper-case and lower-case letters', {
    names: digits + capitals + capitals.toLowerCase(),
    trainSize: 697_932,
    testSize: 116_323,
  }),
  split('bymerge', 'by merge: as by class, with the cases of some letters merged', {
    names: digits + capitals + distinct,
    trainSize: 697_932,
    testSize: 116_323,
  }),
];
