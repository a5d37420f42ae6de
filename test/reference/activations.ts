import type { ActivationName } from '../../src/core/network/names.js';

/**
 * Activations phi in scalar form with the penalty of Theorem 1,
 *
 *     B(v, u) = F(v) + F*(u) - u v >= 0,   = 0 iff v = phi(u),   F' = phi^-1,   F*' = phi,
 *     dB/du = phi(u) - v,   dB/dv = phi^-1(v) - u.
 */
export interface ScalarActivation {
  readonly name: ActivationName;
  /** Closed domain of v. */
  readonly domain: readonly [number, number];
  /** sup phi' */
  readonly maxSlope: number;
  F(v: number): number;
  Fstar(u: number): number;
  phi(u: number): number;
  /** One pre-image of v; the ReLU has many of 0. */
  phiInverse(v: number): number;
  /** A generalised derivative where there is a kink. */
  phiPrime(u: number): number;
  /** B(v, u), without the cancellation of its definition where a closed form allows. */
  penalty(v: number, u: number): number;
  /** B(phi(s), u) = F*(u) - F*(s) - phi(s) (u - s): no pole, however saturated s is. */
  penaltyAt(s: number, u: number): number;
}

const relu = (u: number) => Math.max(u, 0);
const xlogx = (x: number) => (x === 0 ? 0 : x * Math.log(x));
const softplus = (u: number) => relu(u) + Math.log1p(Math.exp(-Math.abs(u)));
const logCosh = (u: number) => Math.abs(u) + Math.log1p(Math.exp(-2 * Math.abs(u))) - Math.LN2;

function sigmoid(u: number): number {
  const e = Math.exp(-Math.abs(u));
  return u >= 0 ? 1 / (1 + e) : e / (1 + e);
}

const reluActivation: ScalarActivation = {
  name: 'relu',
  domain: [0, Number.POSITIVE_INFINITY],
  maxSlope: 1,
  F: (v) => v ** 2 / 2,
  Fstar: (u) => relu(u) ** 2 / 2,
  phi: relu,
  phiInverse: (v) => v,
  phiPrime: (u) => (u > 0 ? 1 : 0),
  penalty: (v, u) => (relu(u) - v) ** 2 / 2 - Math.min(u, 0) * v,
  penaltyAt: (s, u) => reluActivation.penalty(relu(s), u),
};

/** phi(u) = u for u >= 0, a u below. */
export function leakyRelu(a: number): ScalarActivation {
  const phi = (u: number) => (u >= 0 ? u : a * u);
  const F = (v: number) => (v >= 0 ? v ** 2 / 2 : v ** 2 / (2 * a));
  const Fstar = (u: number) => (u >= 0 ? u ** 2 / 2 : (a * u ** 2) / 2);
  const penalty = (v: number, u: number) => {
    if (v >= 0 && u >= 0) return (u - v) ** 2 / 2;
    if (v < 0 && u < 0) return (a * u - v) ** 2 / (2 * a);
    return F(v) + Fstar(u) - u * v;
  };
  return {
    name: 'leaky-relu',
    domain: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
    maxSlope: 1,
    F,
    Fstar,
    phi,
    phiInverse: (v) => (v >= 0 ? v : v / a),
    phiPrime: (u) => (u > 0 ? 1 : a),
    penalty,
    penaltyAt: (s, u) => penalty(phi(s), u),
  };
}

const sigmoidActivation: ScalarActivation = {
  name: 'sigmoid',
  domain: [0, 1],
  maxSlope: 1 / 4,
  F: (v) => xlogx(v) + xlogx(1 - v),
  Fstar: softplus,
  phi: sigmoid,
  phiInverse: (v) => Math.log(v) - Math.log1p(-v),
  phiPrime: (u) => sigmoid(u) * sigmoid(-u),
  penalty: (v, u) => xlogx(v) + xlogx(1 - v) + softplus(u) - u * v,
  penaltyAt: (s, u) => softplus(u) - softplus(s) - sigmoid(s) * (u - s),
};

const tanhActivation: ScalarActivation = {
  name: 'tanh',
  domain: [-1, 1],
  maxSlope: 1,
  F: (v) => (xlogx(1 + v) + xlogx(1 - v)) / 2,
  Fstar: logCosh,
  phi: Math.tanh,
  phiInverse: Math.atanh,
  phiPrime: (u) => 4 * sigmoid(2 * u) * sigmoid(-2 * u),
  penalty: (v, u) => (xlogx(1 + v) + xlogx(1 - v)) / 2 + logCosh(u) - u * v,
  penaltyAt: (s, u) => logCosh(u) - logCosh(s) - Math.tanh(s) * (u - s),
};

export const scalarActivations: Readonly<Record<ActivationName, ScalarActivation>> = {
  relu: reluActivation,
  'leaky-relu': leakyRelu(0.01),
  sigmoid: sigmoidActivation,
  tanh: tanhActivation,
};
