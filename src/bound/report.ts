import type { BoundSettings } from './settings.js';

/** What was found for one lambda. Every objective is float64. */
export interface BoundRow {
  readonly lambda: number;
  /** G(lambda) at the best point found: an upper bound of its minimum. */
  readonly liftedObjective: number;
  /** The feed-forward objective p with the weights of that point. */
  readonly primalObjective: number;
  /** Sweeps over all blocks, from all starts together; of the one-layer problem, solver iterations. */
  readonly iterations: number;
  /** One-layer problem: what weak duality certifies the minimum of G(lambda) to be at least. */
  readonly dualValue?: number;
  /** liftedObjective - dualValue */
  readonly gap?: number;
}

export interface BoundReport extends BoundSettings {
  /** `one-layer`: B(Y, X P) itself, convex, certified (Appendix B); `network`: the lifted network. */
  readonly kind: 'network' | 'one-layer';
  readonly rows: readonly BoundRow[];
  /** Least p met: at the end of Adam from the initial weights, and at the weights of all rows. */
  readonly bestPrimal: number;
  /** p at the end of Adam. */
  readonly adamPrimal: number;
}

/** What the numbers prove, and what they do not, in plain words. */
export function statements({ kind, bestPrimal }: BoundReport): string[] {
  const best = bestPrimal.toPrecision(6);
  if (kind === 'one-layer') {
    return [
      'Certified: for each lambda, the minimum of the lifted objective lies between the dual value (a lower bound, ' +
        'by weak duality; float64) and the lifted objective reached.',
      'Not certified: anything of the feed-forward objective, which is not convex. Its minimum is at most ' +
        `${best}, the least found. The dual value bounds the lifted objective, not this one.`,
    ];
  }
  return [
    `Certified: the minimum p* of the feed-forward objective is at most ${best}, the least found; the minimum ` +
      'of the lifted objective is at most the value reached, and in theory at most p*.',
    'Not certified: how far below the values found the minima are. Neither problem is convex: the lifted objective ' +
      'reached is an upper bound of its minimum, and bounds p* from no side.',
  ];
}
