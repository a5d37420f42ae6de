import type { Trial } from './trial-outcome.js';

/** One installation that `fln backend install` can make. */
export interface Recipe {
  /** Of the private installation; see `installationFolder`. */
  readonly name: string;
  /** In one line. */
  readonly summary: string;
  /**
   * Looks whether there is nothing to do.
   * @returns what is there, in words; undefined when it has to be installed
   */
  readonly present: (signal: AbortSignal) => Promise<string | undefined>;
  /** How it can be made, in the order they are tried. */
  readonly ways: readonly Way[];
}

/** One way to make an installation. */
export interface Way {
  /** After "Trying" and "by": e.g. `the package's own installer`. */
  readonly title: string;
  /** Disk space that it takes while it works. */
  readonly bytes: number;
  /**
   * Fills the empty folder of `work` so that its node_modules holds the packages. The folder will be
   * renamed: links in it are relative.
   * @returns what was put there, for installation.json
   * @throws WayError when this way does not lead there
   */
  readonly build: (work: Workshop) => Promise<Ingredients>;
  /**
   * Tries what was built, in a process of its own.
   * @throws WayError when it does not work
   */
  readonly check: (work: Workshop) => Promise<Verdict>;
}

/** What a finished installation was seen to be. */
export interface Verdict {
  /** In words, for the last line of the command. */
  readonly text: string;
  readonly trial?: Trial;
}

/** What a recipe works with. */
export interface Workshop {
  readonly folder: string;
  readonly signal: AbortSignal;
  /** Tells the user what is being done. */
  readonly say: (text: string) => void;
}

/** What an installation is made of. */
export interface Ingredients {
  /** name@version of the npm packages asked for. */
  readonly npm: readonly string[];
  readonly wheels?: readonly {
    readonly name: string;
    readonly version: string;
    readonly sha256: string;
  }[];
}

/** A way that does not lead to an installation here; the message says why, and what would help. */
export class WayError extends Error {
  override name = 'WayError';
}

/**
 * Does a part of a way's work.
 * @param words the reason as it is to be said, made of the one that the part gives when it fails
 */
export async function rewording<T>(
  work: () => Promise<T>,
  words: (reason: string) => string,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof WayError ? new WayError(words(error.message)) : error;
  }
}

/** The user has interrupted the installation. */
export class Interrupted extends Error {
  override name = 'Interrupted';
}
