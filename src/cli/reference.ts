import { basename } from 'node:path';
import type { LayerType } from '../config/plugins/entries.js';
import { builtIn, type LoadedPlugin, type Registry } from '../config/plugins/registry.js';
import { jsonSchemaOf, schemaWith } from '../config/schema.js';
import type { FieldAdvice, SearchedValues } from '../core/methods/fields.js';
import type { MethodDefinition } from '../core/methods/method.js';
import { layersColumns, metricsColumns, runFiles, tuningColumns } from '../runs/columns.js';
import { SweepSchema } from '../sweep/schema.js';

/** A config field, a column of a CSV file, or a file of a run directory. */
export interface Entry {
  /** Path of a field as in an override, name of a column, or path of a file. */
  readonly name: string;
  readonly description: string;
  /** Type with its limits; of fields alone. */
  readonly type?: string;
  /** As JSON; absent where a field has no default. */
  readonly default?: string;
  readonly isRequired?: boolean;
  /** What to try in tuning, and when training fails. */
  readonly advice?: readonly string[];
  /** Values of an enumeration. */
  readonly values?: readonly string[];
}

/** Entries that are explained together. */
export interface Section {
  /** What `fln explain` takes, e.g. `methods.fenchel`; several solvers of a method have the same. */
  readonly name: string;
  /** Of a method that has several; the default one is listed first. */
  readonly solver?: string;
  readonly title: string;
  readonly text?: string;
  readonly entries: readonly Entry[];
}

type Node = { readonly [key: string]: unknown } & FieldAdvice;

/** Everything that a user writes or reads, from the schemas that validate it. */
export function reference(registry: Registry = builtIn): Section[] {
  const schema = jsonSchemaOf(schemaWith(registry)) as Node;
  const { methods: _, ...experiment } = schema.properties as Record<string, Node>;
  const required = schema.required as string[];
  const layers = registry.plugins.flatMap(({ entries }) => entries.layers.map(layerSection));
  // Here the keys of plugins' layers have no type.
  const isOfLayer = ({ name, type }: Entry) =>
    type === 'any value' && layers.some(({ entries }) => entries.some((own) => own.name === name));
  return [
    {
      name: 'experiment',
      title: 'Experiment files',
      text: 'Fields of the config that `fln run` takes; each can be set on the command line as `path=value`.',
      entries: fieldsOf(experiment, required, '').filter((entry) => !isOfLayer(entry)),
    },
    ...registry.methods.map(methodSection),
    ...layers,
    ...registry.plugins.map(pluginSection),
    {
      name: 'sweep',
      title: 'Sweep files',
      text: 'Fields of the file that `fln sweep` takes.',
      entries: fieldsIn(jsonSchemaOf(SweepSchema) as Node, ''),
    },
    {
      name: 'metrics.csv',
      title: 'Columns of metrics.csv',
      text: 'One row per training step; a column that a method does not measure is empty. After the common columns come those of the method.',
      entries: described(metricsColumns),
    },
    {
      name: 'layers.csv',
      title: 'Columns of layers.csv',
      text: 'One row per evaluated step and layer of a lifted method (docs/layers.md); a column is empty where there is nothing to measure.',
      entries: described(layersColumns),
    },
    {
      name: 'tuning.csv',
      title: 'Columns of tuning.csv',
      text: 'The record of `fln tune`, one row per trial (docs/tuning.md); a field that a method does not search is empty.',
      entries: described(tuningColumns),
    },
    {
      name: 'files',
      title: 'Files of a run directory',
      text: '`results/NAME/CONFIG-HASH/`, or `--out DIR`.',
      entries: described(runFiles),
    },
  ];
}

function methodSection({
  name,
  solver,
  isDefault,
  summary,
  schema,
  presets,
}: MethodDefinition): Section {
  const kind = solver === undefined ? '' : ` (solver ${solver}${isDefault ? ', the default' : ''})`;
  const named = Object.keys(presets ?? {});
  const preset = named.length > 0 ? ` Presets: ${named.join(', ')}.` : '';
  return {
    name: `methods.${name}`,
    ...(solver !== undefined && { solver }),
    title: `Method ${name}${kind}`,
    text: `${summary[0].toUpperCase()}${summary.slice(1)}.${preset}`,
    entries: fieldsIn(jsonSchemaOf(schema) as Node, `methods.${name}.`),
  };
}

/** Sections of what one plugin defines. */
export const sectionsOfPlugin = (
  sections: readonly Section[],
  { file, entries }: LoadedPlugin,
): Section[] => {
  const names = [
    basename(file),
    ...entries.methods.map(({ name }) => `methods.${name}`),
    ...entries.layers.map(({ name }) => `layers.${name}`),
  ];
  return names.flatMap((name) => sections.filter((section) => section.name === name));
};

function pluginSection({ file, entries }: LoadedPlugin): Section {
  const { methods, activations, losses, layers, datasets } = entries;
  return {
    name: basename(file),
    title: `Plugin ${file}`,
    entries: [
      ...methods.map(({ name, summary }) => ({ name: `method ${name}`, description: summary })),
      ...activations.map(({ name, maxSlope, proximal }) => ({
        name: `activation ${name}`,
        description: `largest slope ${maxSlope}${proximal ? '; has a proximal operator' : ''}`,
      })),
      ...losses.map(({ name, curvature }) => ({
        name: `loss ${name}`,
        description: `largest curvature ${curvature}`,
      })),
      ...layers.map(({ name, summary }) => ({ name: `layer ${name}`, description: summary })),
      ...datasets.map(({ name, title, shape, classes, trainSize, testSize }) => ({
        name: `dataset ${name}`,
        description: [
          title,
          shape.join(' x '),
          `${classes} classes`,
          `${trainSize} training rows`,
          `${testSize} test rows`,
        ].join('; '),
      })),
    ],
  };
}

const layerSection = ({ name, summary, schema }: LayerType): Section => ({
  name: `layers.${name}`,
  title: `Layer ${name}`,
  text: `${summary[0].toUpperCase()}${summary.slice(1)}.`,
  entries: fieldsIn(jsonSchemaOf(schema) as Node, 'network.layers.N.'),
});

const described = (texts: Readonly<Record<string, string>>): Entry[] =>
  Object.entries(texts).map(([name, description]) => ({ name, description }));

const fieldsIn = ({ properties, required }: Node, prefix: string): Entry[] =>
  fieldsOf((properties ?? {}) as Record<string, Node>, (required ?? []) as string[], prefix);

/** The fields of a block, and those of the blocks in it. */
function fieldsOf(
  properties: Readonly<Record<string, Node>>,
  required: readonly string[],
  prefix: string,
): Entry[] {
  return Object.entries(properties).flatMap(([key, node]): Entry[] => {
    const name = `${prefix}${key}`;
    const entry: Entry = {
      name,
      description: String(node.description ?? ''),
      type: typeText(node),
      isRequired: required.includes(key),
      ...(node.default !== undefined && { default: JSON.stringify(node.default) }),
      ...(adviceText(node).length > 0 && { advice: adviceText(node) }),
      ...(Array.isArray(node.enum) && { values: node.enum.map(String) }),
    };
    return [entry, ...innerFields(node, name)];
  });
}

/** Fields of a block, of the blocks of a list (`N`) and of those of a map (`LABEL`). */
function innerFields(node: Node, name: string): Entry[] {
  if (node.properties) return fieldsIn(node, `${name}.`);
  if (node.items && !Array.isArray(node.items)) return innerFields(node.items as Node, `${name}.N`);
  const { additionalProperties: values } = node;
  if (typeof values === 'object' && values !== null)
    return innerFields(values as Node, `${name}.KEY`);
  return ((node.anyOf ?? []) as Node[]).flatMap((form) => innerFields(form, name));
}

/** `positive integer`, `relu | tanh`, `number > 0 or list of number > 0` */
function typeText(node: Node): string {
  if (Array.isArray(node.enum)) return node.enum.join(' | ');
  if (node.const !== undefined) return String(node.const);
  if (Array.isArray(node.anyOf))
    return [...new Set((node.anyOf as Node[]).map(typeText))].join(' or ');
  switch (node.type) {
    case 'array':
      return Array.isArray(node.items)
        ? `[${(node.items as Node[]).map(typeText).join(', ')}]`
        : `list of ${typeText((node.items ?? {}) as Node)}`;
    case 'object':
      return node.properties ? 'block' : 'map';
    case 'integer':
    case 'number':
      return numberText(node);
    default:
      return typeof node.type === 'string' ? node.type : 'any value';
  }
}

/** Limits that only exclude overflow are not printed. */
const farAway = 1e30;

function numberText({ type, minimum, exclusiveMinimum, maximum, exclusiveMaximum }: Node): string {
  const limit = (sign: string, value: unknown) =>
    typeof value === 'number' && Math.abs(value) < farAway ? [`${sign} ${value}`] : [];
  if (type === 'integer' && exclusiveMinimum === 0 && maximum === undefined)
    return 'positive integer';
  const limits = [
    ...limit('>=', minimum),
    ...limit('>', exclusiveMinimum),
    ...limit('<=', maximum),
    ...limit('<', exclusiveMaximum),
  ];
  return [String(type), ...(limits.length > 0 ? [limits.join(' and ')] : [])].join(' ');
}

function adviceText({ tune, whenDiverging, whenSingular, whenUnstable }: Node): string[] {
  return [
    ...(tune ? [`\`fln tune\` tries ${searchedText(tune)}`] : []),
    ...(whenDiverging ? [`when training diverges, try a ${whenDiverging} value`] : []),
    ...(whenSingular ? [`when a matrix is singular, try a ${whenSingular} value`] : []),
    ...(whenUnstable ? [`when training is unstable, try a ${whenUnstable} one`] : []),
  ];
}

/** `0.01 to 1, log-uniform`; `0, 0.5, 0.9` */
function searchedText(tune: SearchedValues): string {
  if (!('range' in tune)) return tune.map((value) => JSON.stringify(value)).join(', ');
  const { range, scale = 'linear', integer = false } = tune;
  const spacing = scale === 'log' ? 'log-uniform' : 'uniform';
  return `${range.join(' to ')}, ${spacing}${integer ? ', whole numbers' : ''}`;
}

/**
 * The sections and entries that a name means: a section, a field by its path, everything in a block, or a
 * field or column by its last name wherever it occurs.
 * @param name as the user wrote it; `methods.LABEL.FIELD` with a method's name as its label
 * @returns empty when there is none
 */
export function lookUp(sections: readonly Section[], name: string): Section[] {
  const whole = sections.filter((section) => section.name === name);
  if (whole.length > 0) return whole;
  const matching = (matches: (entry: Entry) => boolean) =>
    sections
      .map((section) => ({ ...section, entries: section.entries.filter(matches) }))
      .filter(({ entries }) => entries.length > 0);
  const wanted = name.replace(/\.\d+(?=\.|$)/g, '.N');
  const byPath = matching((entry) => entry.name === wanted || entry.name.startsWith(`${wanted}.`));
  if (byPath.length > 0) return byPath;
  return matching(
    (entry) => entry.name.split(/[./ ]/).at(-1) === wanted || entry.name.endsWith(`/${wanted}`),
  );
}

/** Names that {@link lookUp} finds, for suggestions. */
export const knownNames = (sections: readonly Section[]): string[] => [
  ...new Set(
    sections.flatMap(({ name, entries }) => [
      name,
      ...entries.flatMap((entry) => [entry.name, entry.name.split('.').at(-1) as string]),
    ]),
  ),
];

/**
 * How an override that is being typed may continue: `methods.` -> `methods.adam.`, `loss=m` -> `loss=mse`.
 * Paths are completed up to the next dot.
 * @param config the plain data of the config: labels of its methods, number of its layers
 */
export function overrideCandidates(
  sections: readonly Section[],
  config: unknown,
  typed: string,
): string[] {
  const { methods: list, network } = Object(config) as Record<string, unknown>;
  const entries = (Array.isArray(list) ? list : []).map(Object);
  const layers: unknown[] = [Object(network).layers].flat();
  const labels: string[] = entries.map(({ name, label = name }) => String(label));
  const ofExperiment = (sections.find(({ name }) => name === 'experiment')?.entries ?? []).flatMap(
    (entry) =>
      entry.name.includes('.KEY')
        ? labels.map((label) => ({ ...entry, name: entry.name.replace('.KEY', `.${label}`) }))
        : layers.map((_, i) => ({ ...entry, name: entry.name.replace('.N', `.${i}`) })),
  );
  const ofMethods = entries.flatMap(({ name, solver }, i) => {
    const named = sections.filter((section) => section.name === `methods.${name}`);
    const section = named.find((one) => one.solver === solver) ?? named[0];
    const path = `methods.${labels[i]}`;
    return (section?.entries ?? []).map((entry) => ({
      ...entry,
      name: entry.name.replace(`methods.${name}`, path),
    }));
  });
  const fields = [...ofExperiment, ...ofMethods].filter(
    ({ name, type }) => type !== 'block' && type !== 'map' && !name.startsWith('$'),
  );
  const values = fields.flatMap((field) =>
    (field.values ?? (field.type === 'boolean' ? ['true', 'false'] : [])).map(
      (value) => `${field.name}=${value}`,
    ),
  );
  const nextDot = ({ name }: Entry) => {
    const dot = name.indexOf('.', typed.length);
    return dot < 0 ? `${name}=` : name.slice(0, dot + 1);
  };
  const all = typed.includes('=')
    ? values
    : fields.filter(({ name }) => name.startsWith(typed)).map(nextDot);
  return [...new Set(all.filter((text) => text.startsWith(typed)))];
}

/** The whole reference as Markdown: docs/reference.md. */
export function referenceMarkdown(sections: readonly Section[]): string {
  const cell = (text: string) => text.replaceAll('|', '&#124;').replaceAll('<', '&lt;');
  const parts = sections.map(({ title, text, entries }) => {
    const hasTypes = entries.some(({ type }) => type !== undefined);
    const head = hasTypes
      ? ['| field | type | default | meaning |', '|---|---|---|---|']
      : ['| name | meaning |', '|---|---|'];
    const rows = entries.map((entry) => {
      const meaning = [entry.description, ...(entry.advice ?? [])].filter(Boolean).join('; ');
      const standard = entry.isRequired ? 'required' : (entry.default ?? '');
      return hasTypes
        ? `| \`${entry.name}\` | ${cell(entry.type ?? '')} | ${cell(standard)} | ${cell(meaning)} |`
        : `| \`${entry.name}\` | ${cell(meaning)} |`;
    });
    return [`## ${title}`, ...(text ? [text] : []), [...head, ...rows].join('\n')].join('\n\n');
  });
  return `${[
    '# Reference',
    'Written by `fln explain --markdown --out docs/reference.md` from the schemas that validate the files; `fln explain NAME` prints a part of it. In paths, `N` is a number of a list and `KEY` a key of a map.',
    ...parts,
  ].join('\n\n')}\n`;
}
