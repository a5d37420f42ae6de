import { affine, type Matrix, map, sumAll, zip } from '../matrix.js';

/** Inputs and solutions carry the names of the golden file; a vector is a one-row matrix here. */
export type Named = Readonly<Record<string, Matrix>>;

export interface Input {
  matrix(name: string): Matrix;
  vector(name: string): readonly number[];
  scalar(name: string): number;
}

export interface Answer {
  readonly parts: Named;
  /** The equally good answer where the golden file marks a tie. */
  readonly tied?: Named;
  /** The solver's own objective and residual. */
  readonly objective: number;
  readonly residual: number;
}

/** How one family of golden sub-problems is solved and judged. */
export interface Family {
  solve(input: Input): Answer;
  /** The README formula of the golden file, written again and apart from the solver. */
  objective(input: Input, parts: Named): number;
  /** The parts that are minimised over, and whether they must stay non-negative. */
  readonly variables: readonly string[];
  readonly nonNegative?: boolean;
  /** Parts that are unique even where the solution says `unique: false`. */
  readonly alwaysUnique?: readonly string[];
}

/** A matrix of the file: a number is 1 x 1, a vector one row, a boolean 0 or 1. */
export const toMatrix = (value: unknown): Matrix => {
  if (!Array.isArray(value)) return [[Number(value)]];
  return (Array.isArray(value[0]) ? value : [value]).map((row: unknown[]) => row.map(Number));
};

export function readInput(values: Readonly<Record<string, unknown>>): Input {
  const get = (name: string) => {
    if (!(name in values)) throw new Error(`this instance has no input "${name}"`);
    return toMatrix(values[name]);
  };
  return {
    matrix: get,
    vector: (name) => get(name)[0],
    scalar: (name) => get(name)[0][0],
  };
}

/** Pieces of the README formulas. */
export const relu = (u: number) => Math.max(u, 0);
export const squares = (a: Matrix) => sumAll(map(a, (value) => value ** 2));
export const minus = (a: Matrix, b: Matrix) => zip(a, b, (x, y) => x - y);
export const linear = (x: Matrix, { W, b }: Named) => affine(x, W, b[0]);
