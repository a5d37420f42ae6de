import { ByteReader } from './byte-reader.js';
import { ContentError } from './content.js';

/**
 * A strict reader of tar archives (POSIX ustar and what GNU tar writes): a row of members, each a
 * 512-byte header and its content padded to 512 bytes, then blocks of zeros. Plain files and folders
 * are read; links, devices, long names and sparse files are refused, since no archive of data needs
 * them. Nothing is ever written to disk.
 * Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block".
 */
const blockSize = 512;

/** Extended headers hold a few dozen bytes. */
const maxExtendedHeader = 64 * 1024;

export interface TarMember {
  /** As in the archive, without leading `./`. */
  readonly path: string;
  readonly content: Uint8Array;
}

/**
 * Yields the members that are wanted, in the order of the archive; reads it to its very end.
 *
 * @param chunks the archive, decompressed; whoever makes them bounds their total length
 * @param wanted the size that the file at `path` must have; undefined when it is not wanted
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
    if (block.length < blockSize) throw truncated('before its end mark');
    if (isZero(block)) break;
    const { path, type, size } = parseHeader(block, at);
    const name = JSON.stringify(path);
    if (type === 'extended') checkExtendedHeader(await readContent(reader, name, size));
    else {
      const expected = type === 'file' ? wanted(path) : undefined;
      if (expected === undefined) await skipContent(reader, name, size);
      else {
        if (size !== expected) throw wrong(name, `of ${size} bytes where ${expected} belong`);
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

/** What the type byte of a member that is refused stands for. */
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
    throw new ContentError(`is no tar archive, or a damaged one (bad header at byte ${at})`);
  }
  // GNU tar, whose magic ends in a space, uses the bytes of the prefix for something else.
  const prefix = text(block, 257, 6) === 'ustar' ? text(block, 345, 155) : '';
  const full = `${prefix === '' ? '' : `${prefix}/`}${text(block, 0, 100)}`;
  const typeByte = block[156] === 0 ? '0' : String.fromCharCode(block[156]);
  const size = octal(block, 124, 12);
  const name = JSON.stringify(full);
  if (size === undefined) throw wrong(name, 'with a size that cannot be read, or is far too large');
  if (typeByte === 'x' || typeByte === 'g') {
    if (size <= maxExtendedHeader) return { path: full, type: 'extended', size };
    throw wrong(name, `, an extended header of ${size} bytes`);
  }
  if (typeByte !== '0' && typeByte !== '5') {
    const what =
      refusedTypes[typeByte] ?? `an entry of the unknown type ${JSON.stringify(typeByte)}`;
    throw wrong(name, `, ${what}; only plain files and folders are read`);
  }
  if (typeByte === '5' && size > 0) throw wrong(name, `, a folder of ${size} bytes`);
  return { path: safePath(full), type: typeByte === '5' ? 'folder' : 'file', size };
}

/** @throws ContentError when a path could lead out of the folder it is unpacked in */
function safePath(path: string): string {
  const bad =
    path === '' ||
    path.startsWith('/') ||
    /^[a-z]:/i.test(path) ||
    path.includes('\\') ||
    path.split('/').includes('..');
  if (bad) throw wrong(JSON.stringify(path), ', a path that could lead out of its folder');
  return path.replace(/^(\.\/+)+/, '');
}

/** Comments, times and the like are passed over; what would change the next member is refused. */
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

/** Archives are padded with blocks of zeros; anything else after the end mark does not belong. */
async function checkEnd(reader: ByteReader): Promise<void> {
  for (;;) {
    const block = await reader.read(blockSize);
    if (block.length === 0) return;
    if (!isZero(block)) throw new ContentError('has data after the end mark of its tar archive');
  }
}

/** A number field: octal digits, ended by a space, a zero or the field; undefined when it is not. */
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

/** `what` goes on after the name: ` twice`, `, a symbolic link`. */
const wrong = (name: string, what: string) =>
  new ContentError(`holds ${name}${what.startsWith(',') ? '' : ' '}${what}`);
