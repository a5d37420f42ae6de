import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// Tests that are not asked to run on another backend see nothing that is installed or cached on this
// machine: `auto` means the same everywhere.
const cache = process.env.FLN_TEST_BACKEND
  ? {}
  : { FLN_CACHE_DIR: mkdtempSync(join(tmpdir(), 'fln-test-cache-')), FLN_TENSORFLOW_DIR: '' };

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    env: cache,
    // Numerical tests share two cores with the wasm backend; slow ones say so themselves.
    testTimeout: 180_000,
    maxWorkers: 2,
  },
});
