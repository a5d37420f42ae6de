import {
  type Alias,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import { didYouMean } from '../shared/suggest.js';
import { ConfigError, type ConfigIssue, type Source } from './issues.js';
import { syntaxMessage, tooDeep } from './syntax-wording.js';
import type { Block, Entry, FilePlace, Path, Tree } from './tree.js';

/** Limit of the values of a config, also after aliases are expanded. */
const maxNodes = 50_000;
/** The YAML composer is recursive: thousands of levels overflow the stack and end the process. */
const maxDepth = 100;

/**
 * Parses a file that must be a block of keys.
 * @param subject of the message when it is not: `a config`
 * @throws ConfigError when it is not
 */
export function parseBlock(
  source: Source,
  subject: string,
  keys: readonly string[],
): { tree: Block; issues: ConfigIssue[] } {
  const { tree, issues } = parseYaml(source.text);
  if (tree?.kind === 'block') return { tree, issues };
  if (tree === undefined) throw new ConfigError(source, issues);
  // `name:x`, without a space after the colon, is a string in YAML.
  const isString = tree.kind === 'scalar' && /^\w+:\S/.test(String(tree.value));
  const hint = isString ? '; write a space after each colon' : '';
  const known = keys.filter((key) => !key.startsWith('$')).join(', ');
  const message = `${subject} is a block of keys: ${known}${hint}`;
  throw new ConfigError(source, [...issues, { path: [], message, place: tree.place }]);
}

/**
 * Parses YAML, or JSON, which is YAML too. Anchors, aliases and merge keys are expanded; the expanded
 * values keep the place where they were written.
 *
 * @param mayBeEmpty whether an empty text is null, as in YAML, rather than an issue
 * @returns the tree, absent when the text cannot be parsed, and all issues
 */
export function parseYaml(
  text: string,
  { mayBeEmpty = false } = {},
): { tree?: Tree; issues: ConfigIssue[] } {
  const counter = new LineCounter();
  const placeAt = (start: number, end: number): FilePlace => {
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
  const failure = (message: string) => ({ issues: [{ path: [], message, place: startOfFile }] });

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
    const issues = new Map<number, ConfigIssue>();
    for (const { pos, code, message } of problems) {
      const place = placeAt(pos[0], pos[1]);
      // One mistake causes errors in the lines after it: one issue per line, three in all.
      if (issues.has(place.line) || issues.size === 3) continue;
      const meaning = syntaxMessage(code, message, text[pos[0]] ?? '');
      issues.set(place.line, { path: [], place, message: meaning });
    }
    return { issues: [...issues.values()] };
  }
  const root = document.contents;
  if (root === null || (isScalar(root) && root.value === null)) {
    return mayBeEmpty ? { tree: nothing, issues: [] } : failure('the file is empty');
  }
  return new Reader(placeAt).read(root);
}

const startOfFile: FilePlace = { from: 'file', line: 1, column: 1, length: 1 };
const nothing: Tree = { kind: 'scalar', value: null, place: startOfFile };

/** Whether lists or blocks nest beyond `maxDepth`; without recursion. */
function nestedTooDeeply(text: string): boolean {
  let flow = 0;
  let inLine = 0;
  let isText = false;
  for (const token of new Lexer().lex(text)) {
    if (!isText) {
      if (token === '[' || token === '{') flow++;
      else if ((token === ']' || token === '}') && flow > 0) flow--;
      else if (token === '-' || token === '?') inLine++;
      else if (token === '\n' || token === '\r\n') inLine = 0;
      // Every level of a block is indented by at least one space.
      else if (/^ +$/.test(token) && inLine === 0 && token.length > 4 * maxDepth) return true;
      if (flow > maxDepth || inLine > maxDepth) return true;
    }
    isText = token === '\u001f';
  }
  return false;
}

/** Converts the nodes of a document into a tree. */
class Reader {
  readonly #issues: ConfigIssue[] = [];
  readonly #comments: ConfigIssue[] = [];
  readonly #open = new Set<Node>();
  readonly #anchors = new Map<string, Node>();
  readonly #targets = new Map<Alias, Node>();
  #nodes = 0;

  constructor(private readonly placeAt: (start: number, end: number) => FilePlace) {}

  read(root: Node): { tree?: Tree; issues: ConfigIssue[] } {
    const tree = this.#tree(root, []);
    // Such a comment makes what follows it part of a value: other issues would be misleading.
    if (this.#comments.length > 0) return { issues: this.#comments };
    if (this.#nodes > maxNodes) {
      const message = `its aliases expand to more than ${maxNodes} values`;
      return { issues: [{ path: [], message, place: startOfFile }] };
    }
    return { tree, issues: this.#issues };
  }

  #place(node: Node): FilePlace {
    const [start, end] = node.range ?? [0, 1];
    return this.placeAt(start, end);
  }

  #tree(node: unknown, path: Path): Tree {
    this.#nodes++;
    if (this.#nodes > maxNodes || !isNode(node)) return nothing;
    if (path.length > maxDepth) return this.#refuse(path.slice(0, 1), node, tooDeep);
    if (isAlias(node)) return this.#alias(node, path);
    if (node.anchor) this.#anchors.set(node.anchor, node);
    if (isMap(node)) return this.#inside(node, path, () => this.#block(node, path));
    if (isSeq(node)) {
      return this.#inside(node, path, () => ({
        kind: 'list',
        place: { ...this.#place(node), length: 1 },
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
      // When an alias is expanded again, the anchor may have been redefined.
      this.#targets.set(alias, target);
      return this.#tree(target, path);
    }
    const hint = didYouMean(alias.source, [...this.#anchors.keys()]);
    const message = `there is no anchor "&${alias.source}" above this line${hint}`;
    return this.#refuse(path, alias, message);
  }

  /** Adds an issue; null takes the place of the value. */
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
        merged.push(...this.#mergeSources(pair, path));
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
        this.#comments.push({ path: [], place: { ...place, length: 2 }, message });
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
    // Explicit keys take precedence over merged ones, and earlier sources over later ones.
    for (const source of merged) {
      for (const [name, entry] of source.entries) {
        if (!entries.has(name)) entries.set(name, entry);
      }
    }
    const first = map.flow ? undefined : [...entries.values()][0]?.key;
    // Of several lines, only the first character is marked.
    return { kind: 'block', place: first ?? { ...this.#place(map), length: 1 }, entries };
  }

  /** The blocks of `<<: *a` or `<<: [*a, *b]`. */
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
