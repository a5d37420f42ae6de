import { once, secondsOf } from './values.js';

/** Options that several commands have, in the same words. */

export const dataDir = {
  type: 'string',
  describe: 'folder with data files, searched before the cache (also FLN_DATA_DIR)',
  coerce: once('data-dir'),
} as const;

export const offline = { type: 'boolean', describe: 'never download' } as const;

export const checkpointing = {
  'checkpoint-every': {
    type: 'string',
    describe:
      'seconds between checkpoints; 0: when interrupted only. Default 60, rarer where they are slow',
    coerce: secondsOf('checkpoint-every'),
  },
  'keep-checkpoints': {
    type: 'boolean',
    describe: 'keep the checkpoints of completed runs, and make a last one',
  },
} as const;
