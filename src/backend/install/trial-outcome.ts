import type { BackendReport } from '../backend.js';
import type { ClosedLibrary } from '../tensorflow/cuda.js';

/** What a backend did when it was tried in a process of its own. */
export type Trial =
  | {
      readonly works: true;
      readonly report: BackendReport;
      /** Native packages that it loaded. */
      readonly binding?: TriedBinding;
    }
  | {
      readonly works: false;
      readonly reason: string;
      /** The reason without what else could be used, where there is such advice in it. */
      readonly problem?: string;
    };

export interface TriedBinding {
  readonly name: string;
  readonly folder: string;
  readonly cudaBuild: boolean;
  /** CUDA libraries that do not open, for a CUDA build that computes on no GPU. */
  readonly closed: readonly ClosedLibrary[];
}
