import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeFileAtomic } from '../../src/files/atomic.js';
import { DiskError, guardDisk } from '../../src/files/disk.js';
import { makeFolder } from '../../src/files/folder.js';
import { temporaryFolder } from '../experiment/tiny.js';

describe('writeFileAtomic', () => {
  it('replaces the file and leaves nothing beside it', () => {
    const folder = temporaryFolder();
    const path = join(folder, 'run.json');
    writeFileAtomic(path, 'one');
    writeFileAtomic(path, new TextEncoder().encode('two'));
    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(readdirSync(folder)).toEqual(['run.json']);
  });

  it('cleans up and names the target when the rename is refused', () => {
    const folder = temporaryFolder();
    const path = join(folder, 'taken');
    mkdirSync(join(path, 'inner'), { recursive: true });
    expect(() => writeFileAtomic(path, 'x')).toThrow(/^cannot write .*taken: it is a folder/);
    expect(readdirSync(folder)).toEqual(['taken']);
  });

  it.skipIf(process.getuid?.() === 0)('says what to do about a folder without permission', () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o500);
    expect(() => writeFileAtomic(join(folder, 'a'), 'x')).toThrow(/permission denied.*--out DIR/);
    chmodSync(folder, 0o700);
  });

  it('says when a part of the path is a file', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'file'), '');
    expect(() => writeFileAtomic(join(folder, 'file', 'a'), 'x')).toThrow(DiskError);
  });
});

describe('guardDisk', () => {
  it('explains a full disk and lets other errors pass', () => {
    const full = Object.assign(new Error('write'), { code: 'ENOSPC' });
    const run = (error: Error) => () =>
      guardDisk('a/metrics.csv', () => {
        throw error;
      });
    expect(run(full)).toThrow('cannot write a/metrics.csv: the disk is full');
    const bug = new TypeError('undefined is not a function');
    expect(run(bug)).toThrow(bug);
  });
});

describe('makeFolder', () => {
  it('makes what is missing, and is content with what is there', () => {
    const folder = join(temporaryFolder(), 'a', 'b');
    makeFolder(folder);
    makeFolder(folder);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('explains why it cannot', () => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    expect(() => makeFolder(file)).toThrow('something with this name already exists');
    expect(() => makeFolder(join(file, 'a'))).toThrow(
      /something with this name|a part of this path/,
    );
  });

  it.skipIf(!existsSync('/proc/self'))('returns where a parent never appears', () => {
    expect(() => makeFolder('/proc/no-such-process/results')).toThrow(DiskError);
  });
});
