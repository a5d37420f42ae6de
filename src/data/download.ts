import { randomBytes } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadOptions } from '../core/dataset.js';
import { createFolder } from '../files/folder.js';
import { renameWithRetry, syncFolder } from '../files/system-calls.js';
import { ContentError } from './content-error.js';
import { cacheError, type MirrorFailure, MirrorsError } from './file-errors.js';
import { defaultNetwork, RequestError, transfer } from './http.js';

/** A file to download. */
export interface Download {
  /** Name in messages and of the temporary file. */
  readonly name: string;
  /** Its name on mirrors, appended to the base URL. */
  readonly remoteName: string;
  /** Upper bound on its size. */
  readonly maxBytes: number;
  /**
   * Checks what was downloaded.
   * @returns the name under which to keep it
   * @throws ContentError
   */
  readonly verify: (path: string) => Promise<string>;
}

/** A download that is slower than this on average is abandoned. */
const minBytesPerMs = 50;

/**
 * Downloads files into a cache folder. A file appears there under its name only when it has been
 * verified: until then it is a temporary file of this process, so that an interrupted download, or
 * another process downloading the same file, never leaves a bad file behind.
 */
export class Downloader {
  /** In the order they are tried: a mirror that failed moves to the end. */
  #mirrors: string[];

  constructor(
    mirrors: readonly string[],
    readonly folder: string,
    readonly options: LoadOptions,
  ) {
    this.#mirrors = [...mirrors];
  }

  /**
   * @returns the path of the verified file
   * @throws MirrorsError when every mirror fails; DataError when the cache cannot be written;
   *   `signal.reason` when aborted
   */
  async fetch(file: Download): Promise<string> {
    const failures: MirrorFailure[] = [];
    for (const mirror of [...this.#mirrors]) {
      const url = `${mirror}${file.remoteName}`;
      try {
        return await this.#fetchFrom(url, file);
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        failures.push({ url, reason: error.message });
        this.#mirrors = [...this.#mirrors.filter((other) => other !== mirror), mirror];
      }
    }
    throw new MirrorsError(file.name, failures);
  }

  async #fetchFrom(url: string, file: Download): Promise<string> {
    const { attempts, backoffMs } = { ...defaultNetwork, ...this.options.network };
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(url, file);
      } catch (error) {
        if (!(error instanceof RequestError && error.transient)) throw error;
        if (attempt >= attempts) {
          const times = attempts === 1 ? '' : ` (${attempts} attempts)`;
          throw new RequestError(`${error.message}${times}`, false, { cause: error });
        }
        await this.#pause(backoffMs * 2 ** (attempt - 1));
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.options;
    try {
      await sleep(ms, undefined, { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  }

  async #attempt(url: string, file: Download): Promise<string> {
    const temporary = join(
      this.folder,
      `${file.name}.${process.pid}-${randomBytes(4).toString('hex')}.part`,
    );
    try {
      createFolder(this.folder);
      await transfer(url, temporary, {
        limit: file.maxBytes,
        network: {
          ...defaultNetwork,
          totalMs: Math.max(defaultNetwork.totalMs, file.maxBytes / minBytesPerMs),
          ...this.options.network,
        },
        signal: this.options.signal,
        onBytes: (received, total) =>
          this.options.onProgress?.({ file: file.name, url, received, total }),
      });
      return this.#publish(temporary, await file.verify(temporary));
    } catch (error) {
      if (error instanceof ContentError) {
        throw new RequestError(`the response ${error.message}`, false, { cause: error });
      }
      throw cacheError(error, this.folder);
    } finally {
      await rm(temporary, { force: true }).catch(() => undefined);
    }
  }

  /** Renames a verified file; of two processes, the last one replaces the file by an identical one. */
  #publish(temporary: string, name: string): string {
    const path = join(this.folder, name);
    renameWithRetry(temporary, path);
    syncFolder(this.folder);
    return path;
  }
}

/** Removes temporary files that are older than an hour: of downloads that were killed. */
export async function removeStaleParts(folder: string, now = Date.now()): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((other) => other.endsWith('.part'))) {
    const path = join(folder, name);
    const age = await stat(path).then(
      ({ mtimeMs }) => now - mtimeMs,
      () => 0,
    );
    if (age > 3_600_000) await rm(path, { force: true }).catch(() => undefined);
  }
}
