import { preconditioned } from '../preconditioned/preconditioned.js';
import type { FoofConfig } from './config.js';

/**
 * FOOF, "first-order on neurons" (Benzing 2022, "Gradient descent on neurons and its link to approximate second-order
 * optimization"): the back-propagated gradient of each layer, preconditioned by the covariance of its inputs,
 *
 *     g_{l-1} = phi'(U_{l-1}) A_l^T(g_l; W_l),   D = (H_l + delta I)^-1 [P(F_l), 1]^T g_l / m.
 *
 * Covariances, damping, normalised step length and momentum are those of `fenchel` (../preconditioned), so that the two
 * methods differ in nothing but the learning signal.
 */
export const foof = preconditioned<FoofConfig>(() => ({ rule: 'back-propagation' }));
