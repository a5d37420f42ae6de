import { constants, crc32, inflateSync } from 'node:zlib';
import { decode } from 'fast-png';
import { ContentError } from '../content-error.js';

/** Larger images are taken for a mistake. */
const mostSide = 4096;

export interface PngImage {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  /** [height, width, channels] */
  readonly pixels: Uint8Array;
}

const signature = Buffer.from('89504e470d0a1a0a', 'hex');

/**
 * Decodes an 8-bit grey or RGB image.
 *
 * fast-png gets only the chunks of the image, after they have been checked: it would inflate a colour profile of any
 * size, and image data beyond the size that the header declares.
 *
 * @throws ContentError
 */
export function parsePng(file: Buffer): PngImage {
  const chunks = chunksOf(file);
  const header = chunks[0];
  if (header?.type !== 'IHDR' || header.data.length !== 13) {
    throw new ContentError('is a PNG image without a header');
  }
  const width = header.data.readUInt32BE(0);
  const height = header.data.readUInt32BE(4);
  const [depth, colour, , , interlaced] = header.data.subarray(8);
  if (width < 1 || height < 1 || width > mostSide || height > mostSide) {
    throw new ContentError(
      `is an image of ${width}x${height} pixels; at most ${mostSide}x${mostSide} are read`,
    );
  }
  const channels = channelsOf(
    depth,
    colour,
    chunks.some(({ type }) => type === 'tRNS'),
  );
  const data = chunks.filter(({ type }) => type === 'IDAT');
  const expected = height * (1 + width * channels);
  // An interlaced image has seven passes, whose rows each begin with a filter byte.
  const most = interlaced === 0 ? expected : 2 * expected + 64;
  const raw = inflated(Buffer.concat(data.map((chunk) => chunk.data)), most);
  if (raw < expected) throw new ContentError('is truncated: pixels are missing');
  const kept = chunks.filter(({ type }) => ['IHDR', 'IDAT', 'IEND'].includes(type));
  const image = Buffer.concat([signature, ...kept.map(({ whole }) => whole)]);
  try {
    return { height, width, channels, pixels: decode(image).data as Uint8Array };
  } catch (error) {
    throw new ContentError(`is a damaged PNG image (${(error as Error).message})`);
  }
}

interface Chunk {
  readonly type: string;
  readonly data: Buffer;
  /** With length, type and CRC. */
  readonly whole: Buffer;
}

function chunksOf(file: Buffer): Chunk[] {
  if (!file.subarray(0, 8).equals(signature)) throw new ContentError('is not a PNG image');
  const chunks: Chunk[] = [];
  for (let at = 8; ; ) {
    if (at + 12 > file.length) throw new ContentError('is a truncated PNG image');
    const end = at + 12 + file.readUInt32BE(at);
    if (end > file.length) throw new ContentError('is a truncated PNG image');
    const type = file.toString('latin1', at + 4, at + 8);
    if (crc32(file.subarray(at + 4, end - 4)) !== file.readUInt32BE(end - 4)) {
      throw new ContentError('is a damaged PNG image: the CRC-32 of a chunk is wrong');
    }
    chunks.push({ type, data: file.subarray(at + 8, end - 4), whole: file.subarray(at, end) });
    if (type === 'IEND') return chunks;
    at = end;
  }
}

function channelsOf(depth: number, colour: number, isTransparent: boolean): 1 | 3 {
  const convert =
    'convert it to 8-bit grey or RGB, as with Pillow\'s image.convert("L") or convert("RGB")';
  if (colour === 3) throw new ContentError(`is a PNG image with a palette; ${convert}`);
  if (colour === 4 || colour === 6 || isTransparent) {
    throw new ContentError(`is a PNG image with an alpha channel; ${convert}`);
  }
  if (colour !== 0 && colour !== 2)
    throw new ContentError(`is a PNG image of colour type ${colour}`);
  if (depth !== 8)
    throw new ContentError(`is a PNG image of ${depth} bits per channel; ${convert}`);
  return colour === 0 ? 1 : 3;
}

/** Bytes of the image data uncompressed. */
function inflated(data: Buffer, most: number): number {
  try {
    // fast-png accepts a stream without its end, which then lacks only the checksum.
    return inflateSync(data, { maxOutputLength: most, finishFlush: constants.Z_SYNC_FLUSH }).length;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_BUFFER_TOO_LARGE') {
      throw new ContentError('is a PNG image with more pixels than its header declares');
    }
    if (!code?.startsWith('Z_')) throw error;
    throw new ContentError(`is a damaged PNG image (${message})`);
  }
}
