import type { Tensor2D } from '@tensorflow/tfjs';

/**
 * An activation phi with its Fenchel penalty (Theorem 1 of the paper)
 *
 *     B(v, u) = F(v) + F*(u) - u v >= 0,   = 0 iff v = phi(u),   F' = phi^-1, F*' = phi.
 *
 * All functions act entry by entry on [m, n] tensors.
 */
export interface Activation {
  /** sup phi', the Lipschitz constant of dB/du. */
  readonly maxSlope: number;
  phi(u: Tensor2D): Tensor2D;
  /** phi'(u), given v = phi(u) too, which is cheaper for some activations. */
  slope(u: Tensor2D, v: Tensor2D): Tensor2D;
  /** F*(u), the antiderivative of phi. */
  conjugate(u: Tensor2D): Tensor2D;
  /**
   * B(v, u) for v = phi(s), as F*(u) - F*(s) - phi(s) (u - s): the form that never evaluates phi^-1
   * near a pole. For the ReLU, s may be any pre-image of v.
   */
  penalty(s: Tensor2D, u: Tensor2D): Tensor2D;
}
