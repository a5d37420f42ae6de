import { Random } from '../core/random.js';
import { type Parameter, type SweepConfig, searchOf } from './schema.js';

/** Values by the path of the override that sets them. */
export type Overrides = Readonly<Record<string, unknown>>;

/** The overrides of every trial, in order; duplicates are possible. */
export function searchSpace(sweep: SweepConfig): Overrides[] {
  return searchOf(sweep).isDrawn ? draws(sweep) : grid(sweep);
}

/** Every combination; the last dimension varies fastest. */
function grid(sweep: SweepConfig): Overrides[] {
  return dimensions(sweep).reduce<Overrides[]>(
    (trials, dimension) =>
      trials.flatMap((trial) => dimension.map((choice) => ({ ...trial, ...choice }))),
    [{}],
  );
}

/** Number of trials of a grid. */
export const gridSize = (sweep: SweepConfig): number =>
  dimensions(sweep).reduce((product, { length }) => product * length, 1);

/** The choices of each parameter and of each zip group. */
const dimensions = ({ parameters, zip }: SweepConfig): Overrides[][] => [
  ...Object.entries(parameters).map(([path, parameter]) =>
    valuesOf(parameter).map((value) => ({ [path]: value })),
  ),
  ...zip.map(zipped),
];

/**
 * Independent draws. Each number has its own random stream, so that adding trials or parameters does not
 * change earlier draws.
 */
function draws({ parameters, zip, seed, trials = 0 }: SweepConfig): Overrides[] {
  return Array.from({ length: trials }, (_, trial) => {
    const stream = (name: string) => new Random(seed, `sweep ${trial} ${name}`);
    const single = Object.entries(parameters).map(([path, parameter]) => [
      path,
      draw(parameter, stream(path)),
    ]);
    const groups = zip.map((group) => {
      const choices = zipped(group);
      return choices[stream(Object.keys(group).join(' ')).integer(choices.length)];
    });
    return Object.assign(Object.fromEntries(single), ...groups);
  });
}

/** A random value of a setting. */
export function draw(parameter: Parameter, random: Random): unknown {
  if (Array.isArray(parameter)) return parameter[random.integer(parameter.length)];
  return interpolate(parameter, random.uniform());
}

function valuesOf(parameter: Parameter): unknown[] {
  if (Array.isArray(parameter)) return parameter;
  const { count } = parameter;
  const values = Array.from({ length: count }, (_, i) => interpolate(parameter, i / (count - 1)));
  return [...new Set(values)];
}

/** @param share 0 for the smallest value, 1 for the largest */
export function interpolate(
  { range: [least, largest], scale, integer }: Exclude<Parameter, unknown[]>,
  share: number,
): number {
  const value =
    scale === 'log' ? least * (largest / least) ** share : least + (largest - least) * share;
  // Six significant digits keep values readable.
  return integer ? Math.round(value) : Number(value.toPrecision(6));
}

/** The i-th choice has the i-th value of each list. */
function zipped(group: Readonly<Record<string, readonly unknown[]>>): Overrides[] {
  const length = Math.min(...Object.values(group).map((values) => values.length));
  return Array.from({ length }, (_, i) =>
    Object.fromEntries(Object.entries(group).map(([path, values]) => [path, values[i]])),
  );
}
