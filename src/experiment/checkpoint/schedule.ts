/** How often checkpoints are made while a run trains. */
export interface CheckpointInterval {
  /** Seconds between them; 0 for none. */
  readonly seconds: number;
  /** Largest share of the time that they may take: where they are slow, they are made less often. */
  readonly largestShare: number;
}

/** The default. */
export const defaultInterval: CheckpointInterval = { seconds: 60, largestShare: 0.02 };

/** An interval that the user sets applies whatever the checkpoints cost. */
export const everySeconds = (seconds: number): CheckpointInterval => ({
  seconds,
  largestShare: Number.POSITIVE_INFINITY,
});

/** When the next checkpoint of a run is due. */
export class CheckpointSchedule {
  #last: number;
  #cost = 0;

  constructor(
    private readonly interval: CheckpointInterval,
    /** ms */
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#last = now();
  }

  isDue(): boolean {
    const { seconds, largestShare } = this.interval;
    if (seconds === 0) return false;
    return this.now() - this.#last >= Math.max(1000 * seconds, this.#cost / largestShare);
  }

  /** Records a checkpoint that was just made and took `cost` ms. */
  made(cost: number): void {
    this.#cost = cost;
    this.#last = this.now();
  }
}
