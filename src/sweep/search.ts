import { Random } from '../core/random.js';
import type { Parameter, SweepConfig } from './schema.js';

/** Values by the path of the override that writes them. */
export type Overrides = Readonly<Record<string, unknown>>;

/** One thing that varies: the overrides of each of its choices. */
type Dimension = readonly Overrides[];

/** The overrides of every trial, in order; equal ones may occur. */
export function searchSpace(sweep: SweepConfig): Overrides[] {
  return sweep.search === 'grid' ? grid(sweep) : draws(sweep);
}

/** Every combination; the last parameter varies fastest. */
function grid({ parameters, zip }: SweepConfig): Overrides[] {
  const dimensions: Dimension[] = [
    ...Object.entries(parameters).map(([path, parameter]) =>
      valuesOf(parameter).map((value) => ({ [path]: value })),
    ),
    ...zip.map(together),
  ];
  return dimensions.reduce<Overrides[]>(
    (trials, dimension) =>
      trials.flatMap((trial) => dimension.map((choice) => ({ ...trial, ...choice }))),
    [{}],
  );
}

/** How many trials a grid has, without making them. */
export function gridSize({ parameters, zip }: SweepConfig): number {
  const sizes = [
    ...Object.values(parameters).map((parameter) => valuesOf(parameter).length),
    ...zip.map((group) => together(group).length),
  ];
  return sizes.reduce((product, size) => product * size, 1);
}

/**
 * Independent draws. Each number has a stream of its own, so that more trials, or more parameters,
 * leave what was drawn before as it was.
 */
function draws({ parameters, zip, seed, trials = 0 }: SweepConfig): Overrides[] {
  return Array.from({ length: trials }, (_, trial) => {
    const stream = (name: string) => new Random(seed, `sweep ${trial} ${name}`);
    const own = Object.entries(parameters).map(([path, parameter]) => [
      path,
      draw(parameter, stream(path)),
    ]);
    const zipped = zip.map((group) => {
      const choices = together(group);
      return choices[stream(Object.keys(group).join(' ')).integer(choices.length)];
    });
    return Object.assign(Object.fromEntries(own), ...zipped);
  });
}

function draw(parameter: Parameter, random: Random): unknown {
  if (Array.isArray(parameter)) return parameter[random.integer(parameter.length)];
  return between(parameter, random.uniform());
}

function valuesOf(parameter: Parameter): unknown[] {
  if (Array.isArray(parameter)) return parameter;
  const { count } = parameter;
  const values = Array.from({ length: count }, (_, i) => between(parameter, i / (count - 1)));
  return [...new Set(values)];
}

type Range = Exclude<Parameter, unknown[]>;

/** @param share 0 is the least value and 1 the largest */
function between({ range: [least, largest], scale, integer }: Range, share: number): number {
  const value =
    scale === 'log' ? least * (largest / least) ** share : least + (largest - least) * share;
  // Six digits are enough for any setting, and make values that people can read.
  return integer ? Math.round(value) : Number(value.toPrecision(6));
}

/** The choices of lists that go together. */
function together(group: Readonly<Record<string, readonly unknown[]>>): Dimension {
  const length = Math.min(...Object.values(group).map((values) => values.length));
  return Array.from({ length }, (_, i) =>
    Object.fromEntries(Object.entries(group).map(([path, values]) => [path, values[i]])),
  );
}
