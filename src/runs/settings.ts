import { replaceOldNames } from '../config/renamed.js';
import { plain } from '../config/tree.js';
import { parseYaml } from '../config/yaml.js';
import { type Problem, problem, type RunDirectory } from './run-directory.js';

export type Setting = string | number | boolean | null;

/**
 * Reads the settings of a resolved config.yaml, by the names of overrides: `epochs`, `dataset.name`,
 * `methods.LABEL.learningRate`. Lists of plain values are one setting, `[1, 2]`. Old names of earlier
 * versions are replaced; nothing is checked.
 * @throws Error (message without the path) when the text is not a config
 */
export function readSettings(text: string): ReadonlyMap<string, Setting> {
  const { tree, issues } = parseYaml(text);
  if (tree === undefined || issues.length > 0) {
    throw new Error(`cannot be read (${issues[0]?.message ?? 'it is empty'})`);
  }
  if (tree.kind === 'block') replaceOldNames(tree);
  return leavesOf(plain(tree));
}

/** The plain values in a tree of objects and lists, by path; a list of plain values is one value. */
export function leavesOf(tree: unknown): ReadonlyMap<string, Setting> {
  const leaves = new Map<string, Setting>();
  collect(tree, [], leaves);
  return leaves;
}

/** The settings of a run directory; none, and an additional problem, where its config.yaml cannot be read. */
export function settingsOf(
  { path, config }: RunDirectory,
  problems: Problem[],
): ReadonlyMap<string, Setting> {
  if (config === undefined) return new Map();
  try {
    return readSettings(config);
  } catch (error) {
    const file = `${path}/config.yaml`;
    problems.push(problem(file, `${file}: ${(error as Error).message}`));
    return new Map();
  }
}

function collect(value: unknown, path: readonly string[], into: Map<string, Setting>): void {
  if (typeof value !== 'object' || value === null) {
    if (path.length > 0) into.set(path.join('.'), value as Setting);
  } else if (Array.isArray(value) && !value.some(isCollection)) {
    into.set(path.join('.'), `[${value.join(', ')}]`);
  } else {
    for (const [key, item] of Object.entries(value)) {
      collect(item, [...path, labelOf(item, path) ?? key], into);
    }
  }
}

/** Methods are named by their labels, as in overrides. */
function labelOf(item: unknown, path: readonly string[]): string | undefined {
  if (path.length !== 1 || path[0] !== 'methods' || !isCollection(item)) return undefined;
  const { label, name } = item as { label?: unknown; name?: unknown };
  return [label, name].find((text) => typeof text === 'string') as string | undefined;
}

const isCollection = (value: unknown): boolean => typeof value === 'object' && value !== null;
