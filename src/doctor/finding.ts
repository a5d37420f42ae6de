/** One thing that was looked at. */
export interface Finding {
  /** e.g. `Node`, `backend wasm` */
  readonly topic: string;
  /** `problem`: something cannot work here; `warning`: it works, not well; `absent`: not there, not needed. */
  readonly state: 'ok' | 'absent' | 'warning' | 'problem';
  /** What was found, on one line. */
  readonly text: string;
  /** What to do about it. */
  readonly wayOut?: string;
}
