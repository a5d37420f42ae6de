/** When a solver stops. */
export interface SolverOptions {
  /** Largest optimality residual that counts as solved; each solver says what its residual is. */
  readonly tolerance: number;
  readonly maxIterations: number;
}

/** What every solver says of its work. */
export interface SolverReport {
  readonly iterations: number;
  /** Optimality residual of the returned point. */
  readonly residual: number;
}
