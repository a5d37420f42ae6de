import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadExperiment } from '../../src/config/load.js';
import { loadRunDirectory } from '../../src/report/run-directory.js';
import { verify } from '../../src/verify/verify.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const reference = join(root, 'results/reference');

/** Committed runs whose config says what they have to reach. */
const judged = readdirSync(reference)
  .map((name) => join(reference, name))
  .filter((directory) => existsSync(join(directory, 'config.yaml')))
  .map((directory) => ({ directory, ...loadExperiment(join(directory, 'config.yaml')) }))
  .filter(({ experiment }) => Object.keys(experiment.expect).length > 0);

describe('committed results', () => {
  it('has some that are judged', () => {
    expect(judged.length).toBeGreaterThan(0);
  });

  it.each(judged.map((run) => [run.experiment.name, run] as const))(
    '%s reaches what its config expects',
    (_, { experiment, directory }) => {
      const { methods } = verify(experiment, loadRunDirectory(directory));
      const failed = methods.filter(({ verdict }) => verdict === 'failed');
      expect(failed).toEqual([]);
    },
  );

  it.each(judged.map((run) => [run.experiment.name, run] as const))(
    '%s comes from a commit of this program, from a clean tree',
    (_, { directory }) => {
      const record = loadRunDirectory(directory).info?.json as {
        git: { commit: string; dirty: boolean } | null;
      };
      expect(record.git?.commit).toMatch(/^[0-9a-f]{40}$/);
      expect(record.git?.dirty).toBe(false);
    },
  );
});
