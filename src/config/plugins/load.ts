import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { basename, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { activations, losses } from '../../core/network/implementations.js';
import { pluginDatasets } from '../../data/registry.js';
import { FlnError, UsageError } from '../../errors.js';
import type { PluginKind } from './define.js';
import { failureOf, type PluginEntries, readEntries } from './entries.js';
import { type LoadedPlugin, namesIn } from './registry.js';

/** Plugins that this process has loaded, by their real path. */
const loaded = new Map<string, LoadedPlugin>();

/**
 * Loads a plugin: checks and runs the file. This is code with the rights of the program.
 * @param file absolute path
 * @param refusal why a file of this SHA-256 must not run; undefined where it may
 * @throws UsageError naming the file, when it is absent, refused, cannot be loaded or is inside a run directory
 */
export function loadPlugin(
  file: string,
  refusal: (sha256: string) => string | undefined = () => undefined,
): LoadedPlugin {
  refuseNoFile(file);
  const path = realpathSync(file);
  refuseRunDirectory(file, path);
  const files = checksums(path);
  const sha256 = combined(files);
  const refused = refusal(sha256);
  if (refused !== undefined) throw new UsageError(`${file} ${refused}`);
  const before = loaded.get(path);
  if (before?.sha256 === sha256) return { ...before, file };
  if (before) {
    throw new UsageError(
      `${file} has changed since this process loaded it: start a new process to use it as it is now`,
    );
  }
  const entries = withoutExit(file, () =>
    readEntries(exportsOf(path, file, Object.keys(files)), file),
  );
  const plugin = { file, sha256, files, entries };
  register(plugin);
  loaded.set(path, plugin);
  return plugin;
}

/** An end of the process while a plugin loads would look like success. */
function withoutExit<T>(file: string, load: () => T): T {
  const { exit } = process;
  process.exit = () => {
    throw new UsageError(`${file}: calls process.exit while it is loaded`);
  };
  try {
    return load();
  } finally {
    process.exit = exit;
  }
}

function refuseNoFile(file: string): void {
  if (file.includes('\0')) throw new UsageError(`${JSON.stringify(file)} is no path`);
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) {
    throw new UsageError(`${file}: no such file; paths of plugins are relative to the config`);
  }
  if (stats.isDirectory()) {
    throw new UsageError(
      `${file}: is a folder, expected a module, as in ${join(basename(file), 'index.mjs')}`,
    );
  }
  if (!stats.isFile()) throw new UsageError(`${file}: is not a regular file`);
  if (!/\.([cm]?[jt]s)$/.test(file)) {
    throw new UsageError(`${file}: expected a module: .mjs, .js, .cjs, .ts or .mts`);
  }
  const strips = (process.features as { typescript?: unknown }).typescript;
  if (/\.[cm]?ts$/.test(file) && !strips) {
    throw new UsageError(
      `${file}: Node ${process.version} does not run TypeScript; use Node 22.18 or later, or compile it to .mjs`,
    );
  }
}

/** A run directory holds results, perhaps of somebody else: nothing in it is run. */
function refuseRunDirectory(file: string, path: string): void {
  for (const start of [file, path]) {
    for (let folder = dirname(start); ; folder = dirname(folder)) {
      if (existsSync(join(folder, 'run.json')) && existsSync(join(folder, 'config.yaml'))) {
        throw new UsageError(
          `${file}: is inside the run directory ${folder}, and plugins are never loaded from one; move it elsewhere`,
        );
      }
      if (folder === dirname(folder)) break;
    }
  }
}

/** Specifiers of relative imports; also in comments, which does no harm. */
const imports =
  /(?:\bfrom|\bimport|\bimport\s*\(|\brequire\s*\()\s*(['"])(\.{1,2}\/[^'"\n]+|file:[^'"\n]+)\1/g;

/** SHA-256 of a file and of the files that it imports by relative paths, transitively; the file itself first. */
function checksums(path: string): Record<string, string> {
  const files = new Map<string, string>();
  const add = (file: string): void => {
    if (files.has(file)) return;
    const content = readFileSync(file);
    files.set(file, createHash('sha256').update(content).digest('hex'));
    const local = nodeModule.createRequire(file);
    for (const [, , specifier] of content.toString('utf8').matchAll(imports)) {
      const target = targetOf(specifier, local);
      if (target !== undefined) add(target);
    }
  };
  add(path);
  return Object.fromEntries(
    [...files].map(([file, sha]) => [relative(dirname(path), file).split(sep).join('/'), sha]),
  );
}

/** The file that an import resolves to; a wrong one is reported when the plugin is loaded. */
function targetOf(specifier: string, local: NodeJS.Require): string | undefined {
  try {
    const target = local.resolve(
      specifier.startsWith('file:') ? fileURLToPath(specifier) : specifier,
    );
    return realpathSync(target);
  } catch {
    return undefined;
  }
}

function combined(files: Readonly<Record<string, string>>): string {
  const [only, ...others] = Object.values(files);
  if (others.length === 0) return only;
  const lines = Object.entries(files)
    .map(([name, sha]) => `${sha}  ${name}\n`)
    .sort();
  return createHash('sha256').update(lines.join('')).digest('hex');
}

/**
 * The default export, called with the API where it is a function. `require` takes ES modules too, without
 * top-level await, which could wait forever.
 */
function exportsOf(path: string, file: string, files: readonly string[]): unknown {
  mapPackage(files.map((name) => join(dirname(path), name)));
  const load = nodeModule.createRequire(path);
  let exported: unknown;
  try {
    const namespace: unknown = load(path);
    // A CommonJS module is its own default.
    const isModule = Object.prototype.toString.call(namespace) === '[object Module]';
    exported = isModule ? (namespace as { default?: unknown }).default : namespace;
    if (typeof exported === 'object' && exported !== null && 'default' in exported) {
      exported = exported.default;
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${file}: ${whyNotLoaded(error, path, files)}`, { cause: error });
  }
  if (exported === undefined) {
    throw new UsageError(
      `${file}: has no default export, expected export default ({ defineMethod, tf, z }) => [...]`,
    );
  }
  if (typeof exported !== 'function') return exported;
  try {
    return exported(pluginApi());
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${file}: its default export failed: ${failureOf(error)}`, {
      cause: error,
    });
  }
}

/** Loads the tensor library. */
const pluginApi = (): unknown => nodeModule.createRequire(import.meta.url)('./api.js');

/** Addresses of the files of plugins. */
const pluginUrls = new Set<string>();
let isMapped = false;

/** In the files of plugins, the package and its tensor library are those of the running program, where Node has hooks. */
function mapPackage(files: readonly string[]): void {
  for (const file of files) pluginUrls.add(pathToFileURL(file).href);
  if (isMapped || !('registerHooks' in nodeModule)) return;
  isMapped = true;
  const own = nodeModule.createRequire(import.meta.url);
  type Resolve = (
    specifier: string,
    context: { readonly parentURL?: string },
    next: (specifier: string, context: unknown) => unknown,
  ) => unknown;
  const resolve: Resolve = (specifier, context, next) => {
    if (pluginUrls.has(context.parentURL ?? '')) {
      const target = {
        'fenchel-lifted-networks': './api.js',
        '@tensorflow/tfjs': '@tensorflow/tfjs',
        zod: 'zod',
      }[specifier];
      if (target) return { url: pathToFileURL(own.resolve(target)).href, shortCircuit: true };
    }
    return next(specifier, context);
  };
  (nodeModule.registerHooks as (hooks: { resolve: Resolve }) => void)({ resolve });
}

function whyNotLoaded(error: unknown, path: string, files: readonly string[]): string {
  const { code, message } = (
    error instanceof Error ? error : { message: String(error) }
  ) as NodeJS.ErrnoException;
  if (code === 'ERR_REQUIRE_ASYNC_MODULE') {
    return 'has a top-level await, which plugins must not have; await in load, prepare or init instead';
  }
  const [, name] =
    /^Cannot find package '([^']+)'/.exec(message) ??
    /^Cannot find module '([^.'/][^']*)'/.exec(message) ??
    [];
  if (name?.startsWith('fenchel-lifted-networks')) {
    return `imports ${name}, which this version of Node cannot map to the running program; take the functions as arguments: export default ({ defineMethod, tf, z }) => [...]`;
  }
  if (name !== undefined) {
    return `imports the package ${name}, which is not installed there; run "npm install ${name}" in ${dirname(path)}`;
  }
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') return message.split('\n')[0];
  if (error instanceof SyntaxError) {
    const place = files.map((name) => placeOfSyntaxError(join(dirname(path), name))).find(Boolean);
    return `${error.name}: ${message.split('\n')[0]}${place ? ` (at ${place})` : ''}`;
  }
  if (error instanceof FlnError) return message;
  return `failed while it was loaded: ${failureOf(error)}`;
}

/** `FILE:LINE`: the error itself has it only where it ends the process. */
function placeOfSyntaxError(file: string): string | undefined {
  const { stderr } = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8' });
  return /^(?:file:\/\/)?(.+:\d+)\n/.exec(stderr ?? '')?.[1];
}

/** What each name of this process means. */
const owners = new Map<string, LoadedPlugin>();

/**
 * Makes activations, losses and data sets known by their names, which have one meaning in a process.
 * @throws UsageError when another plugin has defined a name
 */
function register(plugin: LoadedPlugin): void {
  const shared: readonly PluginKind[] = ['activation', 'loss', 'dataset'];
  const keys = namesIn(plugin).filter(([kind]) => shared.includes(kind));
  for (const [kind, name] of keys) {
    const owner = owners.get(`${kind} ${name}`);
    if (owner === undefined) continue;
    throw new UsageError(
      `${plugin.file}: ${kind} "${name}" is also defined by ${owner.file}, which this process has loaded. ` +
        'Train the two in separate processes, or rename one of them',
    );
  }
  for (const [kind, name] of keys) owners.set(`${kind} ${name}`, plugin);
  addTo(plugin.entries);
}

function addTo(entries: PluginEntries): void {
  for (const activation of entries.activations) activations[activation.name] ??= activation;
  for (const loss of entries.losses) losses[loss.name] ??= loss;
  for (const dataset of entries.datasets) pluginDatasets.set(dataset.name, dataset);
}
