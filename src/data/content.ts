import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { DataFile } from './definition.js';

/**
 * What is wrong with the content of a data file, worded as the rest of a sentence whose subject is
 * the file: `is empty`, `has label 11 in record 5`. Whoever knows where the file came from makes a
 * DataError of it.
 */
export class ContentError extends Error {
  override name = 'ContentError';
}

/** Compressing never shortens by less than this; a longer file cannot be the right one. */
const compressionSlack = 64 * 1024;

/** The longest a gzipped or plain copy of `file` can be, in bytes. */
export const maxStoredBytes = (file: DataFile): number => file.bytes + compressionSlack;

const gunzipAsync = promisify(gunzip);

/**
 * Reads a gzipped or plain copy of `file`, told apart by its first bytes.
 *
 * @returns the decompressed content, whose size, format and SHA-256 are those of `file`
 * @throws ContentError when they are not; system errors (ENOENT, EACCES, ...) pass through
 */
export async function readContent(
  path: string,
  file: DataFile,
): Promise<{ content: Uint8Array; gzipped: boolean }> {
  const stored = await readBounded(path, maxStoredBytes(file));
  const gzipped = stored.length >= 2 && stored[0] === 0x1f && stored[1] === 0x8b;
  const content = gzipped ? await decompress(stored, file.bytes) : stored;
  checkContent(content, file);
  return { content, gzipped };
}

/** @throws ContentError when `content` is not what the data set's `file` holds */
export function checkContent(content: Uint8Array, file: DataFile): void {
  const stranger = describeStranger(content);
  if (stranger !== undefined) throw new ContentError(stranger);
  if (content.length > file.bytes) throw tooLong(file.bytes);
  file.check?.(content);
  const sha256 = createHash('sha256').update(content).digest('hex');
  if (sha256 !== file.sha256) {
    throw new ContentError(
      `has the wrong content: its SHA-256 (decompressed) is ${sha256}, and ${file.sha256} was expected`,
    );
  }
}

async function readBounded(path: string, limit: number): Promise<Buffer> {
  // Looked at before it is opened: a pipe would wait for a writer, a device may never end.
  const found = await stat(path);
  if (!found.isFile()) {
    throw new ContentError(found.isDirectory() ? 'is a folder, not a file' : 'is no regular file');
  }
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    if (size > limit) {
      throw new ContentError(`is ${size} bytes long, more than any copy of the right file`);
    }
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

async function decompress(stored: Buffer, bytes: number): Promise<Buffer> {
  try {
    // The limit stops a gzip bomb as soon as it is longer than the file it claims to be.
    return await gunzipAsync(stored, { maxOutputLength: bytes, chunkSize: 1 << 18 });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ERR_BUFFER_TOO_LARGE') throw tooLong(bytes);
    if (code === 'Z_BUF_ERROR') throw new ContentError('is a truncated gzip file');
    throw new ContentError(`is a damaged gzip file (${(error as Error).message})`);
  }
}

const tooLong = (bytes: number) =>
  new ContentError(`holds more than the ${bytes} bytes of the right file`);

/** Names content that is no data file at all, or undefined. */
function describeStranger(content: Uint8Array): string | undefined {
  if (content.length === 0) return 'is empty';
  const head = Buffer.from(content.subarray(0, 256)).toString('latin1').trimStart();
  if (/^<(!doctype|html|head|body|\?xml)/i.test(head)) {
    return 'is a web page, not data (often the log-in or error page of a proxy)';
  }
  if (head.startsWith('version https://git-lfs')) {
    return 'is a Git LFS pointer, not the file itself (run `git lfs pull` where it came from)';
  }
  return undefined;
}
