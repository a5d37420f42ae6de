/** When a running average takes in a batch, and how much of it. */
export interface RunningAverageOptions {
  /** Factor of the exponential average, per batch. */
  readonly average: number;
  /** Batches between updates. */
  readonly refresh: number;
  /** Whether the first updates are averaged evenly, until the factor is reached. */
  readonly ramp?: boolean;
}

export type RunningAverageState = { readonly batches: number; readonly updates: number };

/**
 * The weights of an exponential average over batches that takes in every `refresh`-th of them:
 *
 *     C <- f C + (1 - f) current,   f = average^refresh, at most k / (k + 1) at update k with `ramp`,
 *
 * and f = 0 at the first update.
 */
export class RunningAverage {
  #batches = 0;
  #updates = 0;

  constructor(private readonly options: RunningAverageOptions) {}

  get state(): RunningAverageState {
    return { batches: this.#batches, updates: this.#updates };
  }

  set state({ batches, updates }: RunningAverageState) {
    this.#batches = batches;
    this.#updates = updates;
  }

  /** Counts a batch. @returns whether it is to be taken in */
  isDue(): boolean {
    return this.#batches++ % this.options.refresh === 0;
  }

  /** Counts an update. @returns f */
  nextFactor(): number {
    const { average, refresh, ramp } = this.options;
    const k = this.#updates++;
    if (k === 0) return 0;
    const limit = average ** refresh;
    return ramp ? Math.min(limit, k / (k + 1)) : limit;
  }
}
