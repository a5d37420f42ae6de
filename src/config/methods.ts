import type { MethodDefinition, NetworkShape } from '../core/methods/method.js';
import { fillIn, methodVariant, misfitsOf } from '../core/methods/registry.js';
import { suggest } from '../shared/suggest.js';
import type { ResolvedMethod } from './experiment.js';
import { builtIn, type Registry } from './plugins/registry.js';
import { hasField } from './renamed.js';
import { ExperimentSchema } from './schema.js';
import { type Path, plain } from './tree.js';
import { type Finding, validate } from './validate.js';
import { notOneOf } from './wording.js';
import { parseYaml } from './yaml.js';

/** One entry of `methods` with its defaults filled in, or the reasons why it cannot be used. */
export interface MethodResolution {
  readonly method?: Omit<ResolvedMethod, 'epochs' | 'batchSize'>;
  readonly findings: readonly Finding[];
  /** Where the value of a field that the file does not give comes from. */
  readonly fallback: (field: string) => string;
}

/**
 * Finds the schema for an entry's name and solver, and fills in what the entry leaves open (`fillIn`).
 *
 * @param network undefined when the network itself is not usable
 * @param registry the methods that the config may use
 */
export function resolveMethod(
  entry: unknown,
  path: Path,
  network: NetworkShape | undefined,
  { methods }: Pick<Registry, 'methods'> = builtIn,
): MethodResolution {
  const nowhere = () => 'default';
  const definition = findDefinition(entry, path, methods);
  if (isFinding(definition)) return { findings: [definition], fallback: nowhere };
  const explicit = entry as Record<string, unknown>;
  const { findings } = validate(definition.schema, explicit);
  const wrong = new Set(findings.map((found) => String(found.path[0])));
  // Fields that are right by themselves are still checked against the network.
  const usable = Object.fromEntries(Object.entries(explicit).filter(([key]) => !wrong.has(key)));

  const { filled, presetValues, networkValues } = fillIn(definition, usable, network);
  const ofNetwork = (network && definition.defaults?.(network)) ?? {};
  const alone = findings.map((found) => locate(found, path, definition, methods));
  const parsed = definition.schema.safeParse(filled);
  if (!parsed.success) {
    // A field without a default is missing, or a preset or the network's default is wrong.
    const [{ path: inside, message }] = parsed.error.issues;
    const text = `the value of ${inside.join('.')} from the method's presets or defaults is not valid: ${message}`;
    const found: Finding[] = alone.length > 0 ? alone : [{ path, message: text, at: 'value' }];
    return { findings: found, fallback: nowhere };
  }
  const config = parsed.data;
  const fallback = (field: string) => {
    if (field === 'label') return "default: the method's name";
    if (Object.hasOwn(presetValues, field)) return `preset ${usable.preset}`;
    if (Object.hasOwn(ofNetwork, field)) return 'default for this network';
    return Object.hasOwn(networkValues, field) ? 'default with the other fields' : 'default';
  };

  // What is said of a field that is wrong anyway would be said of the value that stands in for it.
  const speaksOfWrong = (text: string) => [...wrong].some((field) => text.includes(field));
  const misfits = network ? misfitsOf(definition, config, network) : [];
  const inContext = misfits
    .filter(({ path: [field], message }) => !speaksOfWrong(`${field} ${message}`))
    .map(({ path: [field, ...rest], message }): Finding => {
      if (Object.hasOwn(explicit, field)) {
        return { path: [...path, field, ...rest], message, at: 'value' };
      }
      if (Object.hasOwn(presetValues, field)) {
        const words = `sets ${field}, which ${message}; give ${field} a value of your own`;
        return { path: [...path, 'preset'], message: words, at: 'value' };
      }
      return { path, message: `the default of ${field} ${message}; give it a value`, at: 'value' };
    });
  return {
    method: { label: String(filled.label), definition, config: config as ResolvedMethod['config'] },
    findings: [...alone, ...inContext],
    fallback: alone.length > 0 ? nowhere : fallback,
  };
}

function findDefinition(
  entry: unknown,
  path: Path,
  methods: readonly MethodDefinition[],
): MethodDefinition | Finding {
  const names = [...new Set(methods.map(({ name }) => name))];
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
    const example = typeof entry === 'string' && names.includes(entry) ? entry : names[0];
    return { path, message: `must be a block; write { name: ${example} }`, at: 'value' };
  }
  const { name, solver } = entry as Record<string, unknown>;
  const at = 'value';
  if (name === undefined) {
    return { path: [...path, 'name'], message: `is missing; it is one of ${names.join(', ')}`, at };
  }
  const named = methods.filter((definition) => definition.name === name);
  if (named.length === 0) {
    return { path: [...path, 'name'], message: notOneOf(names, name), at };
  }
  const solvers = named.flatMap((variant) => variant.solver ?? []);
  if (solver === undefined || solvers.length === 0) {
    return named.find(({ isDefault }) => isDefault) ?? named[0];
  }
  const chosen = named.find((variant) => variant.solver === solver);
  return chosen ?? { path: [...path, 'solver'], message: notOneOf(solvers, solver), at };
}

/**
 * Says of a key that the experiment does not have in which of its methods it is a field, and with
 * which solver, or that it is a method; undefined when it is neither.
 * @param entries of `methods`, as they were written
 */
export function homeOfField(
  key: string,
  entries: readonly unknown[],
  { methods }: Pick<Registry, 'methods'> = builtIn,
): string | undefined {
  const having = methods.filter((method) => hasField(method, key));
  const labels = entries.map((entry) => Object(entry).label ?? Object(entry).name);
  if (labels.includes(key)) return `is a method: its fields are set as methods.${key}.FIELD`;
  if (having.length === 0) {
    const fields = new Set(methods.flatMap(({ schema }) => Object.keys(schema.shape)));
    const near = suggest(key, [...fields]);
    const known = suggest(key, Object.keys(ExperimentSchema.shape));
    if (near === undefined || known !== undefined) return undefined;
    return `unknown key; did you mean "${near}"? It ${homeOfField(near, entries, { methods })}`;
  }
  const places = entries.flatMap((entry, i): string[] => {
    const definition = findDefinition(entry, ['methods', i], methods);
    if (isFinding(definition)) return [];
    const { label = definition.name } = entry as { label?: string };
    const place = `methods.${label}.${key}`;
    if (having.includes(definition)) {
      return [`${place}${definition.solver === undefined ? '' : ` (solver ${definition.solver})`}`];
    }
    const others = having.filter(({ name }) => name === definition.name);
    const solvers = others.flatMap(({ solver }) => solver ?? []);
    return solvers.length > 0
      ? [`${place} with methods.${label}.solver=${solvers.join(' or ')}`]
      : [];
  });
  if (places.length > 0) return `is a field of a method: ${places.join(', ')}`;
  const owners = having.map(({ name, solver }) => (solver ? `${name} (solver ${solver})` : name));
  return `is a field of ${[...new Set(owners)].join(', ')}, which ${owners.length === 1 ? 'is' : 'are'} not among the methods of this config`;
}

function isFinding(value: MethodDefinition | Finding): value is Finding {
  return 'message' in value;
}

/** Moves a finding under `path`, and says where a misplaced setting belongs. */
function locate(
  finding: Finding,
  path: Path,
  definition: MethodDefinition,
  methods: readonly MethodDefinition[],
): Finding {
  const moved = { ...finding, path: [...path, ...finding.path] };
  if (finding.at !== 'key' || finding.path.length !== 1) return moved;
  const key = String(finding.path[0]);
  const sibling = methods.find(
    (method) => method.name === definition.name && hasField(method, key),
  );
  if (sibling) {
    const message = `belongs to solver ${sibling.solver}, and this is solver ${definition.solver}`;
    return { ...moved, message };
  }
  if (Object.hasOwn(ExperimentSchema.shape, key)) {
    return { ...moved, message: 'belongs at the top level of the file: it holds for all methods' };
  }
  return moved;
}

/**
 * Which algorithm each label of a config.yaml trains, where the method's name does not say it
 * (`methodVariant`). Nothing is checked, so that results of earlier versions are labelled too; a text
 * that is no config has none.
 */
export function methodVariants(config: string): ReadonlyMap<string, string> {
  const variants = new Map<string, string>();
  const tree = parseYaml(config).tree;
  const methods = tree && (plain(tree) as { methods?: unknown } | null)?.methods;
  for (const method of Array.isArray(methods) ? methods : []) {
    const variant = methodVariant(Object(method));
    if (variant !== undefined) variants.set(String(method.label ?? method.name), variant);
  }
  return variants;
}
