import type { TrialState } from './state.js';

/** What a sweep tells whoever listens; it never prints. */
export type SweepEvent =
  | { type: 'directory'; path: string }
  | { type: 'begun'; due: number; kept: number }
  | { type: 'trial-started'; id: string; gpu?: string }
  /** Share of the trial's batches that are done, in [0, 1]. */
  | { type: 'trial-progress'; id: string; share: number }
  | { type: 'trial-ended'; state: TrialState }
  | { type: 'submitted'; job: string; trials: number }
  | { type: 'warning'; message: string };
