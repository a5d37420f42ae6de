import type { Path } from './tree.js';

/** Paths of values that must not be relied on. */
export class PathSet {
  readonly #members = new Set<string>();
  readonly #around = new Set<string>();

  constructor(paths: Iterable<Path> = []) {
    for (const path of paths) this.add(path);
  }

  add(path: Path): void {
    this.#members.add(JSON.stringify(path));
    for (const prefix of prefixes(path)) this.#around.add(prefix);
  }

  /** Whether the value at `path` is a member, lies inside one, or has one inside. */
  touches(path: Path): boolean {
    const own = prefixes(path);
    return own.some((prefix) => this.#members.has(prefix)) || this.#around.has(own[path.length]);
  }
}

/** From the root to the path itself. */
function prefixes(path: Path): string[] {
  return Array.from({ length: path.length + 1 }, (_, end) => JSON.stringify(path.slice(0, end)));
}
