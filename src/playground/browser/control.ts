import type { Field } from '../protocol.js';
import { make, number } from './dom.js';

/**
 * One field: its name, a slider and a number, a menu, or a switch; its description.
 * @param scope of its id
 * @param value undefined: the default
 * @param set called with a new value; undefined where a number was deleted, which a required field refuses
 */
export function control(
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
  const { path, min, max, isInteger, isRequired, slider } = field;
  // Of a field with one value a layer, the list is kept until a number replaces it.
  const isList = Array.isArray(shown);
  const input = make('input', {
    id,
    type: 'number',
    step: isInteger ? '1' : 'any',
    required: isRequired === true,
    value: typeof shown === 'number' ? String(shown) : '',
    placeholder: isList ? (shown as unknown[]).join(', ') : '',
    ...(min !== undefined && { min: String(min) }),
    ...(max !== undefined && { max: String(max) }),
  });
  input.addEventListener('change', () => {
    if (input.reportValidity()) set(input.value === '' ? undefined : Number(input.value));
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
