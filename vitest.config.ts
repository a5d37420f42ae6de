import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// Tests that are not asked to run on another backend see nothing that is installed or cached on this
// machine: `auto` means the same everywhere.
const cache = process.env.FLN_TEST_BACKEND
  ? {}
  : { FLN_CACHE_DIR: mkdtempSync(join(tmpdir(), 'fln-test-cache-')), FLN_TENSORFLOW_DIR: '' };

// Nor a proxy of this machine: the mirrors that are tested are on it.
const proxies = Object.fromEntries(
  ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy']
    .flatMap((name) => [name, name.toUpperCase()])
    .map((name) => [name, '']),
);

const full = 'test/**/*.full.test.ts';

/**
 * Tests that change what later ones in the same process see (modules, variables, functions, the tensor library's backends), or
 * measure the process: each has one of its own. All others share one process per worker, which loads the tensor library once.
 */
const changes =
  /\bvi\.(mock|doMock|hoisted|stubEnv|spyOn|useFakeTimers)\b|\bprocess\.(chdir|resourceUsage)\b/;
const tests = new URL('test/', import.meta.url);
const isolated = readdirSync(tests, { recursive: true, encoding: 'utf8' })
  .map((name) => `test/${name.replaceAll('\\', '/')}`)
  .filter((file) => file.endsWith('.test.ts') && !file.endsWith('.full.test.ts'))
  .filter(
    (file) =>
      file.startsWith('test/backend/') ||
      changes.test(readFileSync(new URL(file, import.meta.url), 'utf8')),
  );

// `npm run test:node` leaves out the arithmetic of tensors, which does not depend on the version of Node.
const leftOut =
  process.env.FLN_TEST_NUMERICS === 'skip' ? ['test/{solvers,network,methods,reference}/**'] : [];

/** The last line of a run that could not test everything. */
const skippedData = {
  onTestRunEnd() {
    if (process.env.FLN_DATA_DIR) return;
    console.log('Tests on real data were skipped: FLN_DATA_DIR=DIR runs them (docs/data.md).');
  },
};

export default defineConfig({
  test: {
    env: { ...cache, ...proxies },
    reporters: ['default', skippedData],
    // Against a test that hangs, not against a slow machine: no test fails for other work beside it.
    testTimeout: 30 * 60_000,
    hookTimeout: 30 * 60_000,
    maxWorkers: 2,
    projects: [
      // `npm test`: everything that a few minutes on two cores can tell.
      {
        extends: true,
        test: {
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: [full, ...leftOut, ...isolated],
          // Other backends than wasm hold memory of drivers and devices.
          isolate: Boolean(process.env.FLN_TEST_BACKEND),
        },
      },
      { extends: true, test: { name: 'fast-isolated', include: isolated, exclude: leftOut } },
      // `npm run test:full`: the same kinds of test with more cases, and what is slow by nature.
      { extends: true, test: { name: 'full', include: [full] } },
    ],
  },
});
