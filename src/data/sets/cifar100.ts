import { cifarDataset } from '../cifar-dataset.js';

const cifar10Files = [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`).concat('test_batch.bin');

/** fine_label_names.txt of the archive. */
const fineNames = `
  apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
  butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach
  couch crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster
  house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
  motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
  pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket
  rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
  sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip
  turtle wardrobe whale willow_tree wolf woman worm
`
  .trim()
  .split(/\s+/);

/** coarse_label_names.txt. */
const coarseNames = `
  aquatic_mammals fish flowers food_containers fruit_and_vegetables
  household_electrical_devices household_furniture insects large_carnivores
  large_man-made_outdoor_things large_natural_outdoor_scenes
  large_omnivores_and_herbivores medium_mammals non-insect_invertebrates people reptiles
  small_mammals trees vehicles_1 vehicles_2
`
  .trim()
  .split(/\s+/);

const shared = {
  side: 32,
  labels: [
    { name: 'coarse label', classes: 20 },
    { name: 'fine label', classes: 100 },
  ],
  recordsPerFile: { train: 50_000, test: 10_000 },
  trainFiles: ['train.bin'],
  testFiles: ['test.bin'],
  folders: ['cifar100', 'cifar-100-binary', '.'],
  commonNames: true,
  cacheFolder: 'cifar100',
  unsupported: {
    names: ['cifar-100-python', 'cifar-100-python.tar.gz', 'cifar-100-python.tar'],
    message:
      'is the Python version of the set, whose pickled arrays are not supported; use the binary version, cifar-100-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html',
  },
  relative: {
    what: 'CIFAR-10, which is the data set cifar10',
    files: Object.fromEntries(cifar10Files.map((name) => [name, 10_000 * 3073])),
  },
  // The author's, then a copy that the MindSpore project keeps.
  mirrors: [
    'https://www.cs.toronto.edu/~kriz/',
    'https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/',
  ],
  mirrorsVariable: 'FLN_CIFAR100_MIRRORS',
  archive: {
    name: 'cifar-100-binary.tar',
    downloadBytes: 168_513_733,
    // As TensorFlow Datasets lists it.
    sha256: '58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec',
    folder: 'cifar-100-binary',
  },
} as const;

/**
 * CIFAR-100: 60,000 photographs of 100 kinds of objects, 32x32, colour.
 * Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009,
 * https://www.cs.toronto.edu/~kriz/cifar.html (binary version)
 */
export const cifar100 = cifarDataset({
  ...shared,
  name: 'cifar100',
  title: 'CIFAR-100, photographs of 100 kinds of things',
  label: 1,
  classNames: fineNames,
});

/** The images of CIFAR-100 with its coarse labels, each of which joins five of the fine ones. */
export const cifar100Coarse = cifarDataset({
  ...shared,
  name: 'cifar100-coarse',
  title: 'CIFAR-100 with its 20 coarse labels',
  label: 0,
  classNames: coarseNames,
});
