import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { asGzipError, isGzip, refuseNonData, withFile } from './content.js';
import { ContentError } from './content-error.js';

interface ArchiveOptions {
  /** Maximum size of the unpacked archive. */
  readonly maxBytes: number;
  /** The size that the file at a path must have; undefined to skip it. */
  readonly wanted: (path: string) => number | undefined;
  /** Called with one wanted member at a time, so that no two are in memory at once. */
  readonly onMember: (member: TarMember) => void;
  readonly signal?: AbortSignal;
}

const chunkSize = 1 << 20;

/** Upper bound on the size of a gzipped or plain archive of `maxBytes`, with the overhead of gzip. */
export const maxArchiveBytes = (maxBytes: number): number => maxBytes + (maxBytes >> 8) + chunkSize;

/**
 * Reads the wanted members of a tar archive, gzipped or plain, as a stream: the whole archive is never in
 * memory, and nothing is written to disk.
 *
 * @returns the SHA-256 of the file as it is stored
 * @throws ContentError when it is not such an archive, is unsafe, damaged or too long (which stops a gzip bomb
 *   at `maxBytes`); `signal.reason` when aborted; what `onMember` throws, and system errors, pass through
 */
export async function readArchive(path: string, options: ArchiveOptions): Promise<string> {
  const { maxBytes, wanted, onMember, signal } = options;
  return withFile(path, maxArchiveBytes(maxBytes), async (handle) => {
    const head = Buffer.alloc(256);
    const { bytesRead } = await handle.read(head, 0, head.length, 0);
    const start = head.subarray(0, bytesRead);
    refuseNonData(start);
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
        `unpacks to more than ${limit} bytes, more than the published archive holds`,
      );
    }
    yield chunk;
  }
}

/**
 * A strict reader of tar archives (POSIX ustar and what GNU tar writes): a sequence of members, each a
 * 512-byte header and its content padded to 512 bytes, then blocks of zeros. Only regular files and folders
 * are accepted: data archives need no links, devices, long names or sparse files.
 * Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block".
 */
const blockSize = 512;

/** Extended headers usually have a few dozen bytes. */
const maxExtendedHeader = 64 * 1024;

interface TarMember {
  /** As in the archive, without leading `./`. */
  readonly path: string;
  readonly content: Uint8Array;
}

/**
 * Yields the wanted members in archive order, and reads the archive to its end.
 *
 * @param chunks the archive, decompressed; the caller bounds their total length
 * @param wanted the size that the file at `path` must have; undefined to skip it
 * @throws ContentError on anything unsafe, unexpected, damaged or cut short
 */
export async function* readTar(
  chunks: AsyncIterable<Uint8Array>,
  wanted: (path: string) => number | undefined,
): AsyncGenerator<TarMember> {
  const reader = new ByteReader(chunks);
  const seen = new Set<string>();
  for (;;) {
    const at = reader.position;
    const block = await reader.read(blockSize);
    if (block.length < blockSize) throw truncated('before its end marker');
    if (isZero(block)) break;
    const { path, type, size } = parseHeader(block, at);
    const name = JSON.stringify(path);
    if (type === 'extended') checkExtendedHeader(await readContent(reader, name, size));
    else {
      const expected = type === 'file' ? wanted(path) : undefined;
      if (expected === undefined) await skipContent(reader, name, size);
      else {
        if (size !== expected) throw wrong(name, `with ${size} bytes instead of ${expected}`);
        if (seen.has(path)) throw wrong(name, 'twice');
        seen.add(path);
        yield { path, content: await readContent(reader, name, size) };
      }
    }
  }
  await checkEnd(reader);
}

interface Header {
  readonly path: string;
  readonly type: 'file' | 'folder' | 'extended';
  readonly size: number;
}

/** Type bytes of members that are refused. */
const refusedTypes: Readonly<Record<string, string>> = {
  '1': 'a hard link',
  '2': 'a symbolic link',
  '3': 'a character device',
  '4': 'a block device',
  '6': 'a pipe',
  K: 'a link with a long name',
  L: 'a file with a long name',
  S: 'a sparse file',
};

function parseHeader(block: Uint8Array, at: number): Header {
  const sum = block.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0);
  if (octal(block, 148, 8) !== sum) {
    throw new ContentError(`is not a tar archive, or a damaged one (bad header at byte ${at})`);
  }
  // GNU tar, whose magic ends in a space, stores other data in the bytes of the prefix.
  const prefix = text(block, 257, 6) === 'ustar' ? text(block, 345, 155) : '';
  const full = `${prefix === '' ? '' : `${prefix}/`}${text(block, 0, 100)}`;
  const typeByte = block[156] === 0 ? '0' : String.fromCharCode(block[156]);
  const size = octal(block, 124, 12);
  const name = JSON.stringify(full);
  if (size === undefined) throw wrong(name, 'with a size that is unreadable or far too large');
  if (typeByte === 'x' || typeByte === 'g') {
    if (size <= maxExtendedHeader) return { path: full, type: 'extended', size };
    throw wrong(name, `, an extended header of ${size} bytes`);
  }
  if (typeByte !== '0' && typeByte !== '5') {
    const what =
      refusedTypes[typeByte] ?? `an entry of the unknown type ${JSON.stringify(typeByte)}`;
    throw wrong(name, `, ${what}; only regular files and folders are supported`);
  }
  if (typeByte === '5' && size > 0) throw wrong(name, `, a folder of ${size} bytes`);
  return { path: safePath(full), type: typeByte === '5' ? 'folder' : 'file', size };
}

/** @throws ContentError when a path could point outside the archive's folder */
function safePath(path: string): string {
  const bad =
    path === '' ||
    path.startsWith('/') ||
    /^[a-z]:/i.test(path) ||
    path.includes('\\') ||
    path.split('/').includes('..');
  if (bad) throw wrong(JSON.stringify(path), ', a path that could point outside its folder');
  return path.replace(/^(\.\/+)+/, '');
}

/** Comments, times and the like are ignored. @throws ContentError for a header that changes the next member */
function checkExtendedHeader(content: Uint8Array): void {
  for (const record of Buffer.from(content).toString('latin1').split('\n')) {
    const key = /^\d+ ([^=]*)=/.exec(record)?.[1] ?? '';
    if (key === 'path' || key === 'linkpath' || key === 'size' || key.startsWith('GNU.sparse')) {
      throw new ContentError(`has an extended header that changes the ${key} of a member`);
    }
  }
}

const paddingOf = (size: number) => -size & (blockSize - 1);

async function readContent(reader: ByteReader, name: string, size: number): Promise<Uint8Array> {
  const content = await reader.read(size);
  const padding = await reader.skip(paddingOf(size));
  if (content.length < size || padding < paddingOf(size)) throw truncated(`inside ${name}`);
  return content;
}

async function skipContent(reader: ByteReader, name: string, size: number): Promise<void> {
  const length = size + paddingOf(size);
  if ((await reader.skip(length)) < length) throw truncated(`inside ${name}`);
}

/** @throws ContentError for anything but zeros, the padding of archives, after the end marker */
async function checkEnd(reader: ByteReader): Promise<void> {
  for (;;) {
    const block = await reader.read(blockSize);
    if (block.length === 0) return;
    if (!isZero(block)) throw new ContentError('has data after the end marker of its tar archive');
  }
}

/** A number field: octal digits up to a space, a zero byte or the end of the field; else undefined. */
function octal(block: Uint8Array, start: number, length: number): number | undefined {
  const digits = /^ *([0-7]+) *$/.exec(text(block, start, length))?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 8);
}

/** A text field, up to its first zero byte. */
function text(block: Uint8Array, start: number, length: number): string {
  const field = Buffer.from(block.subarray(start, start + length)).toString('latin1');
  return field.split('\0', 1)[0];
}

const isZero = (block: Uint8Array) => block.every((byte) => byte === 0);

const truncated = (where: string) => new ContentError(`is a truncated tar archive (ends ${where})`);

/** `what` follows the name: `twice`, `, a symbolic link`. */
const wrong = (name: string, what: string) =>
  new ContentError(`contains ${name}${what.startsWith(',') ? '' : ' '}${what}`);

/** Reads a stream of chunks a given number of bytes at a time. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #position = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Bytes read or skipped so far. */
  get position(): number {
    return this.#position;
  }

  /** The next `length` bytes, copied; fewer at the end of the stream. */
  async read(length: number): Promise<Uint8Array> {
    const target = new Uint8Array(length);
    const got = await this.#advance(length, (part, at) => target.set(part, at));
    return got < length ? target.subarray(0, got) : target;
  }

  /** @returns how many bytes were skipped: fewer than `length` at the end of the stream */
  async skip(length: number): Promise<number> {
    return this.#advance(length, () => undefined);
  }

  async #advance(length: number, use: (part: Uint8Array, at: number) => void): Promise<number> {
    let done = 0;
    while (done < length) {
      if (this.#chunk.length === 0) {
        const { value, done: ended } = await this.#chunks.next();
        if (ended) break;
        this.#chunk = value;
        continue;
      }
      const part = this.#chunk.subarray(0, length - done);
      use(part, done);
      this.#chunk = this.#chunk.subarray(part.length);
      done += part.length;
    }
    this.#position += done;
    return done;
  }
}
