import * as tf from '@tensorflow/tfjs';
import type { z } from 'zod';
import type * as fields from './fields.js';
import type { MethodContext } from './method.js';

/**
 * Training on imperfect hardware, simulated: analog computation is noisy, and converters have few levels. What a step
 * computes and reads passes through three functions, for every method alike. With n ~ N(0, 1) of the shape of the
 * tensor T, drawn anew for each use, rms(T) = sqrt(mean T^2) over the batch and the units of the layer,
 *
 *     noisy(T, sigma) = T + sigma rms(T) n,
 *
 *     forward pass:  X_{l+1} = Qa(noisy(phi(U_l), noise.activation))
 *     signals:       g_l <- Qs(noisy(g_l, noise.signal)),   then g_l is used by the weights and passed down
 *     reads:         T <- Qa(noisy(T, noise.read)),   for each tensor T of activations that the learning rule takes
 *
 * Reads are X_l of the weight gradients (and of input covariances), l > 0: X_0 is data, and exact; of finite differences
 * phi(U), phi(U + r) and phi(U - r), each with its own n; of back-propagation U, for phi'(U). signals.ts has the two rules.
 * Rounding, with `quantize.activations` and `quantize.signals` = b bits, is deterministic and has one scale per tensor:
 *
 *     Qa(T) = lo + D round((T - lo) / D),   D = (hi - lo) / (2^b - 1),   lo = min T, hi = max T
 *     Qs(T) = D round(T / D),               D = max |T| / (2^(b-1) - 1);  with one bit mean |T| sign(T)
 *
 * Qa is the min-max quantizer for activations (Krishnamoorthi 2018), Qs the symmetric one with 2^b - 1 levels, and its one
 * bit the binary tensor nearest to T (Rastegari et al. 2016). Both values of a finite difference are rounded on one grid.
 */
export interface Hardware {
  /** Whether every function is the identity. */
  readonly isIdeal: boolean;
  /** X_{l+1} of phi(U_l) [m, units], as the layers above see it. */
  activation(value: tf.Tensor2D): tf.Tensor2D;
  /** What dropout multiplies activations by: 0 with probability `share`, else 1/(1 - share). Not a part of the hardware. */
  dropout?(shape: readonly [number, number], share: number): tf.Tensor2D;
  /** Values [m, units] of one layer as the learning rule reads them, each with noise of its own, rounded on one grid. */
  read<Values extends readonly tf.Tensor2D[]>(...values: Values): Values;
  /** A learning signal [m, units]. */
  signal(value: tf.Tensor2D): tf.Tensor2D;
}

/** Of methods with the fields {@link fields.hardware}. */
export type HardwareConfig = Partial<z.output<z.ZodObject<typeof fields.hardware>>>;

export const ideal: Hardware = {
  isIdeal: true,
  activation: (value) => value,
  read: (...values) => values,
  signal: (value) => value,
};

/** The hardware of one pass of one step; inside a compiled function, which calls it once. */
export function hardwareOf({ noise, quantize }: HardwareConfig, draws: Draws): Hardware {
  const sigmas = { signal: 0, read: 0, activation: 0, ...noise };
  const { activations: activationBits, signals: signalBits } = quantize ?? {};
  const isQuiet = Object.values(sigmas).every((sigma) => sigma === 0);
  const normals = normalsOf(draws);
  const dropout = (shape: readonly [number, number], share: number): tf.Tensor2D =>
    tf.div(tf.step(tf.sub(normals(shape), normalQuantile(share))), 1 - share);
  if (isQuiet && activationBits === undefined && signalBits === undefined) {
    return draws.length > 0 ? { ...ideal, dropout } : ideal;
  }
  const noisy = (value: tf.Tensor2D, sigma: number): tf.Tensor2D => {
    if (sigma === 0) return value;
    const rms = tf.sqrt(tf.mean(tf.square(value)));
    return tf.add(value, tf.mul(normals(value.shape), tf.mul(rms, sigma)));
  };
  const rounded = (values: readonly tf.Tensor2D[]) =>
    activationBits === undefined ? values : roundToRange(values, activationBits);
  return {
    isIdeal: false,
    dropout,
    activation: (value) => rounded([noisy(value, sigmas.activation)])[0],
    read: <Values extends readonly tf.Tensor2D[]>(...values: Values) =>
      rounded(values.map((value) => noisy(value, sigmas.read))) as unknown as Values,
    signal: (value) => {
      const sent = noisy(value, sigmas.signal);
      return signalBits === undefined ? sent : roundSymmetric(sent, signalBits);
    },
  };
}

/** X_l of all layers as their weight gradients read them; X_0 is data, and exact. */
export const readInputs = (
  hardware: Hardware,
  [x, ...hidden]: readonly tf.Tensor2D[],
): tf.Tensor2D[] => [x, ...hidden.map((value) => hardware.read(value)[0])];

/** Divisors, which may be 0 when a tensor is constant. */
const nonZero = (scale: tf.Tensor): tf.Tensor => tf.maximum(scale, 1e-30);

/** Qa: 2^bits levels from the smallest to the largest of all values. */
export function roundToRange(values: readonly tf.Tensor2D[], bits: number): tf.Tensor2D[] {
  const low = values.map((value) => tf.min(value)).reduce((a, b) => tf.minimum(a, b));
  const high = values.map((value) => tf.max(value)).reduce((a, b) => tf.maximum(a, b));
  const step = nonZero(tf.div(tf.sub(high, low), 2 ** bits - 1));
  return values.map((value) =>
    tf.add(tf.mul(tf.round(tf.div(tf.sub(value, low), step)), step), low),
  );
}

/** Qs: 2^bits - 1 levels, symmetric about 0; with one bit the sign, and 0 stays 0. */
export function roundSymmetric(value: tf.Tensor2D, bits: number): tf.Tensor2D {
  const size = tf.abs(value);
  if (bits === 1) return tf.mul(tf.sign(value), tf.mean(size));
  const step = nonZero(tf.div(tf.max(size), 2 ** (bits - 1) - 1));
  return tf.mul(tf.round(tf.div(value, step)), step);
}

// Normal numbers. A step needs millions of them, too many to generate: they are sections of a tape that is drawn once
// a run, each from a row and with a sign that are drawn for each use. The same on every backend.

/** Numbers in a row of the tape. */
const columns = 64;
/** Rows at which a section may start. */
const starts = 4096;
/** Rows of the longest section, 3.1 million numbers: larger tensors repeat it. The tape has 13.6 MB at most. */
const longest = 49152;
/** Tensors that get noise in one pass, per layer, at most. */
const usesPerLayer = 8;

type Context = Pick<MethodContext<HardwareConfig>, 'config' | 'network' | 'batchSize' | 'stream'>;

/** Standard normal numbers for the whole run, [rows, columns]; undefined when nothing is noisy or dropped. */
export function noiseTape({ config, network, batchSize, stream }: Context): NoiseTape {
  const isNoisy = Object.values(config.noise ?? {}).some((sigma) => sigma > 0);
  if (!isNoisy && !network.stages.some(({ dropout }) => dropout)) return undefined;
  const largest = batchSize * Math.max(...network.maps.map(({ outputs }) => outputs));
  const rows = starts + sectionRows(largest);
  const random = stream('noise');
  const values = Float32Array.from({ length: rows * columns }, () => random.normal());
  return tf.tensor2d(values, [rows, columns]);
}

export type NoiseTape = tf.Tensor2D | undefined;

/** The tape, and the first row [n] and the sign [n] of each use in turn; nothing without noise. */
export type Draws = readonly tf.Tensor[];

/**
 * The draws of one pass of one step. They depend on nothing but the seed and the name.
 * @param pass a name that no other pass of the run has, as `forward/12`
 */
export function drawNoise({ network, stream }: Context, tape: NoiseTape, pass: string): Draws {
  if (tape === undefined) return [];
  const random = stream(`noise/${pass}`);
  const uses = { length: usesPerLayer * network.maps.length };
  const rows = Int32Array.from(uses, () => random.integer(starts));
  const signs = Float32Array.from(uses, () => 2 * random.integer(2) - 1);
  return [tape, tf.tensor1d(rows, 'int32'), tf.tensor1d(signs)];
}

/** z with P(n < z) = p for n ~ N(0, 1), to 4.5e-4 (Abramowitz and Stegun 1964, 26.2.23). */
function normalQuantile(p: number): number {
  const t = Math.sqrt(-2 * Math.log(Math.min(p, 1 - p)));
  const z =
    t -
    (2.515517 + 0.802853 * t + 0.010328 * t ** 2) /
      (1 + 1.432788 * t + 0.189269 * t ** 2 + 0.001308 * t ** 3);
  return p < 0.5 ? -z : z;
}

const sectionRows = (size: number) => Math.min(Math.ceil(size / columns), longest);

/** New normals of a shape at each call; inside a compiled function. */
function normalsOf([tape, rows, signs]: Draws): (shape: readonly [number, number]) => tf.Tensor2D {
  let use = 0;
  return ([m, n]) => {
    if (use === rows?.size) throw new Error('a pass adds noise to more tensors than it has draws');
    const length = Math.ceil((m * n) / columns);
    const repeated = sectionRows(m * n);
    const section = Int32Array.from({ length }, (_, i) => i % repeated);
    const first = tf.slice(rows, use, 1);
    // gather would read the indices on the host.
    const drawn = tf.gatherND(tape, tf.add(tf.tensor2d(section, [length, 1], 'int32'), first));
    const flat = tf.slice(tf.reshape(drawn, [length * columns]), 0, m * n);
    return tf.mul(tf.reshape(flat, [m, n]), tf.slice(signs, use++, 1));
  };
}
