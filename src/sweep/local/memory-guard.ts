import { availableMemory, peakMemory } from '../../shared/memory.js';

/** What a trial is taken to need before one was seen. */
const firstGuess = 1e9;
/** A trial may grow beyond what others have needed. */
const margin = 1.2;

/** Holds trials back while there is not memory enough for one more. */
export class MemoryGuard {
  #seen = 0;

  constructor(private readonly available: () => number = availableMemory) {}

  /** Takes note of what running trials have needed. */
  observe(pids: readonly number[], peak: (pid: number) => number = peakMemory): void {
    for (const pid of pids) this.#seen = Math.max(this.#seen, peak(pid));
  }

  /** Bytes that one more trial may need. */
  get need(): number {
    return margin * (this.#seen || firstGuess);
  }

  /** @param running trials; one alone is always let in, since waiting would not help it */
  allows(running: number): boolean {
    return running === 0 || this.available() >= this.need;
  }
}
