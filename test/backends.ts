import { startBackend } from '../src/backend/registry.js';

/**
 * The backend that the numerical tests run on: FLN_TEST_BACKEND, by default `wasm`. One word runs the
 * same tests on another: `FLN_TEST_BACKEND=tensorflow npx vitest run test/methods`.
 */
export const testBackend: string = process.env.FLN_TEST_BACKEND || 'wasm';

/** Starts it; a backend that does not start here fails the tests that were asked to run on it. */
export const startTestBackend = () => startBackend(testBackend);
