import { expect, it } from 'vitest';
import { loadExperiment } from '../../src/config/load.js';
import { runExperiment } from '../../src/experiment/run.js';
import { temporaryFolder } from '../experiment/tiny.js';

const dataDir = process.env.FLN_DATA_DIR;
const isTensorFlow = process.env.FLN_TEST_BACKEND === 'tensorflow';

it.skipIf(!dataDir || !isTensorFlow)(
  'lifted signals train a deep network on CIFAR-10: 75 % in two epochs (needs FLN_DATA_DIR, and TensorFlow)',
  { timeout: 600_000 },
  async () => {
    const { experiment } = loadExperiment('configs/deep/tiny.yaml', ['backend=tensorflow']);
    const outDir = temporaryFolder();
    const result = await runExperiment(experiment, { dataDir, offline: true, outDir });
    expect(result.status).toBe('completed');
    const [{ summary }] = result.runs;
    // On 5,000 held-out images, without flips at test time.
    expect(summary?.finalValidationAccuracy).toBeGreaterThan(0.75);
  },
);
