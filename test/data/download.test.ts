import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DownloadProgress, LoadOptions, NetworkSettings } from '../../src/core/dataset.js';
import { loadDefinition } from '../../src/data/load.js';
import { DataError, ExitCode } from '../../src/errors.js';
import { type Answer, type Mirror, serve, startMirror } from './mirror-server.js';
import {
  filesBelow,
  idxFile,
  mirrorFiles,
  names,
  plainFiles,
  temporaryFolder,
  tinyDataset,
} from './tiny-dataset.js';

const request = { name: 'tiny', preprocessing: 'scale' } as const;
const network: Partial<NetworkSettings> = {
  connectMs: 300,
  idleMs: 150,
  totalMs: 700,
  attempts: 2,
  backoffMs: 5,
};
const complete = names.map((name) => `${name}.gz`).sort();

let cacheDir: string;
let cleanUp: (() => Promise<void>)[];

beforeEach(async () => {
  const folder = await temporaryFolder();
  cacheDir = folder.path;
  cleanUp = [folder.remove];
});
afterEach(async () => {
  for (const each of cleanUp) await each();
});

async function mirror(answer: Answer): Promise<Mirror> {
  const started = await startMirror(answer);
  cleanUp.push(started.close);
  return started;
}

const load = (mirrors: readonly Mirror[], options: LoadOptions = {}, definition = tinyDataset()) =>
  loadDefinition(definition, request, {
    cacheDir,
    mirrors: mirrors.map(({ url }) => url),
    network,
    ...options,
  });

/** The DataError of a load that must fail. */
async function failure(...args: Parameters<typeof load>): Promise<DataError> {
  const error = await load(...args).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DataError);
  expect((error as DataError).exitCode).toBe(ExitCode.data);
  return error as DataError;
}

const body =
  (content: Uint8Array, headers: Record<string, string | number> = {}): Answer =>
  (_name, response) =>
    response.writeHead(200, headers).end(content);

/** Sends a piece at once and then one every `ms`, until the client goes away. */
function drip(response: ServerResponse, piece: Buffer, ms: number): void {
  response.writeHead(200);
  response.write(piece);
  const timer = setInterval(() => response.write(piece), ms);
  response.on('close', () => clearInterval(timer));
}

const images = mirrorFiles['train-images.gz'];
const flipped = Buffer.from(plainFiles['train-images']);
flipped[40] ^= 1;
const wrongMagic = Buffer.from(plainFiles['train-images']);
wrongMagic[3] = 2;

describe('a mirror that does not deliver', () => {
  it.each<[string, Answer, string]>([
    ['404', (_, response) => response.writeHead(404).end(), 'HTTP 404 Not Found'],
    [
      '503',
      (_, response) => response.writeHead(503).end(),
      'HTTP 503 Service Unavailable (2 attempts)',
    ],
    ['an empty body', body(Buffer.alloc(0)), 'the response is empty'],
    [
      'a web page',
      body(Buffer.from('\n<!DOCTYPE html><html>log in</html>')),
      'is a web page, not data',
    ],
    [
      'a web page, gzipped',
      body(gzipSync('<html><body>no</body></html>')),
      'is a web page, not data',
    ],
    ['truncated gzip', body(images.subarray(0, images.length - 9)), 'is a truncated gzip file'],
    ['damaged gzip', body(Buffer.from(images).fill(0xff, 12, 30)), 'is a damaged gzip file'],
    ['one flipped bit', body(gzipSync(flipped)), 'has the wrong content: its SHA-256'],
    [
      'a wrong magic number',
      body(gzipSync(wrongMagic)),
      'magic number 0x00000802, expected 0x00000803',
    ],
    ['a gzip bomb', body(gzipSync(Buffer.alloc(60_000_000))), 'has more than the 256 bytes'],
    [
      'too long a content-length',
      (_, response) => {
        response.writeHead(200, { 'content-length': images.length + 50 });
        response.write(images, () => response.destroy());
      },
      'connection',
    ],
    [
      'a huge content-length',
      body(images, { 'content-length': 9e9 }),
      'Content-Length is 9000000000 bytes',
    ],
    [
      'an endless body',
      (_, response) => drip(response, Buffer.alloc(30_000), 1),
      'more than the file can have',
    ],
    [
      'a slow drip',
      (_, response) => drip(response, Buffer.from([1]), 40),
      'not finished after 0.7 s',
    ],
    [
      'a body that stalls',
      (_, response) => response.writeHead(200).write(Buffer.from([0x1f])),
      'no data for 0.1 s (2 attempts)',
    ],
    ['silence', () => undefined, 'no response for 0.3 s'],
    ['a closed connection', (_, response) => response.destroy(), '(2 attempts)'],
    [
      'a redirect loop',
      (_, response, { url }) => response.writeHead(302, { location: url }).end(),
      'too many redirects',
    ],
  ])('%s: one error, cache clean', async (_, answer, reason) => {
    const bad = await mirror(answer);
    const error = await failure([bad]);
    expect(error.message).toContain(`${bad.url}train-images.gz: `);
    expect(error.message).toContain(reason);
    expect(await filesBelow(cacheDir)).toEqual([]);
  });

  it('label 11: says so', async () => {
    const labels = Buffer.from(plainFiles['train-labels']);
    labels[10] = 11;
    const bad = await mirror(serve({ ...mirrorFiles, 'train-labels.gz': gzipSync(labels) }));
    const error = await failure([bad]);
    expect(error.message).toContain('train-labels.gz: the response has label 11 in record 2');
    expect(await filesBelow(cacheDir)).toEqual(['train-images.gz']);
  });

  it('names every mirror, the files wanted, where it looked and the ways on, in one error', async () => {
    const first = await mirror((_, response) => response.writeHead(404).end());
    const second = await mirror(() => undefined);
    const gone = await startMirror(() => undefined);
    await gone.close();
    const { message } = await failure([first, second, gone]);
    expect(message).toContain(`${first.url}train-images.gz: HTTP 404`);
    expect(message).toContain(`${second.url}train-images.gz: no response`);
    expect(message).toContain(`${gone.url}train-images.gz: connection refused`);
    for (const name of names) expect(message).toContain(`\n  ${name}\n`);
    expect(message).toContain(join(cacheDir, 'tiny'));
    expect(message).toContain('--data-dir DIR or set FLN_DATA_DIR=DIR');
    expect(message).toContain('synthetic-digits');
  });

  it('is not asked again for what cannot pass, and asked again for what can', async () => {
    const missing = await mirror((_, response) => response.writeHead(404).end());
    const busy = await mirror((_, response) => response.writeHead(503).end());
    await failure([missing, busy]);
    expect(missing.requests).toHaveLength(1);
    expect(busy.requests).toHaveLength(2);
  });
});

describe('a download', () => {
  it('recovers from a failure that passes', async () => {
    let calls = 0;
    const good = serve(mirrorFiles);
    const flaky = await mirror((name, response, request) => {
      if (++calls === 1) response.writeHead(500).end();
      else good(name, response, request);
    });
    const dataset = await load([flaky]);
    expect([...dataset.train.labels]).toEqual([...plainFiles['train-labels'].subarray(8)]);
    expect(flaky.requests).toHaveLength(5);
  });

  it('goes on to the second mirror, and asks a dead one only once', async () => {
    const dead = await mirror(() => undefined);
    const good = await mirror(serve(mirrorFiles));
    await load([dead, good]);
    expect(dead.requests).toHaveLength(1);
    expect(good.requests).toEqual(names.map((name) => `${name}.gz`));
    expect(await filesBelow(cacheDir)).toEqual(complete);
  });

  it('follows a redirect, and takes a file that arrives without gzip', async () => {
    const plain = await mirror(body(plainFiles['test-labels']));
    const good = serve(mirrorFiles);
    const front = await mirror((name, response, request) => {
      if (name !== 'test-labels.gz') good(name, response, request);
      else response.writeHead(302, { location: `${plain.url}x` }).end();
    });
    await load([front]);
    expect(await filesBelow(cacheDir)).toEqual([
      'test-images.gz',
      'test-labels',
      'train-images.gz',
      'train-labels.gz',
    ]);
  });

  it('reports its progress in bytes', async () => {
    const good = await mirror(serve(mirrorFiles));
    const seen: DownloadProgress[] = [];
    await load([good], { onProgress: (progress) => seen.push(progress) });
    for (const name of names) {
      const last = seen.filter(({ file }) => file === name).at(-1);
      const size = mirrorFiles[`${name}.gz`].length;
      expect(last).toEqual({
        file: name,
        url: `${good.url}${name}.gz`,
        received: size,
        total: size,
      });
    }
  });

  it('keeps what it has: a second load asks for the missing file alone', async () => {
    const partly = await mirror(serve({ ...mirrorFiles, 'test-labels.gz': Buffer.alloc(0) }));
    await failure([partly]);
    const good = await mirror(serve(mirrorFiles));
    await load([good]);
    expect(good.requests).toEqual(['test-labels.gz']);
    await load([], { offline: true });
  });

  it('replaces a damaged cached file, with a warning; offline it is an error', async () => {
    const good = await mirror(serve(mirrorFiles));
    await load([good]);
    const path = join(cacheDir, 'tiny', 'test-labels');
    await writeFile(path, idxFile([6], [1, 2, 3, 4, 5, 6]));
    const { message } = await failure([good], { offline: true });
    expect(message).toContain(`${path} has the wrong content`);
    expect(message).toContain('Delete this cached file');
    const warnings: string[] = [];
    await load([good], { onWarning: (warning) => warnings.push(warning) });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(path);
    expect(await filesBelow(cacheDir)).toEqual(complete);
  });

  it('may run several times at once', async () => {
    const good = await mirror(serve(mirrorFiles));
    await Promise.all([load([good]), load([good]), load([good])]);
    expect(await filesBelow(cacheDir)).toEqual(complete);
    await load([], { offline: true });
  });

  it('stops at an abort with its reason, leaving nothing half done', async () => {
    const slow = await mirror((_, response) => drip(response, Buffer.from([0x1f]), 20));
    const controller = new AbortController();
    const reason = new Error('enough');
    const loading = load([slow], {
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await expect(loading).rejects.toBe(reason);
    expect(await filesBelow(cacheDir)).toEqual([]);
  });

  it('sweeps the temporary files of processes killed long ago, and no others', async () => {
    const folder = join(cacheDir, 'tiny');
    await mkdir(folder);
    await writeFile(join(folder, 'old.part'), 'x');
    await writeFile(join(folder, 'new.part'), 'x');
    await utimes(join(folder, 'old.part'), 1, 1);
    await load([await mirror(serve(mirrorFiles))]);
    expect(await filesBelow(cacheDir)).toEqual(['new.part', ...complete]);
  });

  it('says so when the cache cannot be written', async () => {
    const file = join(cacheDir, 'file');
    await writeFile(file, '');
    const good = await mirror(serve(mirrorFiles));
    const { message } = await failure([good], { cacheDir: file });
    expect(message).toContain('Cannot write to the cache folder');
    expect(message).toContain('FLN_CACHE_DIR');
    expect(await readFile(file, 'utf8')).toBe('');
  });

  it.runIf(process.platform === 'linux')(
    'and does not wait where no folder can be made',
    async () => {
      const good = await mirror(serve(mirrorFiles));
      const { message } = await failure([good], { cacheDir: '/proc/fln-test' });
      expect(message).toContain('Cannot write to the cache folder /proc/fln-test');
    },
  );
});
