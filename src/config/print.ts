import { Document, isCollection, visit } from 'yaml';
import type { Experiment } from './experiment.js';
import type { LoadedExperiment } from './load.js';
import { type Path, pathText, type Tree } from './tree.js';
import { parseYaml } from './yaml.js';

/** The resolved config as YAML. Loading it again gives an experiment with the same hash. */
export const resolvedYaml = ({ resolved }: Pick<Experiment, 'resolved'>): string =>
  configYaml(resolved);

/**
 * A config as YAML.
 * @param edit adds comments to it
 */
export function configYaml(
  config: Readonly<Record<string, unknown>>,
  edit: (document: Document) => void = () => {},
): string {
  const document = new Document(config, { aliasDuplicateObjects: false });
  // Layers, expectations and lists of numbers take one line each.
  visit(document, {
    Seq(_, node) {
      node.flow = !node.items.some(isCollection);
    },
    Map(_, node, ancestors) {
      const isDeep = ancestors.filter(isCollection).length > 1;
      const isShort =
        node.items.length <= 3 && !node.items.some(({ value }) => isCollection(value));
      node.flow = node.items.length === 0 || (isDeep && isShort);
    },
  });
  edit(document);
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
}

/** The resolved config with the origin of every value as an aligned comment. */
export function printConfig({ experiment, origins }: LoadedExperiment): string {
  const text = resolvedYaml(experiment);
  const lines = text.trimEnd().split('\n');
  const byLine = originsByLine(parseYaml(text).tree, origins);
  const widths = lines.filter((_, i) => byLine.has(i)).map((line) => line.length);
  const column = Math.min(72, Math.max(0, ...widths)) + 2;
  const commented = lines.map((line, i) => {
    const notes = byLine.get(i);
    return notes ? `${line.padEnd(column - 1)} # ${describe(notes)}` : line;
  });
  return `${commented.join('\n')}\n`;
}

type Notes = Map<string, string[]>;

/** Line number, from 0 -> origin -> names of the values with this origin. */
function originsByLine(
  tree: Tree | undefined,
  origins: Readonly<Record<string, string>>,
): Map<number, Notes> {
  const byLine = new Map<number, Notes>();
  const walk = (node: Tree, path: Path): void => {
    const origin = origins[pathText(path)];
    if (origin !== undefined && node.place.from === 'file') {
      const notes = byLine.get(node.place.line - 1) ?? new Map<string, string[]>();
      notes.set(origin, [...(notes.get(origin) ?? []), String(path.at(-1))]);
      byLine.set(node.place.line - 1, notes);
    } else if (node.kind === 'list') {
      for (const [i, item] of node.items.entries()) walk(item, [...path, i]);
    } else if (node.kind === 'block') {
      for (const [key, { value }] of node.entries) walk(value, [...path, key]);
    }
  };
  if (tree) walk(tree, []);
  return byLine;
}

/** The names of the values are given only where a line has several origins. */
function describe(notes: Notes): string {
  if (notes.size === 1) return [...notes.keys()][0];
  return [...notes].map(([origin, names]) => `${names.join(', ')}: ${origin}`).join('; ');
}
