/** One installation that `fln backend install` can make. */
export interface Recipe {
  /** Name of the private installation; see `installationFolder`. */
  readonly name: string;
  /** In one line. */
  readonly summary: string;
  /**
   * Checks whether it is already available.
   * @returns a description of what is available; undefined when it has to be installed
   */
  readonly present: (signal: AbortSignal) => Promise<string | undefined>;
  /** In the order they are tried. */
  readonly methods: readonly InstallMethod[];
}

/** One way to build an installation. */
export interface InstallMethod {
  /** After "Trying" and "by": e.g. `the package's own installer`. */
  readonly title: string;
  /** Disk space needed during installation. */
  readonly bytes: number;
  /**
   * Fills the empty folder of `work` so that its node_modules holds the packages. The folder will be
   * renamed: links in it are relative.
   * @returns what was installed, for installation.json
   * @throws MethodError when this method does not work here
   */
  readonly build: (work: BuildContext) => Promise<InstalledPackages>;
  /**
   * Tries what was built, in a process of its own.
   * @throws MethodError when it does not work
   */
  readonly check: (work: BuildContext) => Promise<CheckResult>;
}

/** Result of checking a finished installation. */
export interface CheckResult {
  /** For the last line of the command. */
  readonly text: string;
}

/** What the methods of a recipe are given. */
export interface BuildContext {
  readonly folder: string;
  readonly signal: AbortSignal;
  /** Tells the user what is being done. */
  readonly say: (text: string) => void;
}

/** Contents of an installation. */
export interface InstalledPackages {
  /** name@version of the npm packages asked for. */
  readonly npm: readonly string[];
  readonly wheels?: readonly {
    readonly name: string;
    readonly version: string;
    readonly sha256: string;
  }[];
}

/** A method failed; the message says why, and what would help. */
export class MethodError extends Error {
  override name = 'MethodError';
}

/**
 * Runs `work` and rewords the message of a MethodError that it throws.
 * @param words given the original message
 */
export async function rewordErrors<T>(
  work: () => Promise<T>,
  words: (reason: string) => string,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof MethodError ? new MethodError(words(error.message)) : error;
  }
}

/** The user has interrupted the installation. */
export class Interrupted extends Error {
  override name = 'Interrupted';
}
