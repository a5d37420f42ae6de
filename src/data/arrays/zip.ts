import { crc32, inflateRawSync } from 'node:zlib';
import { availableMemory } from '../../shared/memory.js';
import { sizeText } from '../../shared/text.js';
import { ContentError } from '../content-error.js';

/**
 * Reads ZIP archives, as np.savez and np.savez_compressed write them, with ZIP64. By hand, because of the usual libraries
 * yauzl is asynchronous and does not check the CRC, and fflate neither checks it nor notices an entry that is
 * longer than declared.
 * Source: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3.
 */
export interface ZipEntry {
  readonly name: string;
  readonly method: number;
  readonly isEncrypted: boolean;
  readonly crc: number;
  readonly storedBytes: number;
  readonly bytes: number;
  /** Of the local header. */
  readonly offset: number;
}

const endSize = 22;
const stored = 0;
const deflated = 8;
/** Deflate cannot compress more. */
const mostRatio = 1032;
const mostEntries = 10_000;

/**
 * @param archive a whole archive, or its end
 * @param start where in the archive `archive` starts
 * @throws ContentError when the archive has no intact directory, or one that starts before `archive`
 */
export function zipEntries(archive: Buffer, start = 0): ZipEntry[] {
  try {
    return directory(archive, start);
  } catch (error) {
    if (error instanceof RangeError) throw new ContentError('is a damaged ZIP archive');
    throw error;
  }
}

function directory(archive: Buffer, start: number): ZipEntry[] {
  const end = endOf(archive);
  let count = archive.readUInt16LE(end + 10);
  let position = archive.readUInt32LE(end + 16);
  if (count === 0xffff || position === 0xffffffff) {
    const locator = end - 20;
    if (locator < 0 || archive.readUInt32LE(locator) !== 0x07064b50) {
      throw new ContentError('is a ZIP archive whose ZIP64 directory is missing');
    }
    const end64 = safe(archive.readBigUInt64LE(locator + 8)) - start;
    if (archive.readUInt32LE(end64) !== 0x06064b50) {
      throw new ContentError('is a ZIP archive whose ZIP64 directory is damaged');
    }
    count = safe(archive.readBigUInt64LE(end64 + 32));
    position = safe(archive.readBigUInt64LE(end64 + 48));
  }
  let at = position - start;
  if (count > mostEntries) throw new ContentError(`is a ZIP archive of ${count} entries`);
  const entries: ZipEntry[] = [];
  for (let i = 0; i < count; i++) {
    if (archive.readUInt32LE(at) !== 0x02014b50) {
      throw new ContentError('is a ZIP archive whose directory is damaged');
    }
    const nameLength = archive.readUInt16LE(at + 28);
    const extraLength = archive.readUInt16LE(at + 30);
    const name = archive.toString('utf8', at + 46, at + 46 + nameLength);
    const extra = archive.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength);
    const [bytes, storedBytes, offset] = sizes64(extra, [
      archive.readUInt32LE(at + 24),
      archive.readUInt32LE(at + 20),
      archive.readUInt32LE(at + 42),
    ]);
    entries.push({
      name,
      method: archive.readUInt16LE(at + 10),
      isEncrypted: (archive.readUInt16LE(at + 8) & 1) === 1,
      crc: archive.readUInt32LE(at + 16),
      storedBytes,
      bytes,
      offset,
    });
    at += 46 + nameLength + extraLength + archive.readUInt16LE(at + 32);
  }
  return entries;
}

/** Position of the end-of-directory record: the last one in the file, before a comment. */
function endOf(archive: Buffer): number {
  const first = Math.max(0, archive.length - endSize - 0xffff);
  for (let at = archive.length - endSize; at >= first; at--) {
    if (archive.readUInt32LE(at) === 0x06054b50) return at;
  }
  throw new ContentError(
    'is not a ZIP archive, or a truncated one (its directory, at the end, is missing)',
  );
}

/** Sizes and offset; those that are 0xffffffff are in the ZIP64 extra field, in this order. */
function sizes64(extra: Buffer, values: readonly number[]): number[] {
  let field: Buffer | undefined;
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) === 1) field = extra.subarray(at + 4);
  }
  let next = 0;
  return values.map((value) => {
    if (value !== 0xffffffff || field === undefined) return value;
    next += 8;
    return safe(field.readBigUInt64LE(next - 8));
  });
}

function safe(value: bigint): number {
  if (value > Number.MAX_SAFE_INTEGER) throw new RangeError('offset');
  return Number(value);
}

/**
 * The content of an entry, of the declared size and CRC.
 * @throws ContentError whose message continues a sentence about the entry
 */
export function unzip(archive: Buffer, entry: ZipEntry): Buffer {
  const { method, storedBytes, bytes, offset, crc } = entry;
  if (entry.isEncrypted) throw new ContentError('is encrypted');
  if (method !== stored && method !== deflated) {
    throw new ContentError(`is compressed with method ${method}; use np.savez_compressed`);
  }
  const isPossible =
    method === stored ? bytes === storedBytes : bytes <= storedBytes * mostRatio + 64;
  if (!isPossible) {
    throw new ContentError(
      `declares ${bytes} bytes, which ${storedBytes} compressed ones cannot hold`,
    );
  }
  const free = availableMemory();
  if (bytes > free) {
    throw new ContentError(
      `takes ${sizeText(bytes)} uncompressed, and ${sizeText(free)} of memory is available`,
    );
  }
  if (offset + 30 > archive.length || archive.readUInt32LE(offset) !== 0x04034b50) {
    throw new ContentError('is missing at its place in the archive, which is damaged');
  }
  const start = offset + 30 + archive.readUInt16LE(offset + 26) + archive.readUInt16LE(offset + 28);
  if (start + storedBytes > archive.length) throw new ContentError('is truncated');
  const data = archive.subarray(start, start + storedBytes);
  const content = method === stored ? data : inflated(data, bytes);
  if (content.length !== bytes) {
    throw new ContentError(`has ${content.length} bytes instead of the declared ${bytes}`);
  }
  if (crc32(content) !== crc) throw new ContentError('is damaged: its CRC-32 is wrong');
  return content;
}

function inflated(data: Buffer, bytes: number): Buffer {
  try {
    return inflateRawSync(data, { maxOutputLength: Math.max(1, bytes) });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_BUFFER_TOO_LARGE') {
      throw new ContentError(`is longer than the ${bytes} bytes that it declares`);
    }
    if (!code?.startsWith('Z_')) throw error;
    throw new ContentError(`is damaged (${message})`);
  }
}
