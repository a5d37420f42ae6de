import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadExperiment } from '../../src/config/load.js';
import { findTarget } from '../../src/verify/target.js';
import { verify } from '../../src/verify/verify.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Configs that say what they have to reach, and whose runs are committed. */
const judged = readdirSync(join(root, 'configs'))
  .filter((file) => file.endsWith('.yaml'))
  .map((file) => {
    const config = join(root, 'configs', file);
    const { name, expect: expected } = loadExperiment(config).experiment;
    return { name, config, expected, run: join(root, 'results/reference', name) };
  })
  .filter(({ expected, run }) => Object.keys(expected).length > 0 && existsSync(run));

/** The config on the backend that the run was made with. */
function target(config: string, run: string) {
  const { backend } = loadExperiment(join(run, 'config.yaml')).experiment;
  return findTarget({ target: config, overrides: [`backend=${backend}`], runDirectory: run });
}

describe('committed results', () => {
  it('are there for the figures of the paper', () => {
    const names = judged.map(({ name }) => name);
    const figures = ['mnist-lifted', 'mnist-mlp', 'mnist-lenet5', 'cifar10-lenet5'];
    expect(names).toEqual(expect.arrayContaining(figures));
  });

  describe.each(judged)('$name', ({ config, run }) => {
    it('belongs to the config as it is, and reaches what that expects', () => {
      const { experiment, directory } = target(config, run);
      const { methods } = verify(experiment, directory);
      expect(methods.filter(({ verdict }) => verdict === 'failed')).toEqual([]);
    });

    it('comes from a commit of this program, from a clean tree', () => {
      const { directory } = target(config, run);
      const record = directory.info?.json as { git: { commit: string; dirty: boolean } | null };
      expect(record.git?.commit).toMatch(/^[0-9a-f]{40}$/);
      expect(record.git?.dirty).toBe(false);
    });
  });
});
