import { describe, expect, it } from 'vitest';
import { ContentError } from '../../src/data/content-error.js';
import { readTar } from '../../src/data/tar.js';
import { signed, type TarEntry, tarArchive, tarMember } from './tar-archive.js';

const data = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * seed) % 251);
const good: TarEntry = { path: 'set/a.bin', content: data(700) };

/** The members that are wanted, read from pieces of `piece` bytes. */
async function read(archive: Uint8Array, piece = 1000, size = 700) {
  async function* chunks() {
    for (let at = 0; at < archive.length; at += piece) yield archive.subarray(at, at + piece);
  }
  const members: Record<string, Uint8Array> = {};
  const wanted = (path: string) => (path.endsWith('.bin') ? size : undefined);
  for await (const { path, content } of readTar(chunks(), wanted)) members[path] = content;
  return members;
}

describe('a good archive', () => {
  const entries: TarEntry[] = [
    { path: 'set/', type: '5' },
    { path: 'set/readme.html', content: data(31) },
    good,
    { path: './set/b.bin', content: data(700, 2), magic: 'ustar  ' },
    { path: 'c.bin', prefix: 'set/deep', content: data(700, 3) },
    { path: 'set/empty', type: '\0' },
  ];
  const expected = {
    'set/a.bin': data(700),
    'set/b.bin': data(700, 2),
    'set/deep/c.bin': data(700, 3),
  };

  it.each([1, 7, 512, 1000, 100_000])('in pieces of %i bytes', async (piece) => {
    expect(await read(tarArchive(entries), piece)).toEqual(expected);
  });

  it('may be padded with zeros, and have comments', async () => {
    const header = 'extended header';
    const comment = Buffer.from('20 comment=anything\n30 mtime=1700000000.123456789\n');
    const archive = tarArchive([
      { path: header, type: 'g', content: comment },
      { path: header, type: 'x', content: comment },
      ...entries,
    ]);
    expect(await read(Buffer.concat([archive, Buffer.alloc(9000)]))).toEqual(expected);
  });
});

const badChecksum = tarArchive([good]);
badChecksum[3] ^= 1;
const hugeSize = tarMember(good);
hugeSize[124] = 0x80;
signed(hugeSize.subarray(0, 512));

describe('refuses an archive that', () => {
  it.each<[string, readonly TarEntry[], string]>([
    ['leads out by ..', [{ path: '../a.bin' }], '"../a.bin", a path that could point outside'],
    ['leads out midway', [{ path: 'set/../../a.bin' }], 'could point outside its folder'],
    ['leads out through its prefix', [{ path: 'a.bin', prefix: '..' }], '"../a.bin"'],
    ['leads out in a folder that is not wanted', [{ path: '../x', type: '5' }], '"../x"'],
    [
      'has an absolute path',
      [{ path: '/etc/a.bin' }],
      '"/etc/a.bin", a path that could point outside',
    ],
    ['has an absolute prefix', [{ path: 'a.bin', prefix: '/etc' }], '"/etc/a.bin"'],
    ['has a Windows drive', [{ path: 'C:a.bin' }], 'could point outside'],
    ['has backslashes', [{ path: '..\\a.bin' }], 'could point outside'],
    ['has a member without name', [{ path: '' }], '"", a path'],
    [
      'has a symbolic link',
      [{ path: 'set/a.bin', type: '2', target: '/etc/passwd' }],
      '"set/a.bin", a symbolic link; only regular files and folders are supported',
    ],
    ['has a hard link', [{ path: 'set/x', type: '1', target: 'y' }], 'a hard link'],
    ['has a device', [{ path: 'set/x', type: '3' }], 'a character device'],
    ['has a pipe', [{ path: 'set/x', type: '6' }], 'a pipe'],
    ['has a long name', [{ path: 'x', type: 'L', content: data(200) }], 'a file with a long name'],
    ['has an unknown type', [{ path: 'x', type: 'Z' }], 'an entry of the unknown type "Z"'],
    [
      'has a folder with content',
      [{ path: 'x', type: '5', content: data(9) }],
      'a folder of 9 bytes',
    ],
    [
      'renames members by extended headers',
      [{ path: 'x', type: 'x', content: Buffer.from('18 path=../../x\n') }, good],
      'has an extended header that changes the path of a member',
    ],
    [
      'has a huge extended header',
      [{ path: 'x', type: 'x', content: data(70_000) }],
      'an extended header of 70000 bytes',
    ],
    [
      'has a member of another size',
      [{ ...good, content: data(701) }],
      'with 701 bytes instead of 700',
    ],
    [
      'has a member of a huge size',
      [{ ...good, size: 7e9 }],
      'with 7000000000 bytes instead of 700',
    ],
    ['has a member twice', [good, good], 'contains "set/a.bin" twice'],
    ['has a member twice by another spelling', [good, { ...good, path: './set/a.bin' }], 'twice'],
  ])('%s', async (_, entries, message) => {
    const reading = read(tarArchive(entries));
    await expect(reading).rejects.toThrow(ContentError);
    await expect(reading).rejects.toThrow(message);
  });

  it.each<[string, Uint8Array, string]>([
    ['is empty', new Uint8Array(0), 'ends before its end marker'],
    ['lacks its end marker', tarMember(good), 'ends before its end marker'],
    ['ends inside a header', tarMember(good).subarray(0, 300), 'ends before its end marker'],
    ['ends inside a wanted member', tarMember(good).subarray(0, 900), 'ends inside "set/a.bin"'],
    ['ends inside padding', tarMember(good).subarray(0, 1300), 'ends inside "set/a.bin"'],
    [
      'ends inside another member',
      tarMember({ path: 'x', size: 5e9 }),
      'is a truncated tar archive (ends inside "x")',
    ],
    [
      'has a damaged header',
      badChecksum,
      'is not a tar archive, or a damaged one (bad header at byte 0)',
    ],
    ['is something else', data(2000), 'is not a tar archive'],
    ['has a size beyond octal', hugeSize, 'with a size that is unreadable or far too large'],
    [
      'goes on after its end marker',
      Buffer.concat([tarArchive([good]), tarMember(good)]),
      'has data after the end marker',
    ],
  ])('%s', async (_, archive, message) => {
    const reading = read(archive);
    await expect(reading).rejects.toThrow(ContentError);
    await expect(reading).rejects.toThrow(message);
  });
});
