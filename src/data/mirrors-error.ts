/** Why one mirror did not deliver one file. */
export interface MirrorFailure {
  readonly url: string;
  readonly reason: string;
}

/** No mirror delivered a file. */
export class MirrorsError extends Error {
  override name = 'MirrorsError';
  constructor(
    fileName: string,
    readonly failures: readonly MirrorFailure[],
  ) {
    super(`no mirror delivered ${fileName}`);
  }
}
