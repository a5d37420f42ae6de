import { readdirSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { loadDefinition } from '../../../src/data/load.js';
import { startMirror } from '../../data/mirror-server.js';
import { mirrorFiles, names, tinyDataset } from '../../data/tiny-dataset.js';
import { mutated } from '../mutate.js';
import { harmless, type Surface } from '../surface.js';

/** How a mirror answers every request. */
type Answer =
  | { readonly kind: 'status'; readonly code: number; readonly location?: string }
  | { readonly kind: 'damaged'; readonly change: Uint8Array }
  | { readonly kind: 'wrong length'; readonly by: number }
  | { readonly kind: 'endless' | 'drip' | 'silent' | 'cut' | 'bomb' | 'headers' };

const answers: fc.Arbitrary<Answer> = fc.oneof(
  {
    arbitrary: fc.record({
      kind: fc.constant('status' as const),
      code: fc.integer({ min: 200, max: 599 }),
      location: fc.option(
        fc.constantFrom(
          '/data/loop',
          '//nowhere.invalid/',
          'file:///etc/passwd',
          'ftp://x/',
          'http://[',
          '%',
          '\u00e9',
        ),
        { nil: undefined },
      ),
    }),
    weight: 6,
  },
  {
    arbitrary: mutated([mirrorFiles['train-images.gz']]).map((change) => ({
      kind: 'damaged' as const,
      change,
    })),
    weight: 6,
  },
  {
    arbitrary: fc
      .integer({ min: -80, max: 80 })
      .map((by) => ({ kind: 'wrong length' as const, by })),
    weight: 4,
  },
  {
    arbitrary: fc
      .constantFrom('endless', 'cut', 'bomb', 'headers')
      .map((kind) => ({ kind: kind as 'endless' })),
    weight: 4,
  },
  {
    arbitrary: fc.constantFrom('drip', 'silent').map((kind) => ({ kind: kind as 'drip' })),
    weight: 1,
  },
);

/** 64 MB of zeros in 64 KB. */
const bomb = gzipSync(Buffer.alloc(64e6));
const noise = Buffer.alloc(1 << 16, 7);

/** Answers of a mirror that means harm; nothing but verified files may reach the cache. */
export const mirrors: Surface<Answer> = {
  name: 'HTTP answers',
  cases: answers,
  run: async (answer, folder) => {
    const cache = join(folder, 'cache');
    rmSync(cache, { recursive: true, force: true });
    const mirror = await startMirror((name, response) => reply(answer, name, response));
    try {
      await harmless(() =>
        loadDefinition(
          tinyDataset(),
          { name: 'tiny', preprocessing: 'scale' },
          {
            cacheDir: cache,
            mirrors: [mirror.url],
            network: {
              connectMs: 60,
              idleMs: 60,
              totalMs: 150,
              attempts: 1,
              backoffMs: 1,
              redirects: 3,
            },
          },
        ),
      );
    } finally {
      await mirror.close();
    }
    const kept = readdirSync(folder, { recursive: true, encoding: 'utf8', withFileTypes: true });
    const strangers = kept.filter(
      (entry) => entry.isFile() && !names.some((name) => entry.name.startsWith(name)),
    );
    if (strangers.length > 0) throw new Error(`left behind: ${strangers.map(({ name }) => name)}`);
    if (kept.some(({ name }) => name.endsWith('.part')))
      throw new Error('a temporary file is left');
  },
};

function reply(answer: Answer, name: string, response: ServerResponse): void {
  const body = mirrorFiles[name] ?? Buffer.from('x');
  response.on('error', () => {});
  switch (answer.kind) {
    case 'status': {
      const location =
        answer.location === undefined ? {} : { location: encodeURI(answer.location) };
      response.writeHead(answer.code, location).end(answer.code === 200 ? body : 'no');
      return;
    }
    case 'damaged':
      response.writeHead(200, { 'content-length': answer.change.length }).end(answer.change);
      return;
    case 'wrong length':
      response.writeHead(200, { 'content-length': Math.max(0, body.length + answer.by) });
      response.end(body);
      return;
    case 'endless': {
      response.writeHead(200);
      const more = () => {
        while (!response.destroyed && response.write(noise));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
      return;
    }
    case 'drip': {
      response.writeHead(200, { 'content-length': body.length });
      const timer = setInterval(() => response.write('x'), 20);
      response.on('close', () => clearInterval(timer));
      return;
    }
    case 'silent':
      return;
    case 'cut':
      response.writeHead(200, { 'content-length': body.length });
      response.write(body.subarray(0, 5));
      setImmediate(() => response.destroy());
      return;
    case 'bomb':
      response.writeHead(200, { 'content-length': bomb.length }).end(bomb);
      return;
    case 'headers':
      response.writeHead(200, {
        'content-encoding': 'gzip',
        'content-length': '5',
        'x-a': 'y'.repeat(7000),
      });
      response.end('hello');
  }
}
