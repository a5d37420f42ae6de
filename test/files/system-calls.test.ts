import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { install } from '../../src/backend/install/install.js';
import { FlnError } from '../../src/errors.js';
import { Checkpoints, resumePoint } from '../../src/experiment/checkpoint/checkpoints.js';
import { removeFolderAtomic, writeFileAtomic } from '../../src/files/atomic.js';
import { DiskError, unexpectedDiskError } from '../../src/files/disk.js';
import { onDiskWarning, renameWithRetry } from '../../src/files/system-calls.js';
import { MetricsWriter } from '../../src/runs/metrics-writer.js';
import { lockDirectory } from '../../src/runs/run-directory-writer.js';
import { writeState } from '../../src/sweep/state.js';
import { temporaryFolder } from '../experiment/tiny.js';
import { type Faults, syscallOf, systemError } from './faults.js';

const faults = vi.hoisted((): Faults => ({ calls: [], strike: () => undefined }));
vi.mock('node:fs', async () => (await import('./faults.js')).faultyFileSystem(faults));

function reset(strike: Faults['strike'] = () => undefined): void {
  faults.calls = [];
  faults.strike = strike;
}
beforeEach(() => reset());

/** The given error for every call of one function. */
const always =
  (name: string, call: string): Faults['strike'] =>
  (called, path) =>
    called === call ? systemError(name, syscallOf(call), path) : undefined;

/** Everything that writes: each into an empty folder. */
const writers: Readonly<Record<string, (folder: string) => unknown>> = {
  'run.json': (folder) => writeFileAtomic(join(folder, 'run.json'), '{}'),
  'metrics.csv': (folder) => {
    const writer = MetricsWriter.create(join(folder, 'metrics.csv'), ['a']);
    try {
      writer.append({ a: 1 });
      writer.sync();
    } finally {
      writer.close();
    }
  },
  'metrics.csv of a run that is resumed': (folder) => {
    const path = join(folder, 'metrics.csv');
    const writer = MetricsWriter.create(path, ['a']);
    const extent = writer.sync();
    writer.close();
    MetricsWriter.resume(path, ['a'], extent).close();
  },
  'a checkpoint': (folder) =>
    new Checkpoints(folder).write(
      { experiment: 'x', label: 'a', seed: 1, batch: 5, wallMs: 1, firstLoss: 1 } as never,
      {} as never,
    ),
  'a lock': (folder) => lockDirectory(folder).release(),
  'the state of a trial': (folder) =>
    writeState(folder, { id: 'abc', status: 'RUNNING', attempts: 1 }),
  'an installation': async (folder) => {
    vi.stubEnv('FLN_CACHE_DIR', folder);
    onTestFinished(() => void vi.unstubAllEnvs());
    const build = async (work: { folder: string }) => {
      mkdirSync(join(work.folder, 'node_modules'));
      return { npm: [] };
    };
    const way = { title: 'one', bytes: 1, build, check: async () => ({ text: 'works' }) };
    const recipe = { name: 'thing', summary: '', present: async () => undefined, methods: [way] };
    await install(recipe, { signal: new AbortController().signal, say: () => {} });
  },
};

const answers: Readonly<Record<string, RegExp>> = {
  EIO: /input\/output error/,
  ESTALE: /stale file handle/,
  EDQUOT: /quota/,
  EROFS: /read-only/,
  EXDEV: /cannot rename|EXDEV/,
  EMFILE: /too many open files/,
  ENAMETOOLONG: /too long/,
  ELOOP: /form a loop/,
  ENOLINK: /\(ENOLINK\)/,
  EREMOTEIO: /\(EREMOTEIO\)/,
  '4095': /\(error 4095\)/,
};

describe('an error at any call', () => {
  it.each(Object.entries(writers))('of %s is one plain error', async (_, write) => {
    await write(temporaryFolder());
    const calls = faults.calls;
    expect(calls).toContain('openSync');
    let failures = 0;
    for (const [at, call] of calls.entries()) {
      const [name, reason] = Object.entries(answers)[at % Object.keys(answers).length];
      const folder = temporaryFolder();
      reset((called, path) =>
        faults.calls.length === at + 1 ? systemError(name, syscallOf(called), path) : undefined,
      );
      const error = await Promise.resolve()
        .then(() => write(folder))
        .then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
      reset();
      if (error === undefined) continue;
      failures++;
      expect(error, `${call}, call ${at}: ${name}`).toBeInstanceOf(FlnError);
      expect((error as FlnError).message).toMatch(reason);
      expect((error as FlnError).message).toContain(folder);
      const left = readdirSync(folder, { recursive: true, encoding: 'utf8' });
      expect(left.filter((file) => /\.tmp$|\.partial$/.test(file))).toEqual([]);
    }
    expect(failures).toBeGreaterThan(0);
  });
});

describe('fsync that a file system does not support', () => {
  it('is passed over, with one warning', async () => {
    const heard: string[] = [];
    onTestFinished(onDiskWarning((message) => heard.push(message)));
    for (const name of ['EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP']) {
      reset(always(name, 'fsyncSync'));
      for (const write of Object.values(writers)) await write(temporaryFolder());
    }
    expect(faults.calls).toContain('fsyncSync');
    expect(heard).toHaveLength(1);
    expect(heard[0]).toMatch(/^the file system does not support fsync \(EINVAL\)/);
  });
});

describe('a rename', () => {
  it.each(['EBUSY', 'ETXTBSY', 'EPERM', 'EACCES'])(
    'that is %s for a moment is tried again',
    (name) => {
      const folder = temporaryFolder();
      writeFileSync(join(folder, 'a'), 'content');
      let left = 3;
      reset((call, path) =>
        call === 'renameSync' && left-- > 0 ? systemError(name, 'rename', path) : undefined,
      );
      const pauses: number[] = [];
      renameWithRetry(join(folder, 'a'), join(folder, 'b'), (ms) => pauses.push(ms));
      expect(pauses).toEqual([5, 10, 20]);
      expect(readFileSync(join(folder, 'b'), 'utf8')).toBe('content');
    },
  );

  it('that stays busy is an error with the path and the reason, in less than a second', () => {
    reset(always('EBUSY', 'renameSync'));
    const pauses: number[] = [];
    expect(() => renameWithRetry('a', 'b', (ms) => pauses.push(ms))).toThrow('EBUSY');
    expect(pauses.reduce((sum, ms) => sum + ms)).toBeLessThan(1000);
    const path = join(temporaryFolder(), 'run.json');
    expect(() => writeFileAtomic(path, '')).toThrow(`cannot write ${path}: it is busy: another`);
  });

  it('across a boundary within the file system is no obstacle to deleting a folder', () => {
    const path = join(temporaryFolder(), 'checkpoints');
    mkdirSync(join(path, 'inner'), { recursive: true });
    reset(always('EXDEV', 'renameSync'));
    removeFolderAtomic(path);
    expect(readdirSync(join(path, '..'))).toEqual([]);
  });
});

describe('a checkpoint', () => {
  it('that cannot be read at the moment is not given up for damaged', async () => {
    const folder = temporaryFolder();
    const checkpoints = new Checkpoints(folder);
    const path = join(folder, 'metrics.csv');
    const writer = MetricsWriter.create(path, ['a']);
    const position = { experiment: 'x', label: 'a', seed: 1, batch: 5, wallMs: 1, firstLoss: 1 };
    const madeBy = { program: 'p', backend: 'b', node: 'n' };
    await checkpoints.write({ ...position, metrics: writer.sync(), madeBy }, {} as never);
    writer.close();
    const warnings: string[] = [];
    const csvs = { metrics: path, layers: join(folder, 'layers.csv') };
    const find = () => resumePoint(checkpoints, csvs, (message) => warnings.push(message));
    expect(find()?.position.batch).toBe(5);
    reset(always('ESTALE', 'readFileSync'));
    expect(find).toThrow(/^cannot read .*batch-00000005: the network file system no longer/);
    expect(warnings).toEqual([]);
    reset(always('EIO', 'readFileSync'));
    expect(find()).toBeUndefined();
    expect(warnings).toHaveLength(1);
  });
});

describe('an error of the file system that nobody expected', () => {
  it('names the path and the reason, and no way out that does not fit', () => {
    const said = (name: string, syscall: string) =>
      unexpectedDiskError(systemError(name, syscall, '/a/b'))?.message;
    expect(said('ESTALE', 'scandir')).toBe(
      'cannot read /a/b: the network file system no longer knows it (stale file handle)',
    );
    expect(said('EIO', 'open')).toBe(
      'cannot open /a/b: the disk reported an input/output error. Check the disk',
    );
    expect(said('ENOSPC', 'ftruncate')).toMatch(
      /^cannot write \/a\/b: the disk is full\. Free some/,
    );
    expect(unexpectedDiskError(systemError('EIO', 'read'))).toBeInstanceOf(DiskError);
  });

  it('is nothing else: not the network, a program that is missing, or a bug', () => {
    expect(unexpectedDiskError(systemError('ECONNREFUSED', 'connect'))).toBeUndefined();
    expect(unexpectedDiskError(systemError('ENOENT', 'spawn npm'))).toBeUndefined();
    expect(unexpectedDiskError(new TypeError('x is not a function'))).toBeUndefined();
    const zlib = Object.assign(new Error('bad'), { code: 'Z_DATA_ERROR', errno: -3 });
    expect(unexpectedDiskError(zlib)).toBeUndefined();
  });
});
