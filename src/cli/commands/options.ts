import { once } from './values.js';

/** Options that several commands have, in the same words. */

export const dataDir = {
  type: 'string',
  describe: 'folder with data files, searched before the cache (also FLN_DATA_DIR)',
  coerce: once('data-dir'),
} as const;

export const offline = { type: 'boolean', describe: 'never download' } as const;
