import type { ActivationName } from '../../src/core/network/names.js';

/**
 * Activations phi in scalar form with the penalty of Theorem 1,
 *
 *     B(v, u) = F(v) + F*(u) - u v >= 0,   = 0 iff v = phi(u),   F' = phi^-1,   F*' = phi,
 *     dB/du = phi(u) - v,   dB/dv = phi^-1(v) - u.
 */
export interface ScalarActivation {
  readonly name: ActivationName;
  /**
   * Of a phi that decreases somewhere: phi = phi_1 - kappa u. F, F*, phi^-1 and `penaltyAt` are those of the monotone
   * part phi_1; B(v, u) is its penalty at v + kappa u.
   */
  readonly kappa?: number;
  readonly monotone?: ScalarActivation;
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

const hardTanh = (u: number) => Math.min(1, Math.max(-1, u));
const hardTanhStar = (u: number) => (Math.abs(u) <= 1 ? u ** 2 / 2 : Math.abs(u) - 0.5);

const hardTanhActivation: ScalarActivation = {
  name: 'hard-tanh',
  domain: [-1, 1],
  maxSlope: 1,
  F: (v) => v ** 2 / 2,
  Fstar: hardTanhStar,
  phi: hardTanh,
  phiInverse: (v) => v,
  phiPrime: (u) => (Math.abs(u) < 1 ? 1 : 0),
  penalty: (v, u) =>
    (hardTanh(u) - v) ** 2 / 2 + (hardTanh(u) - v) * Math.sign(u) * relu(Math.abs(u) - 1),
  penaltyAt: (s, u) => hardTanhActivation.penalty(hardTanh(s), u),
};

/** Li2(-x), 0 <= x <= 1, by Landen's identity and the power series of Li2(x/(1 + x)). */
function dilogarithm(x: number): number {
  let sum = 0;
  for (let k = 60; k > 0; k--) sum += (x / (1 + x)) ** k / k ** 2;
  return -sum - Math.log1p(x) ** 2 / 2;
}

/** F* of softplus: -Li2(-e^u), by Euler's inversion where u > 0. */
const softplusStar = (u: number) =>
  u <= 0 ? -dilogarithm(Math.exp(u)) : u ** 2 / 2 + Math.PI ** 2 / 6 + dilogarithm(Math.exp(-u));

/** Legendre's transform of F* at v, where its slope is v. */
const transform = (Fstar: (u: number) => number, v: number, u: number) => u * v - Fstar(u);

const softplusInverse = (v: number) => v + Math.log(-Math.expm1(-v));

const softplusActivation: ScalarActivation = {
  name: 'softplus',
  domain: [0, Number.POSITIVE_INFINITY],
  maxSlope: 1,
  F: (v) => (v === 0 ? 0 : transform(softplusStar, v, softplusInverse(v))),
  Fstar: softplusStar,
  phi: softplus,
  phiInverse: softplusInverse,
  phiPrime: sigmoid,
  penalty: (v, u) => softplusActivation.F(v) + softplusStar(u) - u * v,
  penaltyAt: (s, u) => softplusStar(u) - softplusStar(s) - softplus(s) * (u - s),
};

/** The standard normal distribution function, from the Taylor series of erf or the continued fraction of erfc. */
function normal(u: number): number {
  const x = Math.abs(u) / Math.SQRT2;
  const scale = 1 / Math.sqrt(Math.PI);
  if (x > 2) {
    let fraction = x;
    for (let k = 80; k > 0; k--) fraction = x + k / 2 / fraction;
    const tail = (scale * Math.exp(-(x ** 2))) / fraction / 2;
    return u > 0 ? 1 - tail : tail;
  }
  let power = x;
  let sum = x;
  for (let k = 1; k < 40; k++) {
    power *= -(x ** 2) / k;
    sum += power / (2 * k + 1);
  }
  return 0.5 + Math.sign(u) * scale * sum;
}

const density = (u: number) => Math.exp(-(u ** 2) / 2) / Math.sqrt(2 * Math.PI);

/**
 * A phi that decreases somewhere, from its derivative and the antiderivative that is 0 at 0.
 * @param lowest where phi' is least
 */
function decreasing(
  name: ActivationName,
  lowest: number,
  phi: (u: number) => number,
  phiPrime: (u: number) => number,
  integral: (u: number) => number,
): ScalarActivation {
  const kappa = -phiPrime(lowest);
  const rising = (u: number) => phi(u) + kappa * u;
  const Fstar = (u: number) => integral(u) + (kappa * u ** 2) / 2;
  const phiInverse = (v: number) => {
    let [low, high] = [-1, 1];
    while (rising(low) > v) low *= 2;
    while (rising(high) < v) high *= 2;
    for (let i = 0; i < 60; i++) {
      const middle = (low + high) / 2;
      if (rising(middle) < v) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  };
  const F = (v: number) => transform(Fstar, v, phiInverse(v));
  const monotone: ScalarActivation = {
    name,
    domain: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
    maxSlope: 1 + 2 * kappa,
    F,
    Fstar,
    phi: rising,
    phiInverse,
    phiPrime: (u) => phiPrime(u) + kappa,
    penalty: (v, u) => F(v) + Fstar(u) - u * v,
    penaltyAt: (s, u) => Fstar(u) - Fstar(s) - rising(s) * (u - s),
  };
  return {
    ...monotone,
    kappa,
    monotone,
    maxSlope: 1 + kappa,
    phi,
    phiPrime,
    penalty: (v, u) => monotone.penalty(v + kappa * u, u),
  };
}

const geluActivation = decreasing(
  'gelu',
  -Math.SQRT2,
  (u) => u * normal(u),
  (u) => normal(u) + u * density(u),
  (u) => ((u ** 2 - 1) * normal(u) + u * density(u)) / 2 + 1 / 4,
);

const siluActivation = decreasing(
  'silu',
  -2.399357280515467,
  (u) => u * sigmoid(u),
  (u) => sigmoid(u) + u * sigmoid(u) * sigmoid(-u),
  // By parts: the antiderivative of the sigmoid is softplus.
  (u) => u * softplus(u) - softplusStar(u) + Math.PI ** 2 / 12,
);

export const scalarActivations: Readonly<Record<ActivationName, ScalarActivation>> = {
  relu: reluActivation,
  'leaky-relu': leakyRelu(0.01),
  softplus: softplusActivation,
  sigmoid: sigmoidActivation,
  tanh: tanhActivation,
  'hard-tanh': hardTanhActivation,
  gelu: geluActivation,
  silu: siluActivation,
};
