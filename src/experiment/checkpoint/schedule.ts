/** How often checkpoints are made while a run trains. */
export interface CheckpointInterval {
  /** Seconds between them; 0 for none. */
  readonly seconds: number;
  /** The share of the time that they may take: where they are slow, they are rarer. */
  readonly largestShare: number;
}

/** What applies unless the user says otherwise. */
export const defaultInterval: CheckpointInterval = { seconds: 60, largestShare: 0.02 };

/** Who asks for an interval gets it, whatever it costs. */
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

  /** Takes note of a checkpoint that took `cost` ms and was just made. */
  made(cost: number): void {
    this.#cost = cost;
    this.#last = this.now();
  }
}
