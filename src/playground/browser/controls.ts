import type {
  Field,
  MethodEntry,
  MethodForm,
  PageData,
  PlaygroundExperiment,
} from '../protocol.js';
import { make, number } from './dom.js';

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
  const focused = document.activeElement?.id;
  container.replaceChildren(
    networkSettings(data, experiment, change),
    ...experiment.methods.map((_, i) => methodSettings(data, experiment, i, change)),
    addMethod(data, experiment, change),
    runSettings(data, experiment, change),
  );
  for (const details of container.querySelectorAll('details')) {
    if (opened.has(details.dataset.name)) details.open = true;
  }
  // The control that was changed has been replaced by its like.
  if (focused && container.querySelector(`#${CSS.escape(focused)}`))
    document.getElementById(focused)?.focus();
}

type Change = (next: PlaygroundExperiment) => void;

const mostHidden = 4;
const widthField: Field = {
  path: 'dense',
  description: 'units of a fully connected layer',
  kind: 'number',
  min: 1,
  isInteger: true,
  slider: { from: 4, to: 500, scale: 'log' },
  isMain: true,
};

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
  const depth: Field = {
    path: 'layers',
    description: 'hidden layers',
    kind: 'number',
    min: 0,
    max: mostHidden,
    isInteger: true,
    slider: { from: 0, to: mostHidden, scale: 'linear' },
    isMain: true,
  };
  const activations: Field = {
    path: 'activation',
    description: 'of every hidden layer',
    kind: 'choice',
    options: data.activations,
    isMain: true,
  };
  return make(
    'fieldset',
    {},
    make('legend', {}, 'Network'),
    control('network', depth, hidden.length, (count) => {
      const last = hidden[hidden.length - 1] ?? { dense: 100, activation };
      withHidden(Array.from({ length: Number(count) }, (_, l) => hidden[l] ?? last));
    }),
    ...hidden.map((layer, l) =>
      control(
        `network-${l}`,
        { ...widthField, description: `${widthField.description} ${l + 1}` },
        layer.dense,
        (dense) =>
          withHidden(
            hidden.map((other, k) => (k === l ? { ...other, dense: Number(dense) } : other)),
          ),
      ),
    ),
    control('network', activations, activation, (name) =>
      withHidden(hidden.map((layer) => ({ ...layer, activation: String(name) }))),
    ),
    control(
      'network',
      {
        path: 'loss',
        description: 'training loss',
        kind: 'choice',
        options: ['cross-entropy', 'mse'],
        isMain: true,
      },
      experiment.loss,
      (loss) => change({ ...experiment, loss: String(loss) }),
    ),
  );
}

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
  const swatch = make('span', { className: 'dot', dataset: { curve: String(index) } });
  return make(
    'fieldset',
    { className: 'method' },
    make('legend', {}, swatch, label),
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
  menu.disabled = experiment.methods.length >= data.curves.length;
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

/** One field: its name, a slider and a number, a menu, or a switch; its description. @param value undefined: the default */
function control(
  scope: string,
  field: Field,
  value: unknown,
  set: (value: unknown) => void,
): HTMLElement {
  const { path, description, kind, options = [] } = field;
  const id = `${scope}-${path.replaceAll('.', '-')}`;
  const shown = value ?? field.default;
  const help = make('small', { id: `${id}-help` }, description);
  const described = <E extends HTMLElement>(element: E): E => {
    element.setAttribute('aria-describedby', help.id);
    return element;
  };
  const label = make('label', { htmlFor: id, className: 'name' }, path);
  if (kind === 'choice') {
    const unset =
      shown === undefined ? [make('option', { value: '', selected: true }, 'by the network')] : [];
    const choices = options.map((option) =>
      make('option', { value: option, selected: option === shown }, option),
    );
    const menu = described(make('select', { id }, ...unset, ...choices));
    menu.addEventListener('change', () => set(menu.value === '' ? undefined : menu.value));
    return make('div', { className: 'field' }, label, menu, help);
  }
  if (kind === 'toggle') {
    const box = described(make('input', { id, type: 'checkbox', checked: shown === true }));
    box.addEventListener('change', () => set(box.checked));
    return make('div', { className: 'field' }, label, box, help);
  }
  return make(
    'div',
    { className: 'field' },
    label,
    ...numberInputs(id, field, shown, set).map(described),
    help,
  );
}

/** Positions of a slider. */
const positions = 200;

function numberInputs(
  id: string,
  field: Field,
  shown: unknown,
  set: (value: unknown) => void,
): HTMLElement[] {
  const { path, min, max, isInteger, slider } = field;
  // Of a field with one value a layer, the list is kept until a number replaces it.
  const isList = Array.isArray(shown);
  const input = make('input', {
    id,
    type: 'number',
    step: isInteger ? '1' : 'any',
    value: typeof shown === 'number' ? String(shown) : '',
    placeholder: isList ? (shown as unknown[]).join(', ') : '',
    ...(min !== undefined && { min: String(min) }),
    ...(max !== undefined && { max: String(max) }),
  });
  input.addEventListener('change', () => {
    if (input.value === '') set(undefined);
    else if (input.reportValidity()) set(Number(input.value));
  });
  if (!slider) return [input];
  const { from, to, scale } = slider;
  const isLog = scale === 'log' && from > 0;
  const steps = !isLog && isInteger ? to - from : positions;
  const valueAt = (position: number) => {
    const share = position / steps;
    const value = isLog ? from * (to / from) ** share : from + share * (to - from);
    return isInteger ? Math.round(value) : Number(value.toPrecision(2));
  };
  const positionOf = (value: number) => {
    const share = isLog
      ? Math.log(value / from) / Math.log(to / from)
      : (value - from) / (to - from);
    return Math.round(steps * Math.min(1, Math.max(0, share)));
  };
  const range = make('input', {
    type: 'range',
    id: `${id}-slider`,
    min: '0',
    max: String(steps),
    step: '1',
    value: String(typeof shown === 'number' ? positionOf(shown) : 0),
    ariaLabel: path,
    ariaValueText: typeof shown === 'number' ? number(shown) : 'by the network',
  });
  range.addEventListener('input', () => {
    const value = valueAt(Number(range.value));
    input.value = String(value);
    range.ariaValueText = number(value);
  });
  range.addEventListener('change', () => set(valueAt(Number(range.value))));
  return [range, input];
}
