import type { Scalar, Tensor2D } from '@tensorflow/tfjs';

/**
 * An activation phi, as its Fenchel penalty needs it (Theorem 1 of the paper):
 *
 *     B(v, u) = F(v) + F*(u) - u v >= 0,   = 0 iff v = phi(u),   F' = phi^-1, F*' = phi.
 *
 * A phi that decreases somewhere has no F. With kappa = -inf phi', phi(u) = phi_1(u) - kappa u is a phi_1 that does not
 * decrease, and a linear map beside it: F, F* and B are those of phi_1, at v_1 = v + kappa u,
 *
 *     B(v, u) = F(v_1) + F*(u) - u v_1 >= 0,   = 0 iff v = phi(u),   dB/du = phi(u) - v at fixed v_1.
 *
 * All functions act elementwise on [m, n] tensors. B itself is network/penalty.ts, and {@link divergence64}.
 */
export interface Activation {
  /** sup phi': the Lipschitz constant of dB/du = phi(u) - v; infinite where phi jumps. */
  readonly maxSlope: number;
  /** kappa of a phi that decreases somewhere. */
  readonly skip?: number;
  phi(u: Tensor2D): Tensor2D;
  /**
   * phi'(u), given v = phi(u) too, from which it is cheaper for the saturating activations. Of a phi that jumps, what
   * back-propagation uses in its place.
   */
  slope(u: Tensor2D, v: Tensor2D): Tensor2D;
  /** F*(u), the antiderivative of phi (of phi_1), in a form that neither overflows nor cancels. */
  conjugate(u: Tensor2D): Tensor2D;
  /**
   * B(v, u) without cancellation where v is near phi(u), of the nearest v that phi takes. Where absent, it is
   * {@link divergence64} on the host.
   */
  divergence?(v: Tensor2D, u: Tensor2D): Tensor2D;
  /**
   * F(v) and F*(u) of one value in float64, for objectives that are reported. `near` is where an F without a closed
   * form starts to look for phi^-1(v).
   */
  readonly float64: {
    F(v: number, near?: number): number;
    conjugate(u: number): number;
  };
  /** For activations that jump: with epsilon times a strongly convex function added to F. Lets methods train them. */
  smoothed?(epsilon: Scalar): SmoothedActivation;
  /** For activations whose F is simple enough: lets X-updates use accelerated proximal gradients. */
  readonly proximal?: {
    /** argmin_v theta F(v) + (v - w)^2/2 */
    operator(w: Tensor2D, theta: number): Tensor2D;
    /** Some s with phi(s) = v. */
    preimage(v: Tensor2D): Tensor2D;
  };
}

/** An activation whose slopes change from step to step, for learning signals. */
export type SmoothedActivation = Required<Pick<Activation, 'phi' | 'slope' | 'divergence'>> & {
  readonly maxSlope: Scalar;
};

export const isSmoothed = (
  activation: Activation | SmoothedActivation,
): activation is SmoothedActivation => typeof activation.maxSlope !== 'number';

/** B(v, u) in float64; v in the domain of F. */
export function divergence64(
  { float64: { F, conjugate }, skip = 0 }: Pick<Activation, 'float64' | 'skip'>,
  v: number,
  u: number,
): number {
  const monotone = v + skip * u;
  return Math.max(0, F(monotone, u) + conjugate(u) - u * monotone);
}

/** x ln x, with its limit 0 at 0. */
export const xlogx = (x: number): number => (x === 0 ? 0 : x * Math.log(x));
