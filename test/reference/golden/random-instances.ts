import type { Random } from '../../../src/core/random.js';
import { type Matrix, map } from '../matrix.js';
import { softmax } from '../terms.js';
import type { FamilyName } from './families.js';

/** What is special about a random instance. */
export const edges = [
  'plain',
  'wide',
  'single row',
  'dead column',
  'duplicate columns',
  'rank one',
  'zero weights',
  'all inactive',
  'no ridge',
  'large scale',
  'saturated',
  'small lambda',
  'large lambda',
] as const;
export type Edge = (typeof edges)[number];

type Values = Readonly<Record<string, Matrix | readonly number[] | number>>;

/** Inputs of one more instance of a family, under the names of the golden file. */
export function randomInstance(family: FamilyName, edge: Edge, random: Random): Values {
  const wide = edge === 'wide';
  const n = edge === 'single row' ? 1 : 2 + random.integer(wide ? 2 : 8);
  const d = wide ? 12 : 1 + random.integer(6);
  const p = 1 + random.integer(5);
  const classes = 2 + random.integer(4);
  const unit = edge === 'large scale' ? 300 : edge === 'saturated' ? 30 : 1;

  const normal = (rows: number, columns: number, scale = 1) =>
    Array.from({ length: rows }, () =>
      Array.from({ length: columns }, () => scale * random.normal()),
    );
  /** Data and activations, with the degenerate columns. */
  const data = (rows: number, columns: number): number[][] => {
    const column = normal(rows, 1, unit);
    return map(normal(rows, columns, unit), (value, i, j) => {
      if (edge === 'dead column' && j === 0) return 0;
      if (edge === 'duplicate columns' && j < 2) return column[i][0];
      return edge === 'rank one' ? column[i][0] * (j + 1) : value;
    });
  };
  const positive = (rows: number, columns: number) =>
    map(data(rows, columns), (v) => Math.max(v, 0));
  const weights = (rows: number, columns: number) =>
    edge === 'zero weights' ? map(normal(rows, columns), () => 0) : transposedData(rows, columns);
  const transposedData = (rows: number, columns: number) => map(data(rows, columns), (w) => w / 2);
  const before = (rows: number, columns: number) =>
    map(normal(rows, columns, unit), (u) => (edge === 'all inactive' ? -Math.abs(u) : u));
  const bias = (columns: number) => normal(1, columns)[0];
  const classLabels = () =>
    Array.from({ length: n }, () => {
      const chosen = random.integer(classes);
      return random.uniform() < 0.5
        ? softmax(bias(classes))
        : Array.from({ length: classes }, (_, k) => (k === chosen ? 1 : 0));
    });
  const factor = () => {
    const spread = Math.exp(2 * random.normal());
    return edge === 'small lambda'
      ? 1e-3 * spread
      : edge === 'large lambda'
        ? 1e3 * spread
        : spread;
  };
  /** `least` keeps a problem without minimiser out where the loss alone has none. */
  const ridge = (inputs: number, columns: number, least: number) => {
    const value = () =>
      edge === 'no ridge' ? least : Math.max(least, random.uniform() < 0.5 ? 0 : random.uniform());
    return {
      rho_W: value(),
      rho_b: value(),
      gamma_W: value(),
      gamma_b: value(),
      W_ref: normal(inputs, columns),
      b_ref: bias(columns),
    };
  };

  switch (family) {
    case 'fenchel_X_update':
      return {
        X_next: positive(n, p),
        W: weights(d, p),
        b: bias(p),
        U_prev: before(n, d),
        lambda_next: factor(),
        lambda_prev: factor(),
      };
    case 'XL_update_mse':
      return {
        Y: normal(n, p, unit),
        W: weights(d, p),
        b: bias(p),
        U_prev: before(n, d),
        lambda_: factor(),
        loss_coef: factor(),
      };
    case 'XL_update_ce':
      return {
        Y: classLabels(),
        W: weights(d, classes),
        b: bias(classes),
        U_prev: before(n, d),
        lambda_: factor(),
      };
    case 'predict_eq12_ce':
      return { U_prev: before(n, d), W: weights(d, classes), b: bias(classes), lambda_: factor() };
    case 'W_update_fenchel':
      return {
        X: data(n, d),
        X_next: edge === 'all inactive' ? map(normal(n, p), () => 0) : positive(n, p),
        lambda_: factor(),
        ...ridge(d, p, 0),
      };
    case 'WL_update_mse':
      return { X: data(n, d), Y: normal(n, p, unit), loss_coef: factor(), ...ridge(d, p, 0) };
    case 'WL_update_ce':
      return { X: data(n, d), Y: classLabels(), ...ridge(d, classes, 0.01) };
    case 'taylor_W_update_pinv':
      return { A_prev: data(n, d), Z: normal(n, p, unit) };
    case 'taylor_z_update':
      return { a: positive(n, d), m: before(n, d), beta: factor(), gamma: factor() };
    case 'taylor_zL_update':
      return { y: data(n, p), lambda_: normal(n, p), m: normal(n, p, unit), beta: factor() };
    case 'lau_V_or_taylor_a_update':
      return {
        W: weights(d, p),
        b: bias(p),
        Z_next: normal(n, p, unit),
        Z: before(n, d),
        beta: factor(),
        gamma: factor(),
      };
    case 'lau_relu_prox':
      return { a: data(n, d), b: before(n, d), gamma: factor() };
    case 'lau_U_update':
      return {
        V: data(n, d),
        P: before(n, d),
        U_old: normal(n, d, unit),
        gamma: factor(),
        rho: factor(),
        alpha: edge === 'no ridge' ? 0 : factor(),
      };
    case 'lau_Wb_update':
      return {
        V: data(n, d),
        U: normal(n, p, unit),
        W_old: normal(d, p),
        b_old: bias(p),
        alpha: factor(),
        rho: factor(),
      };
  }
}
