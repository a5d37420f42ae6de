import type { RunId } from '../../runs/run-json.js';

/** The moving part of progress: one run at a time. */
export interface RunDisplay {
  /** @param done batches of an earlier session */
  start(run: RunId, heading: string, batches: number, done: number): void;
  batch(batch: number, loss: number): void;
  accuracy(value: number): void;
  stop(): void;
}
