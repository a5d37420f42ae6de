import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse as parseYamlText } from 'yaml';
import { z } from 'zod';
import { schemaCommand } from '../../src/cli/commands/schema.js';
import { loadExperiment } from '../../src/config/load.js';
import { resolvedYaml } from '../../src/config/print.js';
import { experimentSchemaText } from '../../src/config/schema.js';
import { UsageError } from '../../src/errors.js';
import { experimentText } from './helpers.js';

const root = join(import.meta.dirname, '../..');
const configs = readdirSync(join(root, 'configs')).filter((name) => name.endsWith('.yaml'));
/** Those in subfolders too, without sweeps and search spaces. */
const experiments = readdirSync(join(root, 'configs'), {
  recursive: true,
  encoding: 'utf8',
}).filter(
  (name) =>
    name.endsWith('.yaml') &&
    readFileSync(join(root, 'configs', name), 'utf8').includes('schemas/experiment.json'),
);

describe('config files', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'fln-config-'));
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'quickstart.yaml'), experimentText());
    writeFileSync(join(folder, 'utf16.yaml'), Buffer.from(`\uFEFF${experimentText()}`, 'utf16le'));
    writeFileSync(join(folder, 'large.yaml'), `#${' '.repeat(1024 * 1024)}`);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const refusal = (name: string) => {
    try {
      loadExperiment(join(folder, name));
    } catch (error) {
      if (error instanceof UsageError) return error.message.replaceAll(folder, 'DIR');
      throw error;
    }
    throw new Error(`${name} was accepted`);
  };

  it.each([
    ['quikstart.yml', 'DIR/quikstart.yml: no such file; did you mean "DIR/quickstart.yaml"?'],
    ['quickstart.json', 'DIR/quickstart.json: no such file; did you mean "DIR/quickstart.yaml"?'],
    [
      'zebra.yaml',
      'DIR/zebra.yaml: no such file; DIR contains large.yaml, quickstart.yaml, utf16.yaml',
    ],
    ['no/zebra.yaml', 'DIR/no/zebra.yaml: no such file'],
    ['quickstart.yaml/x', 'DIR/quickstart.yaml/x: no such file'],
    ['sub', 'DIR/sub: is a folder, not a config file'],
    [
      '.',
      'DIR: is a folder, not a config file; it contains large.yaml, quickstart.yaml, utf16.yaml',
    ],
    ['utf16.yaml', 'DIR/utf16.yaml: is not UTF-8 text; if it is a config, save it as UTF-8.'],
    [
      'large.yaml',
      'DIR/large.yaml: is larger than 1 MiB, the maximum size of a config; is it the right file?',
    ],
  ])('%s', (name, expected) => {
    expect(refusal(name)).toBe(expected);
  });

  it('a good one names itself in origins', () => {
    const { origins } = loadExperiment(join(folder, 'quickstart.yaml'), ['epochs=1']);
    expect(origins.batchSize).toBe(`${join(folder, 'quickstart.yaml')}:5`);
    expect(origins.epochs).toBe('command line');
  });
});

describe('the JSON Schema', () => {
  const schema = z.fromJSONSchema(JSON.parse(experimentSchemaText()));

  it('is the committed one; if not: npx fln schema --out schemas/experiment.json', () => {
    expect(readFileSync(join(root, 'schemas/experiment.json'), 'utf8')).toBe(
      experimentSchemaText(),
    );
  });

  it.each(experiments)('accepts configs/%s, as written and resolved', (name) => {
    const file = join(root, 'configs', name);
    expect(schema.safeParse(parseYamlText(readFileSync(file, 'utf8'))).error).toBeUndefined();
    const resolved = parseYamlText(resolvedYaml(loadExperiment(file).experiment));
    expect(schema.safeParse(resolved).error).toBeUndefined();
  });

  it.each([
    ['an unknown key', { epoch: 3 }],
    ['a wrong type', { epochs: 'three' }],
    ['an unknown method', { methods: [{ name: 'fenchl' }] }],
    ['a setting of another method', { methods: [{ name: 'sgd', beta1: 0.9 }] }],
    ['seed 0', { seeds: [0] }],
  ])('refuses %s', (_, change) => {
    const config = parseYamlText(experimentText());
    expect(schema.safeParse(config).success).toBe(true);
    expect(schema.safeParse({ ...config, ...change }).success).toBe(false);
  });

  it('is written to a file by --out, or refused in plain words', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fln-schema-'));
    const run = async (out: string) => schemaCommand.handler({ out, _: [], $0: 'fln' });
    await run(join(folder, 'schema.json'));
    expect(readFileSync(join(folder, 'schema.json'), 'utf8')).toBe(experimentSchemaText());
    await expect(run(join(folder, 'no', 'schema.json'))).rejects.toThrow(
      /its folder does not exist, or refuses new entries$/,
    );
    rmSync(folder, { recursive: true });
  });
});

describe('the committed configs', () => {
  it.each(configs)('%s points editors to the schema and is named after its file', (name) => {
    const file = join(root, 'configs', name);
    const text = readFileSync(file, 'utf8');
    expect(text).toMatch(/^# yaml-language-server: \$schema=\.\.\/schemas\/experiment\.json\n/);
    expect(loadExperiment(file).experiment.name).toBe(name.replace('.yaml', ''));
  });
});

it('a config is validated without loading the tensor library', () => {
  const script = `
    await import('./src/config/load.ts');
    await import('./src/config/print.ts');
    await import('./src/cli/commands/schema.ts');
    console.log(globalThis._tfGlobals === undefined);`;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', script],
    { cwd: root, encoding: 'utf8' },
  );
  expect(stderr).toBe('');
  expect(stdout.trim()).toBe('true');
});
