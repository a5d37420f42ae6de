import {
  type Alias,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import { didYouMean } from '../shared/suggest.js';
import type { ConfigIssue } from './issues.js';
import { maxDepth, nestedTooDeeply, tooDeep } from './nesting.js';
import { syntaxMessage } from './syntax-wording.js';
import type { Block, Entry, Path, Place, Tree } from './tree.js';

/** More values than any config has; aliases that expand to more are an attack or an accident. */
const maxNodes = 50_000;

/**
 * Reads YAML, or JSON, which is YAML too. Ordinary anchors, aliases and merge keys are expanded;
 * the expanded values keep the place where they were written.
 *
 * @param mayBeEmpty whether a text without a value, which is null in YAML, is one; else it is an issue
 * @returns the tree, absent when the text has no readable structure, and everything wrong with it
 */
export function parseYaml(
  text: string,
  { mayBeEmpty = false } = {},
): { tree?: Tree; issues: ConfigIssue[] } {
  const counter = new LineCounter();
  const placeAt = (start: number, end: number): Place => {
    const { line, col } = counter.linePos(start);
    const newline = text.indexOf('\n', start);
    const lineEnd = newline < 0 ? text.length : newline;
    return {
      from: 'file',
      line: Math.max(1, line),
      column: Math.max(1, col),
      length: Math.max(1, Math.min(end, lineEnd) - start),
    };
  };
  const failure = (message: string, place: Place = startOfFile) => ({
    issues: [{ path: [], message, place }],
  });

  if (nestedTooDeeply(text)) return failure(tooDeep);
  const document = parseDocument(text, {
    lineCounter: counter,
    prettyErrors: false,
    uniqueKeys: false, // found below, with the place of both
    merge: true,
    logLevel: 'error', // 'silent' would hide a second document
  });
  const problems = [...document.errors, ...document.warnings];
  if (problems.length > 0) {
    const seen = new Set<number>();
    const issues: ConfigIssue[] = [];
    for (const problem of problems) {
      const place = placeAt(problem.pos[0], problem.pos[1]);
      const line = place.from === 'file' ? place.line : 0;
      // One slip makes the parser complain about all that follows: one issue a line, three in all.
      if (seen.has(line) || issues.length === 3) continue;
      seen.add(line);
      const character = text[problem.pos[0]] ?? '';
      issues.push({
        path: [],
        place,
        message: syntaxMessage(problem.code, problem.message, character),
      });
    }
    return { issues };
  }
  if (document.contents === null || isEmpty(document.contents)) {
    if (!mayBeEmpty) return failure('the file is empty');
    return { tree: { kind: 'scalar', value: null, place: startOfFile }, issues: [] };
  }
  return new Reader(placeAt).read(document.contents);
}

const startOfFile: Place = { from: 'file', line: 1, column: 1, length: 1 };

/** A document that was started and left without content. */
function isEmpty(root: Node): boolean {
  return isScalar(root) && root.value === null;
}

/** Turns the nodes of a document into a tree. */
class Reader {
  readonly #issues: ConfigIssue[] = [];
  readonly #comments: ConfigIssue[] = [];
  readonly #open = new Set<Node>();
  readonly #anchors = new Map<string, Node>();
  readonly #targets = new Map<Alias, Node>();
  #nodes = 0;

  constructor(private readonly placeAt: (start: number, end: number) => Place) {}

  read(root: Node): { tree?: Tree; issues: ConfigIssue[] } {
    const tree = this.#tree(root, []);
    // Such a comment swallows what follows it: everything else would be reported wrongly.
    if (this.#comments.length > 0) return { issues: this.#comments };
    if (this.#nodes > maxNodes) {
      const message = `its aliases expand to more than ${maxNodes} values`;
      return { issues: [{ path: [], message, place: startOfFile }] };
    }
    return { tree, issues: this.#issues };
  }

  #place(node: { range?: readonly number[] | null }): Place {
    const [start, end] = node.range ?? [0, 1];
    return this.placeAt(start, end);
  }

  #tree(node: unknown, path: Path): Tree {
    this.#nodes++;
    if (this.#nodes > maxNodes || !isNode(node)) {
      return { kind: 'scalar', value: null, place: startOfFile };
    }
    if (path.length > maxDepth) return this.#refuse(path.slice(0, 1), node, tooDeep);
    if (isAlias(node)) return this.#alias(node, path);
    if (node.anchor) this.#anchors.set(node.anchor, node);
    if (isMap(node)) return this.#inside(node, path, () => this.#block(node, path));
    if (isSeq(node)) {
      return this.#inside(node, path, () => ({
        kind: 'list',
        place: firstCharacter(this.#place(node)),
        items: node.items.map((item, i) => this.#tree(item, [...path, i])),
      }));
    }
    const { value } = node;
    if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) {
      return { kind: 'scalar', value, place: this.#place(node) } as Tree;
    }
    return this.#refuse(path, node, 'must be a number, text, a list or a block');
  }

  #inside(node: Node, path: Path, read: () => Tree): Tree {
    if (this.#open.has(node)) return this.#refuse(path, node, 'contains itself through an alias');
    this.#open.add(node);
    const tree = read();
    this.#open.delete(node);
    return tree;
  }

  #alias(alias: Alias, path: Path): Tree {
    const target = this.#targets.get(alias) ?? this.#anchors.get(alias.source);
    if (target) {
      // Expanded a second time, an alias still means the anchor that stood above it.
      this.#targets.set(alias, target);
      return this.#tree(target, path);
    }
    const hint = didYouMean(alias.source, [...this.#anchors.keys()]);
    return this.#refuse(
      path,
      alias,
      `there is no anchor "&${alias.source}" above this line${hint}`,
    );
  }

  /** Notes an issue and stands in for the value. */
  #refuse(path: Path, node: Node, message: string): Tree {
    const place = this.#place(node);
    this.#issues.push({ path, place, message });
    return { kind: 'scalar', value: null, place };
  }

  #block(map: YAMLMap, path: Path): Block {
    const entries = new Map<string, Entry>();
    const merged: Block[] = [];
    for (const pair of map.items as Pair[]) {
      const { key } = pair;
      if (isScalar(key) && key.anchor) this.#anchors.set(key.anchor, key);
      if (isScalar(key) && typeof key.value === 'symbol') {
        for (const source of this.#mergeSources(pair, path)) merged.push(source);
        continue;
      }
      const name =
        isScalar(key) && key.value !== null ? String(key.source ?? key.value) : undefined;
      if (name === undefined) {
        const place = this.#place((key as Node | null) ?? map);
        this.#issues.push({ path, place, message: 'a key must be plain text' });
        continue;
      }
      const place = this.#place(key as Node);
      if (/^\/[/*]/.test(name)) {
        const message = `a comment starts with #, not with ${name.slice(0, 2)}`;
        this.#comments.push({ path: [], place: { ...place, length: 2 } as Place, message });
        continue;
      }
      const earlier = entries.get(name)?.key;
      if (earlier?.from === 'file') {
        const message = `duplicate key: already given in line ${earlier.line}; remove one of them`;
        this.#issues.push({ path: [...path, name], place, message });
        continue;
      }
      const value: Tree =
        pair.value === null
          ? { kind: 'scalar', value: null, place }
          : this.#tree(pair.value, [...path, name]);
      entries.set(name, { key: place, value });
    }
    // Keys written out win over merged ones, and earlier sources over later ones.
    for (const source of merged) {
      for (const [name, entry] of source.entries) {
        if (!entries.has(name)) entries.set(name, entry);
      }
    }
    const first = map.flow ? undefined : [...entries.values()][0]?.key;
    return { kind: 'block', place: first ?? firstCharacter(this.#place(map)), entries };
  }

  /** The blocks named by `<<: *a` or `<<: [*a, *b]`. */
  #mergeSources(pair: Pair, path: Path): Block[] {
    const tree = this.#tree(pair.value, path);
    const sources = tree.kind === 'list' ? tree.items : [tree];
    const blocks = sources.filter((source) => source.kind === 'block');
    if (blocks.length < sources.length) {
      const message = '"<<" merges blocks: it needs an alias of a block, or a list of them';
      this.#issues.push({ path, place: this.#place(pair.key as Node), message });
    }
    return blocks;
  }
}

/** A block or list over several lines is pointed at by its first character alone. */
function firstCharacter(place: Place): Place {
  return place.from === 'file' ? { ...place, length: 1 } : place;
}
