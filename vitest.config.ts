import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Numerical tests share two cores with the wasm backend; slow ones say so themselves.
    testTimeout: 180_000,
    maxWorkers: 2,
  },
});
