import type { Split } from '../../core/dataset.js';
import type { LossName } from '../../core/network/names.js';
import { DataError } from '../../errors.js';
import { plural } from '../../shared/text.js';
import { shapeText } from './npy.js';
import type { SampleLabels, Samples } from './numeric.js';

/** What the network is to output, as the training split says. */
export interface Task {
  /** Classes, or numbers of a regression. */
  readonly outputs: number;
  readonly isRegression: boolean;
  readonly classNames?: readonly string[];
}

/** The widest layer that a network may have. */
const mostClasses = 100_000;

type Numbers = Extract<SampleLabels, { kind: 'numbers' }>;

/**
 * Names are classes, in sorted order. Integers are classes from 0 on. With the squared error, numbers that are stored as
 * floating-point, a matrix [n, k], or a column named as `target` are a regression.
 * @param name of the split or file, for messages
 * @throws DataError
 */
export function taskOf({ y, rowName }: Samples, loss: LossName, name: string): Task {
  if (y === undefined) throw new DataError(`${name} has no labels.`);
  if (y.kind === 'names') {
    const classNames = [...new Set(y.values)].sort();
    if (classNames.length > mostClasses) throw tooMany(name, classNames.length);
    return { outputs: classNames.length, isRegression: false, classNames };
  }
  const isNumeric = y.isTarget || y.width !== undefined || !y.values.every(Number.isInteger);
  if (loss === 'mse' && isNumeric) return { outputs: y.width ?? 1, isRegression: true };
  if (y.width !== undefined) {
    throw new DataError(
      `${name}: the labels have the shape ${shapeText([y.values.length / y.width, y.width])}; expected integers [n]. ` +
        'One-hot labels become integers by y.argmax(axis=1); targets of a regression need loss: mse.',
    );
  }
  let largest = 0;
  for (let row = 0; row < y.values.length; row++) {
    checkLabel(y.values[row], row, rowName, name);
    largest = Math.max(largest, y.values[row]);
  }
  if (largest >= mostClasses) throw tooMany(name, largest + 1);
  return { outputs: largest + 1, isRegression: false };
}

const tooMany = (name: string, count: number): DataError =>
  new DataError(
    `${name} has ${plural(count, 'class')}, more than ${mostClasses}. If the labels are numbers to be predicted, it is a regression: loss: mse, with targets stored as float.`,
  );

function checkLabel(value: number, row: number, rowName: Samples['rowName'], name: string): void {
  if (Number.isInteger(value) && value >= 0) return;
  const why = Number.isInteger(value)
    ? 'classes are numbered from 0'
    : 'classes are integers; for a regression set loss: mse';
  throw new DataError(`${name}: ${rowName(row)} has the label ${value}; ${why}.`);
}

/**
 * The labels of a split as the training split's task has them.
 * @throws DataError for a class that the training split lacks, and for targets of another width
 */
export function labelsOf(
  { y, count, rowName }: Samples,
  task: Task,
  name: string,
): Pick<Split, 'labels' | 'targets'> {
  if (y === undefined) throw new DataError(`${name} has no labels.`);
  if (task.isRegression) {
    const width = y.kind === 'numbers' ? (y.width ?? 1) : 0;
    if (width !== task.outputs) {
      const found = width === 0 ? 'class names' : `${plural(width, 'target')} a row`;
      throw new DataError(`${name} has ${found}, and the training split ${task.outputs}.`);
    }
    return { labels: new Uint8Array(), targets: Float32Array.from((y as Numbers).values) };
  }
  const labels = task.outputs <= 256 ? new Uint8Array(count) : new Uint32Array(count);
  const numberOf = new Map(task.classNames?.map((className, k) => [className, k]));
  for (let row = 0; row < count; row++) {
    const value = y.values[row];
    // Numbers in a column whose other split has names.
    const label = task.classNames ? numberOf.get(String(value)) : Number(value);
    if (label !== undefined && !task.classNames && y.kind === 'numbers') {
      if (y.width !== undefined)
        throw new DataError(`${name}: the labels are no vector of integers.`);
      checkLabel(label, row, rowName, name);
    }
    if (label === undefined || !(label < task.outputs)) {
      const known = task.classNames
        ? task.classNames.slice(0, 10).join(', ') + (task.outputs > 10 ? ', ...' : '')
        : `0 to ${task.outputs - 1}`;
      throw new DataError(
        `${name}: ${rowName(row)} has the class ${String(value).slice(0, 40)}, which the training split lacks (it has ${known}).`,
      );
    }
    labels[row] = label;
  }
  return { labels };
}
