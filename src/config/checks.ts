import type { Device } from '../backend/backend.js';
import { backendsOn, wrongDevice } from '../backend/registry.js';
import type { DatasetInfo } from '../core/dataset.js';
import type { NetworkShape } from '../core/methods/method.js';
import type { LossName } from '../core/network/names.js';
import { widthsOf } from '../core/network/shape.js';
import { datasets } from '../data/registry.js';
import { didYouMean } from '../shared/suggest.js';
import { type LayerInput, readLayers } from './layers.js';
import type { Path } from './tree.js';
import type { Finding } from './validate.js';

/** The value the config gives at a path, or undefined when it is absent or already found wrong. */
export type Lookup = <T>(...path: Path) => T | undefined;

/** How much there is of what is looked up one by one. */
export interface Extent {
  readonly seeds: number;
  readonly methods: number;
}

/**
 * What only shows when several keys are seen together: sizes against the data set, the network
 * against the data. Looks at the keys that are right by themselves, so that one slip does not hide
 * another.
 */
export function checkTogether(get: Lookup, extent: Extent): Finding[] {
  const dataset = datasets.find(({ name }) => name === get('dataset', 'name'));
  return [
    ...(dataset ? checkSizes(get, dataset, extent) : []),
    ...checkLayers(get, dataset),
    ...checkSeeds(get, extent),
    ...checkLabels(get, extent),
    ...checkPrediction(get),
    ...checkDevice(get),
  ];
}

/** The network on this data set; undefined when either is not usable. */
export function networkShape(get: Lookup): NetworkShape | undefined {
  const dataset = datasets.find(({ name }) => name === get('dataset', 'name'));
  const inputs = get<LayerInput[]>('network', 'layers');
  if (!dataset || !inputs) return undefined;
  const { layers, activations, findings } = readLayers(inputs, dataset);
  if (findings.length > 0) return undefined;
  return {
    layers,
    widths: widthsOf(layers),
    activations,
    loss: get<LossName>('loss') ?? 'cross-entropy',
  };
}

function checkSizes(
  get: Lookup,
  { name, trainSize, testSize }: DatasetInfo,
  { methods: count }: Extent,
): Finding[] {
  const findings: Finding[] = [];
  const refuse = (path: Path, message: string) => findings.push({ path, message, at: 'value' });
  const limit = get<number>('dataset', 'limit');
  const testLimit = get<number>('dataset', 'testLimit');
  const validation = get<number>('dataset', 'validation') ?? 0;
  if (limit !== undefined && limit > trainSize) {
    refuse(['dataset', 'limit'], `is more than the ${trainSize} training images of ${name}`);
  }
  if (testLimit !== undefined && testLimit > testSize) {
    refuse(['dataset', 'testLimit'], `is more than the ${testSize} test images of ${name}`);
  }
  const available = Math.min(limit ?? trainSize, trainSize);
  const train = available - validation;
  if (train <= 0) {
    const message = `leaves nothing to train on: there are ${available} training images`;
    refuse(['dataset', 'validation'], message);
    return findings;
  }
  const own = Array.from({ length: count }, (_, i): Path => ['methods', i, 'batchSize']);
  for (const path of [['batchSize'], ...own]) {
    const batchSize = get<number | 'full'>(...path);
    if (typeof batchSize !== 'number' || batchSize <= train) continue;
    refuse(path, `is more than the ${train} training images; use at most ${train}, or full`);
  }
  return findings;
}

function checkLayers(get: Lookup, dataset: DatasetInfo | undefined): readonly Finding[] {
  const inputs = get<LayerInput[]>('network', 'layers');
  return inputs ? readLayers(inputs, dataset).findings : [];
}

function checkPrediction(get: Lookup): Finding[] {
  const isLifted = get('evaluate', 'predict') === 'lifted';
  if (isLifted || get('evaluate', 'lambda') === undefined) return [];
  const message = 'belongs to lifted prediction; add predict: lifted, or remove it';
  return [{ path: ['evaluate', 'lambda'], message, at: 'key' }];
}

function checkDevice(get: Lookup): Finding[] {
  const device = get<Device>('device');
  const backend = get<string>('backend') ?? 'auto';
  if (device === undefined || backend === 'auto') return [];
  if (backendsOn(device).some(({ name }) => name === backend)) return [];
  return [{ path: ['device'], message: wrongDevice(backend, device), at: 'value' }];
}

function checkSeeds(get: Lookup, { seeds: count }: Extent): Finding[] {
  const findings: Finding[] = [];
  const seen = new Set<number>();
  for (let i = 0; i < count; i++) {
    const seed = get<number>('seeds', i);
    if (seed === undefined || seen.size < seen.add(seed).size) continue;
    const message = `seed ${seed} is given twice; a second run with it would repeat the first`;
    findings.push({ path: ['seeds', i], message, at: 'value' });
  }
  return findings;
}

/** Labels name folders, columns and lines of the figure: each stands for one method. */
function checkLabels(get: Lookup, { methods: count }: Extent): Finding[] {
  const findings: Finding[] = [];
  const labels: string[] = [];
  for (let i = 0; i < count; i++) {
    const given = get<string>('methods', i, 'label');
    const label = given ?? get<string>('methods', i, 'name');
    if (label === undefined) continue;
    const path = ['methods', i, given === undefined ? 'name' : 'label'];
    const twin = labels.find((other) => other.toLowerCase() === label.toLowerCase());
    if (twin === label) {
      const message = `two methods have the label "${label}"; give one of them a label of its own, as in label: ${label}-2`;
      findings.push({ path, message, at: 'value' });
    } else if (twin !== undefined) {
      const message = `the labels "${twin}" and "${label}" differ in case alone, which not every file system can tell apart; change one`;
      findings.push({ path, message, at: 'value' });
    }
    labels.push(label);
  }
  return findings;
}

/** Labels under `expect` that no method has. */
export function checkExpected(
  get: Lookup,
  methods: number,
  expected: readonly string[],
): Finding[] {
  const labels = Array.from(
    { length: methods },
    (_, i) => get<string>('methods', i, 'label') ?? get<string>('methods', i, 'name'),
  ).filter((label) => label !== undefined);
  // Which labels there are is not known while a method is wrong.
  if (labels.length < methods || methods === 0) return [];
  const unknown = expected.filter((label) => !labels.includes(label));
  return unknown.map((label) => {
    const near = didYouMean(label, labels);
    const message = `no method has this label${near === '' ? `; the labels are ${labels.join(', ')}` : near}`;
    return { path: ['expect', label], message, at: 'key' };
  });
}
