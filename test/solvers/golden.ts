import { readFileSync } from 'node:fs';
import { toMatrix } from '../reference/golden/family.js';
import { matrix } from './tensors.js';

/** The golden instances, as the tests of the tensor solvers read them. */

export type Values = Readonly<Record<string, unknown>>;

export interface Instance {
  readonly name: string;
  readonly edge: string;
  readonly input: Values;
  readonly solution: Values;
  readonly objective: number;
}

const file = process.env.FLN_GOLDEN ?? new URL('../golden/golden.json', import.meta.url);

export const golden = JSON.parse(readFileSync(file, 'utf8')) as {
  cases: Record<string, Instance[]>;
};

export const rows = (input: Values, name: string) => matrix(toMatrix(input[name]));

export const number = (input: Values, name: string) => (input[name] as number | undefined) ?? 1;
