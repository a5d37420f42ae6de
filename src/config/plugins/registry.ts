import type { MethodDefinition } from '../../core/methods/method.js';
import { methods } from '../../core/methods/registry.js';
import { activationNames, lossNames } from '../../core/network/names.js';
import type { DatasetDefinition } from '../../data/definition.js';
import { datasets } from '../../data/registry.js';
import { UsageError } from '../../errors.js';
import type { PluginKind } from './define.js';
import type { LayerType, PluginEntries } from './entries.js';

/** A plugin that was loaded. */
export interface LoadedPlugin {
  /** Absolute path. */
  readonly file: string;
  /** Of the file, or of the list of checksums below where it imports others. */
  readonly sha256: string;
  /** SHA-256 of the file and the files that it imports by a relative path, by path from its folder. */
  readonly files: Readonly<Record<string, string>>;
  readonly entries: PluginEntries;
}

/** The names that one config may use: the built-in ones, and those of its plugins. */
export interface Registry {
  readonly methods: readonly MethodDefinition[];
  readonly activations: readonly string[];
  readonly losses: readonly string[];
  /** Layer types of plugins. */
  readonly layers: readonly LayerType[];
  readonly datasets: readonly DatasetDefinition[];
  readonly plugins: readonly LoadedPlugin[];
}

/** What a config without plugins may use. */
export const builtIn: Registry = {
  methods,
  activations: activationNames,
  losses: lossNames,
  layers: [],
  datasets,
  plugins: [],
};

/** The names of a plugin's entries, by kind. */
export const namesIn = ({ entries }: Pick<LoadedPlugin, 'entries'>) =>
  [
    ...entries.methods.map(({ name }) => ['method', name] as const),
    ...entries.activations.map(({ name }) => ['activation', name] as const),
    ...entries.losses.map(({ name }) => ['loss', name] as const),
    ...entries.layers.map(({ name }) => ['layer', name] as const),
    ...entries.datasets.map(({ name }) => ['dataset', name] as const),
  ] satisfies (readonly [PluginKind, string])[];

/**
 * The registry with the entries of one more plugin.
 * @throws UsageError when a name is taken
 */
export function withPlugin(registry: Registry, plugin: LoadedPlugin): Registry {
  const { entries, file } = plugin;
  const same = registry.plugins.find(({ sha256 }) => sha256 === plugin.sha256);
  if (same)
    throw new UsageError(
      `${file}: is listed before${same.file === file ? '' : `, as ${same.file}`}; list it once`,
    );
  const takenBy = (kind: PluginKind, name: string): string | undefined => {
    const other = registry.plugins.find((loaded) =>
      namesIn(loaded).some((named) => named[0] === kind && named[1] === name),
    );
    if (other) return `is already defined by ${other.file}`;
    const names: Readonly<Record<PluginKind, readonly string[]>> = {
      method: methods.map((method) => method.name),
      activation: [...activationNames, 'identity'],
      loss: lossNames,
      layer: ['kernel', 'stride', 'padding'],
      dataset: datasets.map((dataset) => dataset.name),
    };
    return names[kind].includes(name) ? 'is built in' : undefined;
  };
  const seen = new Set<string>();
  for (const [kind, name] of namesIn(plugin)) {
    const reason =
      takenBy(kind, name) ?? (seen.has(`${kind} ${name}`) ? 'is defined twice' : undefined);
    seen.add(`${kind} ${name}`);
    if (reason) throw new UsageError(`${file}: ${kind} "${name}" ${reason}; choose another name`);
  }
  return {
    methods: [...registry.methods, ...entries.methods],
    activations: [...registry.activations, ...entries.activations.map(({ name }) => name)],
    losses: [...registry.losses, ...entries.losses.map(({ name }) => name)],
    layers: [...registry.layers, ...entries.layers],
    datasets: [...registry.datasets, ...entries.datasets],
    plugins: [...registry.plugins, plugin],
  };
}

/** `method sign-sgd, activation softplus` */
export const listOfEntries = (plugin: Pick<LoadedPlugin, 'entries'>): string =>
  namesIn(plugin)
    .map(([kind, name]) => `${kind} ${name}`)
    .join(', ');
