import { expect, it } from 'vitest';
import { temporaryFolder } from '../experiment/tiny.js';
import { fuzz } from './surface.js';
import { surfaces } from './surfaces/all.js';

/** A few cases, the same in every run of it; fuzz.full.test.ts has more, and others each time. */
it.each(surfaces)('$name that are damaged do no harm: a few', async (surface) => {
  await expect(
    fuzz(surface, { count: 20, seed: 1, folder: temporaryFolder() }),
  ).resolves.toBeUndefined();
});
