import { UsageError } from '../errors.js';
import { didYouMean } from '../shared/suggest.js';
import type { DatasetDefinition } from './definition.js';
import { cifar10 } from './sets/cifar10.js';
import { cifar100, cifar100Coarse } from './sets/cifar100.js';
import { emnist } from './sets/emnist.js';
import { fashionMnist } from './sets/fashion-mnist.js';
import { kmnist } from './sets/kmnist.js';
import { mnist } from './sets/mnist.js';
import { svhn } from './sets/svhn.js';
import { syntheticDigits } from './sets/synthetic-digits.js';

/** Every built-in data set. Adding one is one file under `sets/` and one entry here. */
export const datasets: readonly DatasetDefinition[] = [
  mnist,
  fashionMnist,
  kmnist,
  ...emnist,
  cifar10,
  cifar100,
  cifar100Coarse,
  svhn,
  syntheticDigits,
];

/** Data sets that plugins define, by name: added when they are loaded. */
export const pluginDatasets = new Map<string, DatasetDefinition>();

/** @throws UsageError that lists the data sets */
export function findDataset(name: string): DatasetDefinition {
  const found = datasets.find((definition) => definition.name === name) ?? pluginDatasets.get(name);
  if (found) return found;
  const names = datasets.map((definition) => definition.name);
  const hint = didYouMean(name, names) || '.';
  throw new UsageError(
    `There is no data set "${name}"${hint} The data sets are: ${names.join(', ')}.`,
  );
}
