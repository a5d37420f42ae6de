/** Counts trials that failed for the same reason, to stop a sweep that is wrong as a whole. */
export class FailureCounter {
  readonly #counts = new Map<string, number>();

  /**
   * @param limit failures that stop the sweep; undefined for never
   * @param any whether failures for different reasons count together
   */
  constructor(
    private readonly limit: number | undefined,
    private readonly any = false,
  ) {}

  /** @returns why the sweep is to stop, in one sentence; undefined while it is not */
  add(error: string): string | undefined {
    const reason = this.any ? '' : sameWords(error);
    const count = (this.#counts.get(reason) ?? 0) + 1;
    this.#counts.set(reason, count);
    if (this.limit === undefined || count < this.limit) return undefined;
    return this.any
      ? 'a trial failed: no more are started'
      : `${count} trials failed for the same reason: no more are started. ${error}`;
  }
}

/** Without numbers, hashes and paths, which differ between trials. */
const sameWords = (error: string): string =>
  error
    .replace(/\S*\/\S+/g, 'PATH')
    .replace(/\b[0-9a-f]{12}\b/g, 'ID')
    .replace(/[-+]?\d+(\.\d+)?(e[-+]?\d+)?/gi, 'N');
