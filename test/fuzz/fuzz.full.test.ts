import { expect, it } from 'vitest';
import { temporaryFolder } from '../experiment/tiny.js';
import { fuzz } from './surface.js';
import { surfaces } from './surfaces/all.js';

/** A small edition of scripts/fuzz.ts, with other cases in every run of it. */
it.each(surfaces)('$name that are damaged do no harm', async (surface) => {
  const count = surface.name === 'HTTP answers' ? 100 : 200;
  await expect(
    fuzz(surface, { count, seed: Date.now() & 0x7fffffff, folder: temporaryFolder() }),
  ).resolves.toBeUndefined();
});
