/** What a backend is and what it runs on, for run.json and `--backend auto`. */
export interface BackendReport {
  readonly name: string;
  readonly version: string;
  /** e.g. `WebAssembly SIMD, 1 thread` */
  readonly detail: string;
}

/** One line of the backend registry. */
export interface BackendDefinition {
  readonly name: string;
  readonly summary: string;
  /** Larger is faster; `auto` takes the fastest that loads. */
  readonly rank: number;
  /** `auto` never takes it. */
  readonly onlyByName?: boolean;
  /**
   * Loads and initialises the backend and makes it the tensor library's current one.
   * @throws EnvironmentError when it cannot run here: never falls back to another backend
   */
  readonly start: () => Promise<BackendReport>;
}
