/** One member of a tar archive made for a test; what is left out is as in a good archive. */
export interface TarEntry {
  readonly path: string;
  readonly content?: Uint8Array;
  /** Type byte: 0 file, 5 folder, 2 symbolic link, ... */
  readonly type?: string;
  /** The size the header claims. */
  readonly size?: number;
  /** Target of a link. */
  readonly target?: string;
  /** What the path is split from, as ustar does with long ones. */
  readonly prefix?: string;
  /** `ustar\0` (POSIX) or `ustar ` (GNU). */
  readonly magic?: string;
}

/** A tar archive with its end marker. */
export const tarArchive = (entries: readonly TarEntry[]): Buffer =>
  Buffer.concat([...entries.map(tarMember), Buffer.alloc(1024)]);

/** A header and its content, padded. */
export function tarMember(entry: TarEntry): Buffer {
  const { content = new Uint8Array(0), type = '0', magic = 'ustar\0' } = entry;
  const header = Buffer.alloc(512);
  header.write(entry.path, 0, 'latin1');
  header.write('0000644\0', 100);
  header.write((entry.size ?? content.length).toString(8).padStart(11, '0'), 124);
  header.write(type, 156);
  header.write(entry.target ?? '', 157);
  header.write(magic, 257);
  header.write(entry.prefix ?? '', 345);
  const padding = Buffer.alloc(-content.length & 511);
  return Buffer.concat([signed(header), content, padding]);
}

/** The header with its checksum. */
export function signed(header: Buffer): Buffer {
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}
