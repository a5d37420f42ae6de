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

/**
 * Writes `path=value` over a config. The value is YAML (`0.01`, `[1, 2]`, `{ name: mnist }`); a path
 * goes through keys, list positions from 0 and, below `methods`, labels: `methods.adam.learningRate`.
 * Later overrides win. Whether key and value are allowed is for the schema to say afterwards.
 *
 * @returns what cannot be written at all
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
      if (!(error instanceof Unwritable)) throw error;
      return [{ path: error.path, message: error.message, place }];
    }
  });
}

/** Text of the command line, or a path and its value. */
export type Override = string | Setting;

class Unwritable extends Error {
  constructor(
    readonly path: Path,
    message: string,
  ) {
    super(message);
  }
}

function apply(root: Block, override: Override, place: Place): void {
  const { path: target, value } =
    typeof override === 'string'
      ? parse(override, place)
      : { path: override.path, value: treeOf(override.value, place) };
  const segments = segmentsOf(target);
  let node: Tree = root;
  const path: (string | number)[] = [];
  let rest = segments;
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

function parse(override: string, place: Place): { path: string; value: Tree } {
  const equals = override.indexOf('=');
  if (equals < 0) {
    throw new Unwritable([], 'an override is path=value, as in epochs=2');
  }
  const path = override.slice(0, equals).trim();
  segmentsOf(path);
  return { path, value: parseValue(override.slice(equals + 1), place) };
}

function segmentsOf(path: string): string[] {
  const segments = path.split('.');
  if (segments.includes('')) {
    throw new Unwritable([], 'the path before "=" is incomplete; it looks like dataset.limit');
  }
  if (segments.includes('__proto__')) throw new Unwritable([], 'unknown key "__proto__"');
  return segments;
}

function parseValue(text: string, place: Place): Tree {
  const { tree, issues } = parseYaml(text, { mayBeEmpty: true });
  if (issues.length > 0) throw new Unwritable([], `in the value, ${issues[0].message}`);
  if (!tree) throw new Unwritable([], 'the value cannot be read');
  return treeOf(plain(tree), place);
}

/** Which key or list position the first segments of `rest` mean inside `node`. */
function firstStep(
  node: Tree,
  rest: readonly string[],
  path: Path,
): { step: string | number; taken: number } {
  if (node.kind === 'scalar') {
    const shown = node.value === null ? 'empty' : JSON.stringify(node.value);
    throw new Unwritable([], `${path.join('.')} is ${shown}: it has no "${rest[0]}" in it`);
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
    throw new Unwritable([], `there is no ${path.join('.')}.${rest[0]}: the list ${range}`);
  }
  if (path.join('.') === 'methods') return methodStep(node, rest);
  throw new Unwritable([], `${path.join('.')} is a list: "${rest[0]}" is not a position in it`);
}

function methodStep(methods: List, rest: readonly string[]): { step: number; taken: number } {
  const names = methods.items.map((item) => text(item, 'name'));
  const labels = methods.items.map((item, i) => text(item, 'label') ?? names[i]);
  for (const candidates of [labels, names]) {
    for (let taken = rest.length; taken > 0; taken--) {
      const wanted = rest.slice(0, taken).join('.');
      const step = candidates.indexOf(wanted);
      if (step < 0) continue;
      if (candidates.indexOf(wanted, step + 1) < 0) return { step, taken };
      const message = `"${wanted}" fits several methods; use a position, as in methods.${step}, or one of the labels ${known(labels)}`;
      throw new Unwritable([], message);
    }
  }
  const near = didYouMean(
    rest[0],
    labels.filter((label) => label !== undefined),
  );
  throw new Unwritable(
    [],
    `no method is labelled "${rest[0]}"${near || `; there are ${known(labels)}`}`,
  );
}

const known = (labels: readonly (string | undefined)[]) =>
  labels.filter((label) => label !== undefined).join(', ');

function text(node: Tree, key: string): string | undefined {
  const value = node.kind === 'block' ? node.entries.get(key)?.value : undefined;
  return value?.kind === 'scalar' && typeof value.value === 'string' ? value.value : undefined;
}

/** Steps into a child, making a block of an absent one. */
function enter(node: Block | List, step: string | number, place: Place): Tree {
  if (node.kind === 'list') return node.items[step as number];
  const entry = node.entries.get(String(step));
  if (entry && !(entry.value.kind === 'scalar' && entry.value.value === null)) return entry.value;
  const block: Block = { kind: 'block', place, entries: new Map() };
  node.entries.set(String(step), { key: place, value: block });
  return block;
}

function write(node: Block | List, step: string | number, value: Tree, place: Place): void {
  if (node.kind === 'list') node.items[step as number] = value;
  else node.entries.set(String(step), { key: place, value });
}
