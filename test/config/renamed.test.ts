import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { loadExperiment } from '../../src/config/load.js';
import { printConfig, resolvedYaml } from '../../src/config/print.js';
import { experimentSchemaText } from '../../src/config/schema.js';
import type { MethodDefinition } from '../../src/core/methods/method.js';
import { readSettings } from '../../src/runs/settings.js';
import { loadSweep } from '../../src/sweep/load.js';
import { findTarget } from '../../src/verify/target.js';
import { temporaryFolder } from '../experiment/tiny.js';
import { injectRuns } from '../verify/inject.js';
import { experimentText, issuesOf, parse } from './helpers.js';

vi.mock('../../src/core/methods/registry.js', async (original) => {
  const registry = await original<{ methods: readonly MethodDefinition[] }>();
  const shared = { name: z.literal('fake'), label: z.string().optional() };
  const fast = {
    name: 'fake',
    solver: 'preconditioned',
    isDefault: true,
    summary: 'fake, fast',
    schema: z.strictObject({
      ...shared,
      solver: z.literal('preconditioned').default('preconditioned'),
      maxChange: z.number().positive().default(0.25),
      damping: z.union([z.number(), z.array(z.number())]).default(2),
      preconditioner: z.enum(['low-rank', 'full']).default('low-rank'),
    }),
    renamed: {
      fields: { radius: 'maxChange', metric: 'preconditioner' },
      values: { solver: { quick: 'preconditioned' }, preconditioner: { exact: 'full' } },
      removed: { rank: 'use preconditioner: full, or leave it out' },
    },
    load: () => Promise.reject(new Error('not trained here')),
  };
  const exact = {
    ...fast,
    solver: 'exact',
    isDefault: false,
    schema: z.strictObject({
      ...shared,
      solver: z.literal('exact'),
      rank: z.int().default(3),
    }),
    renamed: undefined,
  };
  return { ...registry, methods: [...registry.methods, fast, exact] };
});

const withMethods = (methods: string) => experimentText({ methods });
const configOf = (methods: string, overrides: string[] = []) =>
  parse(withMethods(methods), overrides).experiment.methods[0].config;
const warningsOf = (methods: string, overrides: string[] = []) =>
  parse(withMethods(methods), overrides).warnings.map((text) => text.split('\n', 1)[0]);

const old = '[{ name: fake, solver: quick, radius: 0.5, metric: exact }]';
const now =
  '[{ name: fake, solver: preconditioned, maxChange: 0.5, preconditioner: full, damping: 2 }]';

describe('an old name of a field or a value', () => {
  it('works as the new one, in the hash, in the printed config and in its origins, too', () => {
    const loaded = parse(withMethods(old));
    const { experiment } = parse(withMethods(now));
    expect(loaded.experiment.resolved).toEqual(experiment.resolved);
    expect(loaded.experiment.hash).toBe(experiment.hash);
    expect(printConfig(loaded)).toMatch(/maxChange: 0\.5 +# trial\.yaml:7/);
    expect(printConfig(loaded)).not.toMatch(/radius|quick|metric/);
  });

  it('is named once, with its place and the new name', () => {
    expect(warningsOf(now)).toEqual([]);
    expect(warningsOf(old)).toEqual([
      'trial.yaml:7:33 methods.0.solver: quick is now called preconditioned; the old name still works',
      'trial.yaml:7:40 methods.0.radius: is now called maxChange; the old name still works',
      'trial.yaml:7:53 methods.0.metric: is now called preconditioner; the old name still works',
      'trial.yaml:7:61 methods.0.preconditioner: exact is now called full; the old name still works',
    ]);
    const anchored =
      '[{ <<: &a { name: fake, radius: 1 }, label: a }, { <<: *a, label: b }, { name: fake }]';
    expect(warningsOf(anchored)).toHaveLength(1);
  });

  it('is an override, too, which wins over the file whatever names both use', () => {
    for (const field of ['radius', 'maxChange']) {
      for (const override of ['radius', 'maxChange']) {
        const text = `[{ name: fake, ${field}: 1 }]`;
        expect(configOf(text, [`methods.fake.${override}=3`]).maxChange).toBe(3);
      }
    }
    expect(configOf('[{ name: fake }]', ['methods.0={ name: fake, radius: 3 }'])).toEqual(
      configOf('[{ name: fake, maxChange: 3 }]'),
    );
    expect(warningsOf('[{ name: fake }]', ['methods.fake.radius=3'])).toEqual([
      'command line: methods.fake.radius=3 (methods.0.radius): is now called maxChange; the old name still works',
    ]);
  });

  it('beside the new one is a mistake', () => {
    expect(issuesOf(withMethods('[{ name: fake, maxChange: 1, radius: 1 }]'))).toEqual([
      'methods.0.radius: is the old name of maxChange, which is given too; remove one of them',
    ]);
  });

  it('does not hold for another solver, which may have a field of that name', () => {
    expect(configOf('[{ name: fake, solver: exact, rank: 5 }]').rank).toBe(5);
    expect(issuesOf(withMethods('[{ name: fake, solver: exact, radius: 5 }]'))).toEqual([
      'methods.0.radius: belongs to solver preconditioned, and this is solver exact',
    ]);
    expect(issuesOf(withMethods('[{ name: adam, radius: 5 }]'))[0]).toContain('unknown key');
  });

  it('is not in suggestions or the JSON Schema, and a slip in the value is told under the new name', () => {
    expect(experimentSchemaText()).not.toMatch(/"(radius|metric|quick)"/);
    expect(issuesOf(withMethods('[{ name: fake, radiu: 5 }]'))[0]).not.toContain('"radius');
    expect(issuesOf(withMethods('[{ name: fake, radius: x }]'))).toEqual([
      'methods.0.maxChange: must be a number, not "x"',
    ]);
    expect(issuesOf(`${withMethods('[{ name: fake }]')}radius: 2\n`)).toEqual([
      'radius: is a field of a method: methods.fake.radius (solver preconditioned)',
    ]);
  });
});

it('a field that was removed fails with what to do instead', () => {
  expect(issuesOf(withMethods('[{ name: fake, rank: 5 }]'))).toEqual([
    'methods.0.rank: was removed; use preconditioner: full, or leave it out',
  ]);
});

it('a sweep may use old names: one warning for each, whatever the number of trials', () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'base.yaml'), withMethods(old));
  const sweep = join(folder, 'sweep.yaml');
  const write = (field: string, values: string) =>
    writeFileSync(
      sweep,
      `name: old\nconfig: base.yaml\nparameters: { methods.fake.${field}: ${values} }\n`,
    );
  write('radius', '[0.1, 0.2, 0.3]');
  const { trials, warnings } = loadSweep(sweep, ['methods.fake.metric=low-rank']);
  expect(trials.map(({ experiment }) => experiment.methods[0].config.maxChange)).toEqual([
    0.1, 0.2, 0.3,
  ]);
  expect(warnings.filter((text) => text.startsWith(`${sweep}:3:`))).toHaveLength(1);
  expect(warnings.filter((text) => text.startsWith('command line'))).toHaveLength(1);
  write('maxChange', '[0.1, 0.2, 0.3]');
  const renamed = loadSweep(sweep, ['methods.fake.metric=low-rank']);
  expect(renamed.trials.map(({ id }) => id)).toEqual(trials.map(({ id }) => id));
  write('rank', '[1]');
  expect(() => loadSweep(sweep)).toThrow(/sweep\.yaml:3:\d+ .*: 1 .*was removed; use precond/);
});

it('the config.yaml of a run directory may use old names: without a warning, and under the hash of the new', () => {
  const folder = temporaryFolder();
  const text = withMethods(now).concat('expect: { fake: { paper: 0.9 } }\n');
  const run = injectRuns(join(folder, 'run'), text, { fake: [0.9, 0.9] });
  const config = join(run, 'config.yaml');
  const written = readFileSync(config, 'utf8')
    .replace('maxChange', 'radius')
    .replace('solver: preconditioned', 'solver: quick');
  writeFileSync(config, written);
  for (const name of ['solver: quick', 'radius: 0.5']) expect(written).toContain(name);
  const today = join(folder, 'now.yaml');
  writeFileSync(today, text);

  const found = findTarget({ target: today, overrides: [], runDirectory: run });
  expect(found.warnings).toEqual([]);
  const own = findTarget({ target: run, overrides: [] });
  expect(own.warnings).toEqual([]);
  expect(own.experiment.hash).toBe(found.experiment.hash);
  expect(resolvedYaml(own.experiment)).not.toContain('radius');
  expect(readSettings(written).get('methods.fake.maxChange')).toBe(0.5);
  expect(readSettings(written).get('methods.fake.solver')).toBe('preconditioned');

  // As the config of a new run it warns.
  expect(loadExperiment(config).warnings).toHaveLength(2);
});
