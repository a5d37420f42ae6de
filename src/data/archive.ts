import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { asGzipError, ContentError, isGzip, refuseStranger, withFile } from './content.js';
import { readTar, type TarMember } from './tar.js';

export interface ArchiveReading {
  /** The most it may unpack to. */
  readonly maxBytes: number;
  /** The size that the file at a path must have; undefined when it is not wanted. */
  readonly wanted: (path: string) => number | undefined;
  /** Given each wanted member in turn, so that no two need to be held at once. */
  readonly onMember: (member: TarMember) => void;
  readonly signal?: AbortSignal;
}

const chunkSize = 1 << 20;

/** The longest a compressed copy of `maxBytes` can be: compressing never adds more. */
export const maxArchiveBytes = (maxBytes: number): number => maxBytes + (maxBytes >> 8) + chunkSize;

/**
 * Reads the wanted members of a tar archive, gzipped or plain, as a stream: never the whole archive
 * in memory, and nothing unpacked on disk.
 *
 * @returns the SHA-256 of the file as it is stored
 * @throws ContentError when it is no such archive, unsafe, damaged or too long (a gzip bomb stops at
 *   `maxBytes`); `signal.reason` when aborted; what `onMember` throws, and system errors, pass through
 */
export async function readArchive(path: string, reading: ArchiveReading): Promise<string> {
  const { maxBytes, wanted, onMember, signal } = reading;
  return withFile(path, maxArchiveBytes(maxBytes), async (handle) => {
    const head = Buffer.alloc(256);
    const { bytesRead } = await handle.read(head, 0, head.length, 0);
    const start = head.subarray(0, bytesRead);
    refuseStranger(start);
    const hash = createHash('sha256');
    const stored = handle.createReadStream({
      start: 0,
      highWaterMark: chunkSize,
      autoClose: false,
    });
    const hashed = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
    };
    const unpack = async (chunks: AsyncIterable<Buffer>) => {
      for await (const member of readTar(bounded(chunks, maxBytes), wanted)) onMember(member);
    };
    try {
      if (isGzip(start)) {
        await pipeline(stored, hashed, createGunzip({ chunkSize }), unpack, { signal });
      } else await pipeline(stored, hashed, unpack, { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw asGzipError(error);
    }
    return hash.digest('hex');
  });
}

async function* bounded(chunks: AsyncIterable<Buffer>, limit: number): AsyncGenerator<Buffer> {
  let total = 0;
  for await (const chunk of chunks) {
    total += chunk.length;
    if (total > limit) {
      throw new ContentError(
        `unpacks to more than ${limit} bytes, more than the right archive holds`,
      );
    }
    yield chunk;
  }
}
