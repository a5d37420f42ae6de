/** Seconds between checkpoints unless the user says otherwise. */
export const defaultInterval = 60;

/** Checkpoints take at most one part in this many of the time, whatever the interval. */
const share = 50;

/**
 * When a checkpoint is due: after the interval, or later where checkpoints take long, so that they
 * never cost more than 2 % of the time.
 */
export class CheckpointSchedule {
  #last: number;
  #cost = 0;

  /** @param interval ms; 0 for never */
  constructor(
    private readonly interval: number,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#last = now();
  }

  isDue(): boolean {
    if (this.interval === 0) return false;
    return this.now() - this.#last >= Math.max(this.interval, share * this.#cost);
  }

  /** Takes note of a checkpoint that took `cost` ms and was just made. */
  made(cost: number): void {
    this.#cost = cost;
    this.#last = this.now();
  }
}
