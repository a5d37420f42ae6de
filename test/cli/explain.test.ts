import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lookUp, reference, referenceMarkdown } from '../../src/cli/reference.js';
import { methods } from '../../src/core/methods/registry.js';
import { metricsColumns, runFiles } from '../../src/runs/columns.js';
import { commonColumns } from '../../src/runs/metrics.js';
import { temporaryFolder } from '../experiment/tiny.js';
import { fln } from './fln.js';

const sections = reference();

describe('the reference', () => {
  it('describes every field that has more than one possible value', () => {
    const bare = sections
      .flatMap(({ entries }) => entries)
      .filter(({ name, description, values, type }) => {
        const isFixed = /\.(name|solver|preset)$/.test(name) || type === 'any value';
        return description === '' && !isFixed && values === undefined;
      });
    expect(bare.map(({ name }) => name)).toEqual([]);
  });

  it('describes the common columns and those of every method, and no others', async () => {
    const validation = [
      ...['validation_loss', 'validation_accuracy'],
      ...['test_accuracy_flips', 'validation_accuracy_flips', 'prequential_accuracy'],
    ];
    const own = await Promise.all(
      methods.map(async ({ load, schema, name, solver }) => {
        const { columns } = await load();
        const required = {
          name,
          ...(solver && { solver }),
          ...(name === 'sgd' || name === 'adam' ? { learningRate: 1 } : {}),
        };
        const config = (extra: object) => schema.parse({ ...required, ...extra });
        const variants: Record<string, object[]> = {
          'full-batch': [{ variant: 'plain', weightUpdate: 'solve' }],
          exact: [{ xSolve: 'joint' }],
        };
        return [...(variants[solver ?? ''] ?? []), {}].flatMap(
          (extra) => columns?.(config(extra)) ?? [],
        );
      }),
    );
    const all = new Set([...commonColumns, ...validation, ...own.flat()]);
    expect(Object.keys(metricsColumns).toSorted()).toEqual([...all].toSorted());
  });

  it('gives the defaults and limits of the schemas', () => {
    const [section] = lookUp(sections, 'methods.fenchel.momentum');
    expect(section.entries[0]).toMatchObject({ type: 'number >= 0 and < 1', default: '0.5' });
    expect(lookUp(sections, 'evaluate.every')[0].entries[0].default).toBe('10');
    expect(lookUp(sections, 'batchSize')[0].entries[0].type).toBe('positive integer or full');
  });

  it('finds blocks, list elements, fields by their last name, columns and files', () => {
    const names = (name: string) =>
      lookUp(sections, name).flatMap(({ entries }) => entries.map((entry) => entry.name));
    expect(names('evaluate')).toContain('evaluate.test');
    expect(names('network.layers.1.conv')).toEqual(['network.layers.N.conv']);
    expect(names('rmsChange')).toEqual([
      'methods.fenchel.rmsChange',
      'methods.foof.rmsChange',
      'methods.kfac.rmsChange',
    ]);
    expect(names('learningRate')).toEqual([
      'methods.sgd.learningRate',
      'methods.adam.learningRate',
      'methods.kfac.learningRate',
      'methods.muon.learningRate',
      'methods.soap.learningRate',
    ]);
    expect(names('run.json')).toEqual(['run.json']);
    expect(names('metrics.csv')).toEqual(Object.keys(metricsColumns));
    expect(names('files')).toEqual(Object.keys(runFiles));
    expect(names('nothing')).toEqual([]);
  });
});

it('docs/reference.md is what "fln explain --markdown" writes', () => {
  const path = new URL('../../docs/reference.md', import.meta.url);
  expect(
    readFileSync(path, 'utf8') === referenceMarkdown(reference()),
    'write it again: npm run build && node bin/fln.js explain --markdown --out docs/reference.md',
  ).toBe(true);
});

describe('fln explain', () => {
  it('explains a field with type, default and what to try', async () => {
    const { code, stdout } = await fln(['explain', 'rmsChange'], { cwd: temporaryFolder() });
    expect(code).toBe(0);
    expect(stdout).toContain('type: number > 0; default: 0.025');
    expect(stdout).toContain('when training diverges, try a smaller value');
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  it('suggests a name, and refuses what it cannot write', async () => {
    const cwd = temporaryFolder();
    const unknown = await fln(['explain', 'rmsChagne'], { cwd });
    expect({ code: unknown.code, stdout: unknown.stdout }).toEqual({ code: 2, stdout: '' });
    expect(unknown.stderr).toContain(
      'no field, column or file "rmsChagne"; did you mean "rmsChange"?',
    );
    const both = await fln(['explain', '--json', '--markdown'], { cwd });
    expect(both.code).toBe(2);
    const folder = await fln(['explain', 'loss', '--out', 'absent/x.md'], { cwd });
    expect(folder.code).toBe(2);
    expect(folder.stderr).toContain('its folder does not exist');
  });

  it('prints JSON and Markdown', async () => {
    const cwd = temporaryFolder();
    const { stdout } = await fln(['explain', 'methods.adam', '--json'], { cwd });
    expect(JSON.parse(stdout)[0].entries.map(({ name }: { name: string }) => name)).toContain(
      'methods.adam.beta1',
    );
    await fln(['explain', 'loss', '--markdown', '--out', 'loss.md'], { cwd });
    expect(readFileSync(join(cwd, 'loss.md'), 'utf8')).toContain(
      '| `loss` | cross-entropy &#124; mse | "cross-entropy" | training loss |',
    );
  });
});
