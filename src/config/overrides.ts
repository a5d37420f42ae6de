import { didYouMean } from '../shared/suggest.js';
import type { ConfigIssue } from './issues.js';
import {
  type Block,
  type List,
  type Path,
  type Place,
  plain,
  type Setting,
  type Tree,
  treeOf,
} from './tree.js';
import { parseYaml } from './yaml.js';

/** Text of the command line, or a path and its value. */
export type Override = string | Setting;

/** An override that cannot be applied. */
class OverrideError extends Error {}

/**
 * Applies `path=value` to a config. The value is YAML (`0.01`, `[1, 2]`, `{ name: mnist }`); a path
 * goes through keys, list positions from 0 and, below `methods`, labels: `methods.adam.learningRate`.
 * Later overrides win. Whether key and value are valid is checked by the schema afterwards.
 *
 * @returns the overrides that cannot be applied
 */
export function applyOverrides(root: Block, overrides: readonly Override[]): ConfigIssue[] {
  return overrides.flatMap((override) => {
    const place: Place =
      typeof override === 'string'
        ? { from: 'command line', override }
        : {
            from: 'command line',
            override: `${override.path}=${JSON.stringify(override.value)}`,
            setting: override,
          };
    try {
      apply(root, override, place);
      return [];
    } catch (error) {
      if (!(error instanceof OverrideError)) throw error;
      return [{ path: [], message: error.message, place }];
    }
  });
}

function apply(root: Block, override: Override, place: Place): void {
  const [target, value] =
    typeof override === 'string'
      ? parse(override, place)
      : [override.path, treeOf(override.value, place)];
  let node: Tree = root;
  const path: (string | number)[] = [];
  let rest = segmentsOf(target);
  for (;;) {
    const { step, taken } = firstStep(node, rest, path);
    rest = rest.slice(taken);
    if (rest.length === 0) {
      write(node as Block | List, step, value, place);
      return;
    }
    node = enter(node as Block | List, step, place);
    path.push(step);
  }
}

function parse(override: string, place: Place): [path: string, value: Tree] {
  const equals = override.indexOf('=');
  if (equals < 0) throw new OverrideError('expected path=value, as in epochs=2');
  const { tree, issues } = parseYaml(override.slice(equals + 1), { mayBeEmpty: true });
  if (issues.length > 0) throw new OverrideError(`in the value, ${issues[0].message}`);
  if (!tree) throw new OverrideError('the value cannot be parsed');
  return [override.slice(0, equals).trim(), treeOf(plain(tree), place)];
}

function segmentsOf(path: string): string[] {
  const segments = path.split('.');
  if (segments.includes('')) {
    throw new OverrideError('expected a path before "=", as in dataset.limit=1000');
  }
  if (segments.includes('__proto__')) throw new OverrideError('unknown key "__proto__"');
  return segments;
}

/** The key or list position inside `node` that the first segments of `rest` name. */
function firstStep(
  node: Tree,
  rest: readonly string[],
  path: Path,
): { step: string | number; taken: number } {
  if (node.kind === 'scalar') {
    const shown = node.value === null ? 'empty' : JSON.stringify(node.value);
    throw new OverrideError(`${path.join('.')} is ${shown}, and has no key "${rest[0]}"`);
  }
  if (node.kind === 'block') {
    // A label may contain dots: the longest key that fits wins.
    for (let taken = rest.length; taken > 0; taken--) {
      const key = rest.slice(0, taken).join('.');
      if (node.entries.has(key)) return { step: key, taken };
    }
    return { step: rest[0], taken: 1 };
  }
  if (/^\d+$/.test(rest[0])) {
    const index = Number(rest[0]);
    if (index < node.items.length) return { step: index, taken: 1 };
    const count = node.items.length;
    const range = count === 0 ? 'is empty' : `has the positions 0 to ${count - 1}`;
    throw new OverrideError(`there is no ${path.join('.')}.${rest[0]}: the list ${range}`);
  }
  if (path.join('.') === 'methods') return methodStep(node, rest);
  throw new OverrideError(`${path.join('.')} is a list: "${rest[0]}" is not a position in it`);
}

function methodStep(methods: List, rest: readonly string[]): { step: number; taken: number } {
  const names = methods.items.map((item) => text(item, 'name'));
  const labels = methods.items.map((item, i) => text(item, 'label') ?? names[i]);
  const known = labels.filter((label) => label !== undefined);
  for (const candidates of [labels, names]) {
    for (let taken = rest.length; taken > 0; taken--) {
      const wanted = rest.slice(0, taken).join('.');
      const step = candidates.indexOf(wanted);
      if (step < 0) continue;
      if (candidates.indexOf(wanted, step + 1) < 0) return { step, taken };
      const message = `several methods have the name "${wanted}"; use a position, as in methods.${step}, or one of the labels ${known.join(', ')}`;
      throw new OverrideError(message);
    }
  }
  const hint = didYouMean(rest[0], known) || `; the labels are ${known.join(', ')}`;
  throw new OverrideError(`no method has the label "${rest[0]}"${hint}`);
}

function text(node: Tree, key: string): string | undefined {
  const value = node.kind === 'block' ? node.entries.get(key)?.value : undefined;
  return value?.kind === 'scalar' && typeof value.value === 'string' ? value.value : undefined;
}

/** The child at `step`; an absent or empty one becomes a block. */
function enter(node: Block | List, step: string | number, place: Place): Tree {
  if (node.kind === 'list') return node.items[step as number];
  const entry = node.entries.get(String(step));
  if (entry && !(entry.value.kind === 'scalar' && entry.value.value === null)) return entry.value;
  const block: Block = { kind: 'block', place, entries: new Map() };
  write(node, step, block, place);
  return block;
}

function write(node: Block | List, step: string | number, value: Tree, place: Place): void {
  if (node.kind === 'list') node.items[step as number] = value;
  else node.entries.set(String(step), { key: place, value });
}
