import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { tinyExperiments } from '../../scripts/robustness/experiments.js';
import { fln, workplace } from '../cli/fln.js';
import { untimed } from '../experiment/tiny.js';

const golden = fileURLToPath(new URL('../golden/csv', import.meta.url));

/**
 * The first 20 batches of every method, on wasm: the same bytes on every machine and Node. Where a change
 * is meant to change them: FLN_UPDATE_GOLDEN=1 npx vitest run test/reproduction/golden-csv.test.ts
 */
describe.each(tinyExperiments(2, 20))(
  'golden CSVs of $name networks',
  ({ name, config, labels }) => {
    it('are the bytes that every method writes', async () => {
      const cwd = workplace(config);
      const { code, stderr } = await fln(['run', 'tiny.yaml', '--out', 'run'], { cwd });
      expect(code, stderr).toBe(0);
      for (const label of labels) {
        const measured = untimed(join(cwd, 'run', `${label}-s1`, 'metrics.csv'));
        const path = join(golden, `${name}-${label}.csv`);
        if (process.env.FLN_UPDATE_GOLDEN) {
          mkdirSync(golden, { recursive: true });
          writeFileSync(path, measured);
        }
        expect(measured.trimEnd().split('\n')).toHaveLength(21);
        expect(measured, path).toBe(readFileSync(path, 'utf8'));
      }
    });
  },
);
