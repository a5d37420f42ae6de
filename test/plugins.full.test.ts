import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import type * as Api from '../src/index.js';
import type * as Testing from '../src/testing/conformance.js';
import { fln } from './cli/fln.js';
import { temporaryFolder } from './experiment/tiny.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const examples = join(root, 'docs/examples/plugins');

/** Plugins are modules for Node: they meet the built program, as its users' do. */
const api: typeof Api = await import(join(root, 'dist/index.js'));
const testing: typeof Testing = await import(join(root, 'dist/testing.js'));

const config = (plugin: string, method = 'sgd') => `
name: own
plugins: [${plugin}]
dataset: { name: synthetic-digits }
network: { layers: [{ dense: 5, activation: relu }, { dense: 10 }] }
epochs: 1
batchSize: 100
seeds: [1]
methods: [{ name: ${method} }]
`;

/** What a config says about a plugin with this text. */
function errorOf(text: string | undefined, name = 'own.mjs', method = 'sgd'): string {
  const folder = temporaryFolder();
  if (text !== undefined) writeFileSync(join(folder, name), text);
  try {
    api.parseExperiment(config(name, method), join(folder, 'x.yaml'));
  } catch (error) {
    expect(error).toBeInstanceOf(api.FlnError);
    return (error as Error).message.replaceAll(`${folder}/`, '');
  }
  return '';
}

const method = `{ name: 'mine', summary: 'x', init: () => 1, step: async () => 1, parameters: () => [] }`;
const exported = (entry: string) => `export default (api) => ${entry};`;
const activation = (more: string) =>
  exported(
    `api.defineActivation({ name: 'mine', maxSlope: 1, phi: (u) => u, slope: (u) => u, conjugate: (u) => u, float64: { F: (v) => v ** 2 / 2, conjugate: (u) => u ** 2 / 2 }, ${more} })`,
  );

describe('a plugin that cannot be used is one sentence', () => {
  const strips = (process.features as { typescript?: unknown }).typescript;
  it.each<[string, string | undefined, string, string?]>([
    [
      'no such file',
      undefined,
      'x.yaml:3:11 plugins.0: own.mjs: no such file; paths of plugins are relative to the config',
    ],
    [
      'a syntax error',
      'const a = 1;\nconst b = = 2;\n',
      "own.mjs: SyntaxError: Unexpected token '=' (at own.mjs:2)",
    ],
    [
      'an error on import',
      'throw new Error("no luck");',
      'own.mjs: failed while it was loaded: Error: no luck (at own.mjs:1:7)',
    ],
    [
      'no default export',
      'export const a = 1;',
      'own.mjs: has no default export, expected export default (',
    ],
    [
      'no definition',
      'export default { name: "x" };',
      'own.mjs: the default export is an object, expected the result of one of defineMethod',
    ],
    ['an empty list', 'export default [];', 'own.mjs: the list of definitions is empty'],
    [
      'an error in its function',
      'export default () => missing;',
      'own.mjs: its default export failed: ReferenceError: missing is not defined (at own.mjs:1:',
    ],
    [
      'a missing package',
      'import x from "no-such-package"; export default x;',
      'own.mjs: imports the package no-such-package, which is not installed there; run "npm install no-such-package"',
    ],
    [
      'top-level await',
      'await new Promise(() => {}); export default 1;',
      'own.mjs: has a top-level await, which plugins must not have',
    ],
    [
      'another kind of file',
      'x',
      'own.txt: expected a module: .mjs, .js, .cjs, .ts or .mts',
      'own.txt',
    ],
    [
      'TypeScript',
      'const a: number = 1; export default a;',
      strips
        ? 'own.ts: the default export is number'
        : `own.ts: Node ${process.version} does not run TypeScript; use Node 22.18 or later, or compile it to .mjs`,
      'own.ts',
    ],
    [
      'a method without step',
      exported(`api.defineMethod({ ...${method}, step: undefined })`),
      'own.mjs: the default export (method "mine"): step must be a function',
    ],
    [
      'an unknown key',
      exported(`[api.defineMethod({ ...${method}, stepp: 1 })]`),
      'own.mjs: entry 1 (method "mine"): stepp unknown key; did you mean "step"?',
    ],
    [
      'a field that is no schema',
      exported(`api.defineMethod({ ...${method}, fields: { rate: 0.1 } })`),
      'fields.rate must be a zod schema',
    ],
    [
      'a field that every method has',
      exported(`api.defineMethod({ ...${method}, fields: { epochs: api.z.int() } })`),
      'fields.epochs is a field of every method',
    ],
    [
      'a preset with a wrong value',
      exported(
        `api.defineMethod({ ...${method}, fields: { rate: api.z.number() }, presets: { fast: { rate: 'x' } } })`,
      ),
      'presets.fast.rate is "x", which its schema refuses',
    ],
    [
      'a name that is taken',
      exported(`api.defineMethod({ ...${method}, name: 'adam' })`),
      'own.mjs: method "adam" is built in; choose another name',
    ],
    [
      'a name twice',
      exported(`[api.defineMethod(${method}), api.defineMethod(${method})]`),
      'own.mjs: method "mine" is defined twice',
    ],
    [
      'an invalid name',
      exported(`api.defineMethod({ ...${method}, name: 'My Method' })`),
      'name must be lower-case letters',
    ],
    [
      'phi that decreases',
      activation('float64: { F: (v) => -(v ** 2) / 2, conjugate: (u) => -(u ** 2) / 2 }'),
      'own.mjs: activation "mine": phi, the derivative of float64.conjugate, decreases between',
    ],
    [
      'F that is not conjugate',
      activation('float64: { F: (v) => v ** 2, conjugate: (u) => u ** 2 / 2 }'),
      'float64.F and float64.conjugate are not conjugate: at u = -5.97, with phi(u) = -5.97',
    ],
    ['a slope above maxSlope', activation('maxSlope: 0.5'), 'phi has the slope 1 near'],
  ])('%s', (_, text, expected, name) => {
    expect(errorOf(text, name)).toContain(expected);
  });

  it('a folder', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'own'));
    expect(() => api.parseExperiment(config('own'), join(folder, 'x.yaml'))).toThrow(
      'own: is a folder, expected a module, as in own/index.mjs',
    );
  });

  it('and so are fields and checks of its methods that do not fit', () => {
    const picky = (more: string) =>
      exported(
        `api.defineMethod({ ...${method.replace('mine', 'picky')}, fields: { rate: api.z.number().positive().default(1) }, ${more} })`,
      );
    const failing = picky("check: () => { throw new TypeError('oops'); }");
    expect(errorOf(failing, 'a.mjs', 'picky')).toMatch(
      /^x\.yaml:9:11 methods\.0: a\.mjs: method "picky": check failed: TypeError: oops \(at a\.mjs:1:\d+\)/,
    );
    expect(errorOf(picky(''), 'b.mjs', 'picky, rte: 1')).toContain('did you mean "rate"?');
    expect(errorOf(picky(''), 'c.mjs', 'pickey')).toContain('did you mean "picky"?');
    const required = picky('fields: { rate: api.z.number().describe("step size") }');
    expect(errorOf(required, 'd.mjs', 'picky')).toContain('methods.0.rate: is missing (step size)');
  });
});

describe('the checksum of a plugin', () => {
  const load = (folder: string, text: string) =>
    api.parseExperiment(text, join(folder, 'x.yaml')).experiment;
  const plugin = (name: string) => exported(`api.defineMethod(${method.replace('mine', name)})`);

  it('is part of the hash, its path is not, and files that it imports count', () => {
    const hashes = ['', '// another\n'].map((rest) => {
      const folder = temporaryFolder();
      writeFileSync(join(folder, 'a.mjs'), `import './b.mjs'; ${plugin('mine')}`);
      writeFileSync(join(folder, 'b.mjs'), `export const b = 1;\n${rest}`);
      const { hash, plugins, resolved } = load(folder, config('a.mjs', 'mine'));
      expect(Object.keys(plugins[0].files)).toEqual(['a.mjs', 'b.mjs']);
      expect(resolved.plugins).toEqual([
        { file: join(folder, 'a.mjs'), sha256: plugins[0].sha256 },
      ]);
      return hash;
    });
    const elsewhere = temporaryFolder();
    mkdirSync(join(elsewhere, 'c'));
    writeFileSync(join(elsewhere, 'c/a.mjs'), `import './b.mjs'; ${plugin('mine')}`);
    writeFileSync(join(elsewhere, 'c/b.mjs'), 'export const b = 1;\n');
    expect(load(elsewhere, config('c/a.mjs', 'mine')).hash).toBe(hashes[0]);
    expect(hashes[1]).not.toBe(hashes[0]);
  });

  it('is checked where the config has one, before the file runs', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'a.mjs'), 'throw new Error("it ran");');
    const entry = `{ file: a.mjs, sha256: ${'a'.repeat(64)} }`;
    expect(() => load(folder, config(entry))).toThrow(
      /a\.mjs has changed: its sha256 is [0-9a-f]{64}, and this config is for a{64}\. Restore that version, or remove sha256/,
    );
  });

  it('of a file that changes while the process runs is an error', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'a.mjs'), plugin('first'));
    load(folder, config('a.mjs', 'first'));
    writeFileSync(join(folder, 'a.mjs'), plugin('second'));
    expect(() => load(folder, config('a.mjs', 'second'))).toThrow('has changed since this process');
  });
});

it('is never loaded from a run directory', () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'run/deep'), { recursive: true });
  for (const name of ['run.json', 'config.yaml']) writeFileSync(join(folder, 'run', name), '{}');
  writeFileSync(join(folder, 'run/deep/a.mjs'), 'throw new Error("it ran");');
  expect(() => api.parseExperiment(config('run/deep/a.mjs'), join(folder, 'x.yaml'))).toThrow(
    `is inside the run directory ${join(folder, 'run')}, and plugins are never loaded from one`,
  );
});

it('one name has one meaning in a process', () => {
  const folders = [temporaryFolder(), temporaryFolder()];
  const text = activation("name: 'only-one'");
  for (const folder of folders) writeFileSync(join(folder, 'a.mjs'), text);
  const [first, second] = folders.map(
    (folder) => () => api.parseExperiment(config('a.mjs'), join(folder, 'x.yaml')),
  );
  first();
  expect(second).toThrow(/activation "only-one" is also defined by .*Train the two in separate/);
});

describe('the examples', () => {
  const definition = async (name: string) =>
    (await import(join(examples, `${name}.mjs`))).default(api);
  beforeAll(() => testing.startBackend('wasm'));

  it.each([
    ['elu', async () => testing.activationConformance(await definition('elu'))],
    [
      'squared-hinge',
      async () => testing.lossConformance(await definition('squared-hinge')).slice(0, 1),
    ],
    ['spirals', async () => testing.datasetConformance(await definition('spirals'))],
    ['sign-sgd', async () => testing.methodConformance(await definition('sign-sgd')).slice(-3)],
    [
      'patch-embedding',
      async () => {
        const values = { patchEmbedding: 3, side: 2 };
        return testing.layerConformance(await definition('patch-embedding'), values, [4, 6, 2]);
      },
    ],
  ])('%s conforms', async (_, checks) => {
    const list = await checks();
    expect(list.length).toBeGreaterThan(0);
    for (const { run } of list) await run();
  });

  it('train from another folder, resume there, and their results are read without them', async () => {
    const cwd = temporaryFolder();
    cpSync(examples, cwd, { recursive: true });
    const run = ['run', 'spirals.yaml', '--out', 'out', '--progress', 'none'];
    const settings = ['backend=wasm', 'epochs=4', 'dataset.limit=500'];
    const first = await fln([...run, ...settings], { cwd, separate: true });
    expect(first.stderr).toBe('');
    expect(first.code).toBe(0);
    const record = JSON.parse(readFileSync(join(cwd, 'out/run.json'), 'utf8'));
    expect(record.plugins.map(({ defines }: { defines: string }) => defines)).toEqual([
      'dataset spirals',
      'activation elu',
      'loss squared-hinge',
      'method sign-sgd',
    ]);
    expect(Object.values(record.plugins[1].files)).toEqual([record.plugins[1].sha256]);

    // From here on the plugin is what must not be run.
    const marker = join(cwd, 'ran');
    writeFileSync(
      join(cwd, 'elu.mjs'),
      `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(marker)}, ''); throw new Error('ran');`,
    );
    for (const command of [
      ['ls', 'out'],
      ['compare', 'out'],
      ['plot', 'out'],
      ['diff', 'out', 'out'],
    ]) {
      const { code, stderr } = await fln(command, { cwd });
      expect({ command, code, stderr }).toEqual({ command, code: 0, stderr: '' });
    }
    expect(existsSync(marker)).toBe(false);
    expect(() => api.loadExperiment(join(cwd, 'out/config.yaml'))).toThrow(
      /config\.yaml:4:5 plugins\.1: .*elu\.mjs has changed: its sha256 is/,
    );
    expect(existsSync(marker)).toBe(false);
    cpSync(join(examples, 'elu.mjs'), join(cwd, 'elu.mjs'));
    writeFileSync(join(cwd, 'sign-sgd.mjs'), `${readFileSync(join(cwd, 'sign-sgd.mjs'))}// new\n`);
    const changed = await fln([...run, ...settings, '--resume'], { cwd, separate: true });
    expect(changed.code).toBe(2);
    expect(changed.stderr).toMatch(
      /holds results of this config with another version of .*sign-sgd\.mjs/,
    );
  });

  it('are part of the schema that fln schema --plugins prints', async () => {
    const cwd = temporaryFolder();
    const files = ['sign-sgd', 'patch-embedding', 'elu'].map((name) =>
      join(examples, `${name}.mjs`),
    );
    const { code, stdout } = await fln(['schema', '--plugins', files.join(',')], {
      cwd,
      separate: true,
    });
    expect(code).toBe(0);
    expect(stdout).toContain('gradient descent by the signs of the gradient (sign-sgd.mjs)');
    expect(stdout).toContain('"patchEmbedding"');
    expect(JSON.parse(stdout).properties.network.properties.layers.items.anyOf).toHaveLength(2);
    rmSync(cwd, { recursive: true });
  });
});

describe('a method of a plugin with init', () => {
  const text = (plugin: string, method: string, init = '') =>
    `${config(plugin, method).replace('synthetic-digits', 'synthetic-digits, limit: 200, testLimit: 50')}backend: wasm\n${init}`;

  it('starts from the model by initializeParameters, and fails where it does not', async () => {
    const folder = temporaryFolder();
    const run = async (plugin: string, method: string, out: string, init?: string) => {
      const { experiment } = api.parseExperiment(
        text(plugin, method, init),
        join(folder, 'x.yaml'),
      );
      const { runs } = await api.runExperiment(experiment, { outDir: join(folder, out) });
      return runs[0];
    };
    // Without zeros, to which a step of 1e-30 would add.
    await run(join(examples, 'sign-sgd.mjs'), 'sign-sgd, bias: 0.1', 'a');
    const again = await run(
      join(examples, 'sign-sgd.mjs'),
      'sign-sgd, learningRate: 1e-30',
      'b',
      'init: { from: a }',
    );
    const [a, b] = ['a', 'b'].map((out) => api.loadModel(join(folder, out)).weights);
    expect(again.status).toBe('COMPLETED');
    expect(b).toEqual(a);
    const zeros = `({ defineMethod, tf }) => defineMethod({
      name: 'zeros', summary: 'weights of zero',
      init: ({ network }) => network.maps.map(({ weightShape: [n, m] }) => ({ weights: tf.zeros([n, m]), bias: tf.zeros([m]) })),
      step: async (context, constants, state) => ({ state, metrics: { loss: 1, accuracy: 0 } }),
      parameters: (state) => state,
    })`;
    writeFileSync(join(folder, 'zeros.mjs'), `export default ${zeros};`);
    expect((await run('zeros.mjs', 'zeros', 'c', 'init: { from: a }')).error).toBe(
      'zeros, seed 1: the method does not start from the weights of init. A method of a plugin takes them by initializeParameters (docs/plugins.md)',
    );
  });
});
