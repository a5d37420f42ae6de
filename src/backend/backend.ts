import { EnvironmentError } from '../errors.js';

/** Values of `device` in a config; without it, a backend takes what it finds. */
export const devices = ['cpu', 'cuda'] as const;
export type Device = (typeof devices)[number];

/** A compute backend and what it runs on, for run.json and `--backend auto`. */
export interface BackendReport {
  readonly name: string;
  readonly version: string;
  /** e.g. `WebAssembly SIMD, 1 thread` */
  readonly detail: string;
  /** What it computes on, where it is one of {@link devices}. */
  readonly device?: Device;
  /** Most bytes that its tensors can take; absent: not known. */
  readonly memory?: number;
}

/** A backend that cannot run here. */
export class BackendUnavailable extends EnvironmentError {
  override name = 'BackendUnavailable';
  /**
   * @param problem what is wrong, and how to make this backend run: a sentence without its full stop
   * @param alternative another backend that runs here: `use --backend wasm`
   */
  constructor(
    readonly problem: string,
    alternative: string,
  ) {
    super(`${problem}, or ${alternative}`);
  }
}

/** One entry of the backend registry. */
export interface BackendDefinition {
  readonly name: string;
  readonly summary: string;
  /** Larger is faster; `auto` takes the fastest that loads. */
  readonly rank: number;
  /** Never chosen by `auto`. */
  readonly onlyByName?: boolean;
  /** What {@link devices} it computes on; none when absent. */
  readonly devices?: readonly Device[];
  /**
   * Loads and initialises the backend and makes it the tensor library's current one.
   * @param device one of `devices`, and no other is used; absent: what the backend finds
   * @throws BackendUnavailable when it cannot run here: never falls back to another backend or device
   */
  readonly start: (device?: Device) => Promise<BackendReport>;
}
