import type { MethodDefinition } from '../core/methods/method.js';
import { methods } from '../core/methods/registry.js';
import type { ConfigIssue } from './issues.js';
import type { Block, Entry, Path, Tree } from './tree.js';

/** What old names in a config come to: mistakes, and names that were replaced by today's. */
export interface Renames {
  readonly issues: ConfigIssue[];
  readonly warnings: ConfigIssue[];
}

/**
 * Replaces the names of fields and values that methods declare as renamed (`MethodDefinition.renamed`),
 * so that configs of earlier versions keep working. An override wins over the file, whichever names
 * the two use.
 */
export function replaceOldNames(
  root: Block,
  known: readonly MethodDefinition[] = methods,
): Renames {
  const renames: Renames = { issues: [], warnings: [] };
  const list = root.entries.get('methods')?.value;
  for (const [i, entry] of (list?.kind === 'list' ? list.items : []).entries()) {
    if (entry.kind === 'block') renameIn(entry, ['methods', i], renames, known);
  }
  // An anchor that several methods use is one place.
  const seen = new Set<string>();
  const isFirst = ({ place, message }: ConfigIssue) =>
    seen.size < seen.add(JSON.stringify([place, message])).size;
  return { ...renames, warnings: renames.warnings.filter(isFirst) };
}

function renameIn(
  { entries }: Block,
  path: Path,
  { issues, warnings }: Renames,
  known: readonly MethodDefinition[],
): void {
  const textOf = (field: string) => {
    const node = entries.get(field)?.value;
    return node?.kind === 'scalar' ? node.value : undefined;
  };
  const renameValues = (field: string, names: Readonly<Record<string, string>>) => {
    const given = entries.get(field);
    if (given === undefined) return;
    const replaced = (node: Tree): Tree => {
      if (node.kind === 'list') return { ...node, items: node.items.map(replaced) };
      if (node.kind === 'block' || !Object.hasOwn(names, String(node.value))) return node;
      const value = names[String(node.value)];
      const message = `${node.value} is now called ${value}; the old name still works`;
      warnings.push({ path: [...path, field], message, place: node.place });
      return { ...node, value };
    };
    entries.set(field, { ...given, value: replaced(given.value) });
  };

  const named = known.filter(({ name }) => name === textOf('name'));
  // First, since it says whose fields these are.
  for (const { renamed } of named) renameValues('solver', renamed?.values?.solver ?? {});
  const solver = textOf('solver');
  const own = named.filter((method) =>
    solver === undefined ? method.isDefault || !method.solver : method.solver === solver,
  );
  const isOld = (field: string) => own.every(({ schema }) => !Object.hasOwn(schema.shape, field));
  const take = (field: string): Entry | undefined => {
    const entry = isOld(field) ? entries.get(field) : undefined;
    if (entry) entries.delete(field);
    return entry;
  };
  for (const { renamed } of own) {
    for (const [field, now] of Object.entries(renamed?.fields ?? {})) {
      const given = take(field);
      if (given === undefined) continue;
      const other = entries.get(now);
      const at = { path: [...path, field], place: given.key };
      if (other?.key.from === given.key.from) {
        const message = `is the old name of ${now}, which is given too; remove one of them`;
        issues.push({ ...at, message });
      } else {
        if (other?.key.from !== 'command line') entries.set(now, given);
        warnings.push({ ...at, message: `is now called ${now}; the old name still works` });
      }
    }
    for (const [field, instead] of Object.entries(renamed?.removed ?? {})) {
      const given = take(field);
      if (given === undefined) continue;
      issues.push({
        path: [...path, field],
        message: `was removed; ${instead}`,
        place: given.key,
      });
    }
    for (const [field, names] of Object.entries(renamed?.values ?? {})) renameValues(field, names);
  }
}

/** Whether a method has a field, under this name or under a new one. */
export const hasField = ({ schema, renamed }: MethodDefinition, field: string): boolean =>
  Object.hasOwn(schema.shape, field) || Object.hasOwn(renamed?.fields ?? {}, field);
