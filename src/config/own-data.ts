import { dirname, resolve } from 'node:path';
import type { DatasetInfo, DatasetRequest } from '../core/dataset.js';
import type { LossName } from '../core/network/names.js';
import {
  type ArrayData,
  arraysDefinition,
  arraysName,
  recordedArrays,
  SplitError,
} from '../data/arrays/definition.js';
import type { DatasetDefinition } from '../data/definition.js';
import type { Lookup } from './checks.js';
import type { Block, Place, Tree } from './tree.js';
import type { Finding } from './validate.js';

const splits = ['train', 'test', 'validation'] as const;

/**
 * Makes the paths of the user's own data and of a model to start from absolute: those of the file are relative to
 * its folder, those of the command line to the current one.
 */
export function resolvePaths(tree: Block, file: string): void {
  const absolute = (entries: Block['entries'], key: string) => {
    const entry = entries.get(key);
    const value = entry?.value;
    if (entry === undefined || value?.kind !== 'scalar' || typeof value.value !== 'string') return;
    if (value.value === '') return;
    const path = resolve(folderOf(value.place, file), value.value);
    entries.set(key, { ...entry, value: { ...value, value: path } });
  };
  const init = tree.entries.get('init')?.value;
  if (init?.kind === 'block') absolute(init.entries, 'from');
  const dataset = tree.entries.get('dataset')?.value;
  if (dataset?.kind !== 'block' || textOf(dataset, 'name') !== arraysName) return;
  for (const split of splits) {
    const source = dataset.entries.get(split)?.value;
    absolute(dataset.entries, split);
    if (source?.kind !== 'block') continue;
    // Beside npz, x and y are names of arrays.
    const files = source.entries.has('npz') ? ['npz'] : ['x', 'y', 'csv', 'images'];
    for (const key of files) absolute(source.entries, key);
  }
}

const folderOf = (place: Place, file: string): string =>
  place.from === 'command line' && place.setting === undefined ? '.' : dirname(file);

function textOf(block: Block, key: string): unknown {
  const value: Tree | undefined = block.entries.get(key)?.value;
  return value?.kind === 'scalar' ? value.value : undefined;
}

/** The data set of a config, and what is wrong with it. */
export interface ConfiguredData {
  /** Undefined when it is not known, or cannot be read. */
  readonly definition?: DatasetDefinition;
  /** Of keys that do not fit the data set. */
  readonly findings: readonly Finding[];
  /** Of files. */
  readonly unreadable: readonly Finding[];
  /** The config names no files: the arrays are to come from the caller of the library. */
  readonly awaitsData?: boolean;
}

/**
 * Finds the data set of a config; own data is read.
 * @param given arrays in memory, or the shape of recorded data
 */
export function configuredData(
  get: Lookup,
  datasets: readonly DatasetDefinition[],
  given: { readonly data?: ArrayData; readonly info?: Omit<DatasetInfo, 'name' | 'title'> },
): ConfiguredData {
  const name = get<string>('dataset', 'name');
  const [train, test, validation] = splits.map((split) => get('dataset', split));
  const channels = get<DatasetRequest['channels']>('dataset', 'channels');
  if (name !== arraysName) {
    const own = { train, test, channels };
    const findings = Object.entries(own).flatMap(([key, value]): Finding[] =>
      value === undefined || name === undefined
        ? []
        : [
            {
              path: ['dataset', key],
              message: `is for your own data, name: ${arraysName}`,
              at: 'key',
            },
          ],
    );
    if (name !== undefined && validation !== undefined && typeof validation !== 'number') {
      const message = `must be a number of training images; a split of its own is for your own data, name: ${arraysName}`;
      findings.push({ path: ['dataset', 'validation'], message, at: 'value' });
    }
    return { definition: datasets.find((set) => set.name === name), findings, unreadable: [] };
  }
  if (given.info) return { definition: recordedArrays(given.info), findings: [], unreadable: [] };
  if (train === undefined && test === undefined && !given.data) {
    return { findings: [], unreadable: [], awaitsData: true };
  }
  const request = { train, test, validation, channels } as DatasetRequest;
  const loss = get<LossName>('loss') ?? 'cross-entropy';
  try {
    return {
      definition: arraysDefinition(request, loss, given.data),
      findings: [],
      unreadable: [],
    };
  } catch (error) {
    if (!(error instanceof SplitError)) throw error;
    const finding: Finding = {
      path: ['dataset', error.split],
      message: error.message,
      at: 'value',
    };
    const isMissing = error.cause === undefined;
    return { findings: isMissing ? [finding] : [], unreadable: isMissing ? [] : [finding] };
  }
}
