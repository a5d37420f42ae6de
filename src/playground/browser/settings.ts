import {
  datasetSizes,
  type Field,
  type MethodEntry,
  type MethodForm,
  mostUnits,
  type PageData,
  type PlaygroundExperiment,
  playgroundDatasets,
} from '../protocol.js';
import { control } from './control.js';
import { make } from './dom.js';
import { curveStyle } from './plot.js';

/**
 * The settings: sliders, menus and switches for the fields of the experiment, with the names, limits and
 * descriptions of the config. `change` is called with the experiment that results.
 */
export function drawSettings(
  container: HTMLElement,
  data: PageData,
  experiment: PlaygroundExperiment,
  change: (next: PlaygroundExperiment) => void,
): void {
  const opened = new Set(
    [...container.querySelectorAll('details[open]')].map(
      (one) => (one as HTMLElement).dataset.name,
    ),
  );
  const focused = container.contains(document.activeElement) && document.activeElement?.id;
  container.replaceChildren(
    networkSettings(data, experiment, change),
    ...experiment.methods.map((_, i) => methodSettings(data, experiment, i, change)),
    addMethod(data, experiment, change),
    runSettings(data, experiment, change),
  );
  for (const details of container.querySelectorAll('details')) {
    if (opened.has(details.dataset.name)) details.open = true;
  }
  if (!focused) return;
  // The control that was changed has been replaced by its like; a removed method has none.
  const like = container.querySelector<HTMLElement>(`#${CSS.escape(focused)}:enabled`);
  (like ?? container.querySelector<HTMLElement>('#method-0'))?.focus();
}

type Change = (next: PlaygroundExperiment) => void;

const mostHidden = 4;

const networkFields = {
  layers: {
    path: 'layers',
    description: 'hidden layers',
    kind: 'number',
    min: 0,
    max: mostHidden,
    isInteger: true,
    isRequired: true,
    slider: { from: 0, to: mostHidden, scale: 'linear' },
    isMain: true,
  },
  dense: {
    path: 'dense',
    description: 'units of fully connected layer',
    kind: 'number',
    min: 1,
    max: mostUnits,
    isInteger: true,
    isRequired: true,
    slider: { from: 4, to: 500, scale: 'log' },
    isMain: true,
  },
  activation: {
    path: 'activation',
    description: 'of every hidden layer',
    kind: 'choice',
    isMain: true,
  },
} as const satisfies Record<string, Field>;

function networkSettings(
  data: PageData,
  experiment: PlaygroundExperiment,
  change: Change,
): HTMLElement {
  const { layers } = experiment.network;
  const hidden = layers.slice(0, -1);
  const output = layers[layers.length - 1];
  const withHidden = (next: readonly (typeof output)[]) =>
    change({ ...experiment, network: { layers: [...next, output] } });
  const activation = hidden[0]?.activation ?? 'relu';
  const { layers: depth, dense: width } = networkFields;
  return make(
    'fieldset',
    {},
    make('legend', {}, 'Network'),
    control('network', depth, hidden.length, (count) => {
      const last = hidden[hidden.length - 1] ?? { dense: 100, activation };
      withHidden(Array.from({ length: Number(count) }, (_, l) => hidden[l] ?? last));
    }),
    ...hidden.map((layer, l) => {
      const field = { ...width, description: `${width.description} ${l + 1}` };
      return control(`network-${l}`, field, layer.dense, (dense) =>
        withHidden(hidden.with(l, { ...layer, dense: Number(dense) })),
      );
    }),
    control(
      'network',
      { ...networkFields.activation, options: data.activations },
      activation,
      (name) => withHidden(hidden.map((layer) => ({ ...layer, activation: String(name) }))),
    ),
    control('network', data.experimentFields.loss, experiment.loss, (loss) =>
      change({ ...experiment, loss: String(loss) }),
    ),
  );
}

const datasetField: Field = {
  path: 'dataset',
  description: 'generated digits, or the files of MNIST, which are dropped onto the page',
  kind: 'choice',
  options: playgroundDatasets,
  isMain: true,
};

function runSettings(
  { experimentFields: fields }: PageData,
  experiment: PlaygroundExperiment,
  change: Change,
): HTMLElement {
  const { dataset, evaluate, epochs, batchSize } = experiment;
  const setDataset = (next: object) => change({ ...experiment, dataset: { ...dataset, ...next } });
  return make(
    'fieldset',
    {},
    make('legend', {}, 'Run'),
    control('run', datasetField, dataset.name, (name) => {
      const limits = datasetSizes[name as keyof typeof datasetSizes];
      const limit = Math.min(dataset.limit, limits.train);
      setDataset({ name, limit, testLimit: Math.min(dataset.testLimit, limits.test) });
    }),
    control('run', fields.batchSize, batchSize, (value) =>
      change({ ...experiment, batchSize: Number(value) }),
    ),
    control('run', fields.epochs, epochs, (value) =>
      change({ ...experiment, epochs: Number(value) }),
    ),
    control('run', fields.limit, dataset.limit, (limit) => setDataset({ limit })),
    control('run', fields.testLimit, dataset.testLimit, (testLimit) => setDataset({ testLimit })),
    control('run', fields.every, evaluate.every, (every) =>
      change({ ...experiment, evaluate: { every: Number(every) } }),
    ),
  );
}

const labelOf = ({ label, name }: MethodEntry) => label ?? name;

/** The method of an entry. */
const formOf = ({ methods }: PageData, { name, solver }: MethodEntry): MethodForm | undefined =>
  methods.find(
    (form) =>
      form.name === name && form.solver === (solver === 'preconditioned' ? undefined : solver),
  );

const titleOf = ({ name, solver }: MethodForm) => (solver ? `${name}, ${solver}` : name);

function methodSettings(
  data: PageData,
  experiment: PlaygroundExperiment,
  index: number,
  change: Change,
): HTMLElement {
  const entry = experiment.methods[index];
  const label = labelOf(entry);
  const form = formOf(data, entry);
  const replace = (next?: MethodEntry) =>
    change({
      ...experiment,
      methods: experiment.methods.flatMap((other, i) => (i === index ? (next ?? []) : other)),
    });
  const menu = make(
    'select',
    { ariaLabel: `method ${index + 1}`, id: `method-${index}` },
    ...data.methods.map((one) =>
      make('option', { value: titleOf(one), selected: one === form }, titleOf(one)),
    ),
  );
  menu.addEventListener('change', () => {
    const chosen = data.methods.find((one) => titleOf(one) === menu.value);
    if (chosen)
      replace(
        entryOf(
          chosen,
          experiment.methods.filter((other) => other !== entry),
        ),
      );
  });
  const remove = make('button', {
    type: 'button',
    id: `remove-${index}`,
    ariaLabel: `remove ${label}`,
    textContent: 'Remove',
  });
  remove.disabled = experiment.methods.length === 1;
  remove.addEventListener('click', () => replace());
  const fields = (form?.fields ?? []).map((field) => ({
    field,
    element: control(`m${index}`, field, valueIn(entry, field.path), (value) =>
      replace(withValue(entry, field.path, value)),
    ),
  }));
  const part = (isMain: boolean) =>
    fields.filter(({ field }) => field.isMain === isMain).map(({ element }) => element);
  const dot = make('span', { className: 'dot' });
  dot.style.background = curveStyle(index, data.dashes.length);
  return make(
    'fieldset',
    { className: 'method' },
    make('legend', {}, dot, label),
    make('div', { className: 'row' }, menu, remove),
    make('p', { className: 'note' }, form?.summary ?? ''),
    ...part(true),
    make(
      'details',
      { dataset: { name: label } },
      make('summary', {}, 'more fields'),
      ...part(false),
    ),
  );
}

function addMethod(data: PageData, experiment: PlaygroundExperiment, change: Change): HTMLElement {
  const menu = make(
    'select',
    { ariaLabel: 'add a method', id: 'add-method' },
    make('option', { value: '' }, 'Add a method …'),
    ...data.methods.map((form) => make('option', { value: titleOf(form) }, titleOf(form))),
  );
  menu.disabled = experiment.methods.length >= data.dashes.length;
  menu.addEventListener('change', () => {
    const chosen = data.methods.find((form) => titleOf(form) === menu.value);
    if (chosen)
      change({
        ...experiment,
        methods: [...experiment.methods, entryOf(chosen, experiment.methods)],
      });
  });
  return make('p', {}, menu);
}

/** A new entry, with a label that no other has. */
function entryOf({ name, solver, start }: MethodForm, others: readonly MethodEntry[]): MethodEntry {
  const taken = new Set(others.map(labelOf));
  const base = solver ? `${name}-${solver}` : name;
  let label = base;
  for (let k = 2; taken.has(label); k++) label = `${base}-${k}`;
  return { name, ...(label !== name && { label }), ...(solver && { solver }), ...start };
}

function valueIn(entry: MethodEntry, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, key) => (Object(value) as Record<string, unknown>)[key], entry);
}

function withValue(entry: MethodEntry, path: string, value: unknown): MethodEntry {
  const [block, key] = path.split('.');
  if (key === undefined) return { ...entry, [block]: value };
  return { ...entry, [block]: { ...Object(entry[block]), [key]: value } };
}
