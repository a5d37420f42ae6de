import { createHash } from 'node:crypto';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { notRegular } from '../files/read.js';
import { ContentError } from './content-error.js';
import type { DataFile } from './definition.js';

/** gzip adds less than this to incompressible content; a longer file cannot be the right one. */
const compressionSlack = 64 * 1024;

/** Upper bound on the size of a gzipped or plain copy of `file`, in bytes. */
export const maxStoredBytes = (file: DataFile): number => file.bytes + compressionSlack;

const gunzipAsync = promisify(gunzip);

/** The content of a data file, decompressed, and its SHA-256 in hex. */
export interface FileContent {
  readonly content: Uint8Array;
  readonly sha256: string;
  /** Whether it was compared with a published SHA-256, or only its format was checked. */
  readonly verified: 'checksum' | 'format';
}

/**
 * Reads a gzipped or plain copy of `file`, distinguished by the first bytes.
 *
 * @param official whether it must be the file that the mirrors hold, byte for byte, where the SHA-256 of
 *   that one is published
 * @returns the decompressed content, whose size, format and (where `file` has one) SHA-256 are correct
 * @throws ContentError when they are not; system errors (ENOENT, EACCES, ...) pass through
 */
export async function readContent(
  path: string,
  file: DataFile,
  official: boolean,
): Promise<FileContent & { gzipped: boolean }> {
  const stored = await withFile(
    path,
    maxStoredBytes(file),
    (handle) => handle.readFile(),
    file.otherSizes,
  );
  const read = await contentOf(stored, file);
  const published = file.downloadSha256;
  const found = published === undefined ? undefined : sha256Of(stored);
  if (official && found !== undefined && found !== published) {
    throw wrongContent(found, published!);
  }
  const isPublished = found !== undefined && found === published;
  return { ...read, verified: isPublished ? 'checksum' : read.verified, gzipped: isGzip(stored) };
}

/**
 * The content of a gzipped or plain copy of `file` that has been read into memory.
 * @throws ContentError as `readContent`
 */
export async function contentOf(stored: Buffer, file: DataFile): Promise<FileContent> {
  const content = isGzip(stored) ? await decompress(stored, file) : stored;
  const sha256 = await checkContent(content, file);
  return { content, sha256, verified: file.sha256 === undefined ? 'format' : 'checksum' };
}

/**
 * @returns the SHA-256 of `content`
 * @throws ContentError when `content` is not what the data set's `file` holds
 */
async function checkContent(content: Uint8Array, file: DataFile): Promise<string> {
  refuseNonData(content);
  refuseOther(content.length, file.otherSizes);
  if (content.length > file.bytes) throw tooLong(file.bytes);
  const sha256 = sha256Of(content);
  // The published content needs no other check; of any other, the format says what is wrong with it.
  if (sha256 === file.sha256) return sha256;
  const other = file.namesakes?.get(sha256);
  if (other !== undefined) throw new ContentError(`is the file that ${other} has under this name`);
  await file.check?.(content);
  if (file.sha256 !== undefined) throw wrongContent(sha256, file.sha256, ' (decompressed)');
  return sha256;
}

export const sha256Of = (content: Uint8Array): string =>
  createHash('sha256').update(content).digest('hex');

/** SHA-256 of an open file, from its start. @throws `signal.reason` when aborted */
export async function hashOf(handle: FileHandle, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const stream = handle.createReadStream({ start: 0, highWaterMark: 1 << 20, autoClose: false });
  for await (const chunk of stream) {
    signal?.throwIfAborted();
    hash.update(chunk as Buffer);
  }
  return hash.digest('hex');
}

/** The first class that does not have an equal share of the labels, as a part of a message. */
export function unequalClass(
  labels: Uint8Array,
  classes: number,
  what: string,
): string | undefined {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) counts[label]++;
  const expected = labels.length / classes;
  const odd = counts.findIndex((count) => count !== expected);
  return odd < 0 ? undefined : `${counts[odd]} ${what} of class ${odd} instead of ${expected}`;
}

/**
 * Opens a regular file of at most `limit` bytes, and closes it after `use`.
 * @throws ContentError when it is not a regular file, or longer; system errors pass through
 */
export async function withFile<T>(
  path: string,
  limit: number,
  use: (handle: FileHandle) => Promise<T>,
  otherSizes?: DataFile['otherSizes'],
): Promise<T> {
  // Checked before it is opened: a pipe would wait for a writer, a device may be endless.
  const found = await stat(path);
  if (!found.isFile()) throw new ContentError(`is ${notRegular(found)}`);
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    if (size > limit) {
      refuseOther(size, otherSizes);
      throw new ContentError(`is ${size} bytes long, more than any copy of the expected file`);
    }
    return await use(handle);
  } finally {
    await handle.close();
  }
}

export const isGzip = (head: Uint8Array): boolean =>
  head.length >= 2 && head[0] === 0x1f && head[1] === 0x8b;

export const wrongContent = (found: string, expected: string, of = ''): ContentError =>
  new ContentError(`has the wrong content: its SHA-256${of} is ${found}, expected ${expected}`);

/** Turns an error of zlib into a ContentError; returns any other error as it is. */
export function asGzipError(error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (!code?.startsWith('Z_')) return error;
  if (code === 'Z_BUF_ERROR') return new ContentError('is a truncated gzip file');
  return new ContentError(`is a damaged gzip file (${message})`);
}

async function decompress(stored: Buffer, { bytes, otherSizes }: DataFile): Promise<Buffer> {
  try {
    // The limit stops a gzip bomb as soon as it is longer than the expected file.
    return await gunzipAsync(stored, { maxOutputLength: bytes, chunkSize: 1 << 18 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') throw asGzipError(error);
    // A gzip file ends with the size of its content.
    refuseOther(stored.readUInt32LE(stored.length - 4), otherSizes);
    throw tooLong(bytes);
  }
}

/** @throws ContentError when a file of this size belongs to another data set */
function refuseOther(size: number, otherSizes: DataFile['otherSizes']): void {
  const other = otherSizes?.get(size);
  if (other !== undefined) throw new ContentError(`is ${other} (${size} bytes)`);
}

const tooLong = (bytes: number) =>
  new ContentError(`has more than the ${bytes} bytes of the expected file`);

/** @throws ContentError when `content` is clearly not data: empty, a web page, a Git LFS pointer */
export function refuseNonData(content: Uint8Array): void {
  if (content.length === 0) throw new ContentError('is empty');
  const head = Buffer.from(content.subarray(0, 256)).toString('latin1').trimStart();
  if (/^<(!doctype|html|head|body|\?xml)/i.test(head)) {
    throw new ContentError('is a web page, not data (often the login or error page of a proxy)');
  }
  if (head.startsWith('version https://git-lfs')) {
    throw new ContentError(
      'is a Git LFS pointer, not the file itself (run `git lfs pull` in its repository)',
    );
  }
}
