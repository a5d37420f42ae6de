import type { Augmentation, DownloadProgress, Stream } from '../core/dataset.js';
import type { Evaluation } from '../core/evaluate.js';
import type { Pause, RunId, RunSummary } from '../runs/run-json.js';

/**
 * Events of the engine for its listener. The engine never prints: the command line renders these as
 * progress bars, plain lines or JSON.
 */
export type ExperimentEvent =
  | { type: 'download'; progress: DownloadProgress }
  | {
      type: 'dataset';
      name: string;
      train: number;
      validation: number;
      test: number;
      augment?: Augmentation;
      stream?: Stream;
    }
  | { type: 'backend'; name: string; version: string; detail: string }
  | { type: 'directory'; path: string }
  | { type: 'run-skipped'; run: RunId; reason: string }
  | {
      type: 'run-started';
      run: RunId;
      index: number;
      runs: number;
      batches: number;
      /** Batches done in an earlier session, after which the run resumes. */
      done: number;
      /** The batch after which it pauses. */
      stopAt?: number;
      /** The runs to train after it, with the batches that they have left. */
      queued: readonly { readonly label: string; readonly batches: number }[];
    }
  | { type: 'batch'; run: RunId; batch: number; epoch: number; loss: number; accuracy?: number }
  | { type: 'evaluation'; run: RunId; batch: number; test?: Evaluation; validation?: Evaluation }
  /** `ms` is the time it took, which is no training time. */
  | { type: 'checkpoint'; run: RunId; batch: number; bytes: number; ms: number }
  | { type: 'run-finished'; run: RunId; summary: RunSummary }
  | { type: 'run-failed'; run: RunId; message: string }
  | { type: 'run-interrupted'; run: RunId; batch: number }
  /** After the epoch at which it was to stop, with a checkpoint. */
  | ({ type: 'run-paused'; run: RunId } & Pause)
  | { type: 'warning'; message: string }
  | { type: 'figure'; paths: readonly string[] };
