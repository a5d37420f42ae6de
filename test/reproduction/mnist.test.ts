import { expect, it } from 'vitest';
import { firstBatches, trainDigits } from './digits.js';

const dataDir = process.env.FLN_DATA_DIR;

it.skipIf(!dataDir)(
  'Figure 2 in its first 50 batches: Fenchel is past 0.955, ahead of tuned Adam (needs FLN_DATA_DIR)',
  async () => {
    const { accuracy } = await trainDigits(firstBatches, ['fenchel', 'adam-tuned'], dataDir);
    expect(accuracy.fenchel).toBeGreaterThan(0.955);
    expect(accuracy['adam-tuned']).toBeGreaterThan(0.8);
    expect(accuracy.fenchel).toBeGreaterThan(accuracy['adam-tuned']);
  },
);
