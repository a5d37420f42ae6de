/** When a running Gram matrix takes in a batch, and how much of it. */
export interface RunningGramOptions {
  /** Factor of the exponential average, per batch. */
  readonly average: number;
  /** Batches between updates. */
  readonly refresh: number;
  /** Whether the first updates are averaged evenly, until the factor is reached. */
  readonly ramp?: boolean;
}

/**
 * Exponential average of a layer's input Gram matrix over batches, in float64 on the host:
 *
 *     C <- f C + (1 - f) current,   f = average^refresh, at most k / (k + 1) at update k with `ramp`
 */
export class RunningGram {
  #batches = 0;
  #updates = 0;
  #average: Float64Array | undefined;

  constructor(private readonly options: RunningGramOptions) {}

  /** Counts a batch. @returns whether its Gram matrix is wanted */
  isDue(): boolean {
    return this.#batches++ % this.options.refresh === 0;
  }

  /** Takes in the Gram matrix of a batch. @returns the average, owned by this object */
  update(current: ArrayLike<number>): Float64Array {
    const { average, refresh, ramp } = this.options;
    const limit = average ** refresh;
    const factor = ramp ? Math.min(limit, this.#updates / (this.#updates + 1)) : limit;
    this.#updates++;
    const previous = this.#average;
    const next = previous ?? new Float64Array(current);
    if (previous) {
      for (let i = 0; i < next.length; i++) {
        next[i] = factor * previous[i] + (1 - factor) * current[i];
      }
    }
    this.#average = next;
    return next;
  }
}
