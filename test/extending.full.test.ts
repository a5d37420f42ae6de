import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseMetrics } from '../src/runs/metrics.js';

/** docs/extending.md, done in a copy of this tree. */

const root = join(import.meta.dirname, '..');
const page = readFileSync(join(root, 'docs/extending.md'), 'utf8');

interface Change {
  readonly path: string;
  readonly kind: string;
  readonly text: string;
}

/** What a section of the page does: files in full (`ts`), and changes of others (`diff`). */
function changesIn(section: string): Change[] {
  let path = '';
  const parts = section.matchAll(/^`([\w./-]+)`$|^```(ts|diff)\n(.*?)^```$/gms);
  return [...parts].flatMap(([, named, kind, text]) => {
    if (named === undefined) return [{ path, kind, text }];
    path = named;
    return [];
  });
}

const sections = page
  .split(/^## /m)
  .slice(1)
  .map((text) => ({ title: text.split('\n')[0], changes: changesIn(text) }));

function apply(tree: string, { path, kind, text }: Change): void {
  const file = join(tree, path);
  mkdirSync(dirname(file), { recursive: true });
  if (kind === 'ts') {
    writeFileSync(file, text);
    return;
  }
  const lines = text.split('\n').slice(0, -1);
  const side = (sign: string) =>
    lines.flatMap((line) => (line[0] === ' ' || line[0] === sign ? `${line.slice(1)}\n` : []));
  const before = side('-').join('');
  const content = readFileSync(file, 'utf8');
  expect(content.split(before), `${path}: the place of\n${text}`).toHaveLength(2);
  writeFileSync(
    file,
    content.replace(before, () => side('+').join('')),
  );
}

const run = promisify(execFile);
const copied = [
  ...['src', 'test', 'scripts', 'assets'],
  ...['package.json', 'tsconfig.json', 'vitest.config.ts', 'biome.json', '.gitignore'],
];

const extended = `
name: extended
dataset: { name: stripes }
network: { layers: [ { dense: 20, activation: elu }, { dense: 2 } ] }
epochs: 3
batchSize: 50
seeds: [1]
backend: wasm-stock
methods: [ { name: sign-symmetry }, { name: fenchel } ]
`;

describe('docs/extending.md', () => {
  let tree = '';
  /** A tool of this tree in the copy; its whole output is in the error when it fails. */
  const tool = async (name: string, ...args: string[]) => {
    const path = join(tree, 'node_modules/.bin', name);
    try {
      return await run(path, args, { cwd: tree, env: { ...process.env, NO_COLOR: '1' } });
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      throw new Error(`${name} ${args.join(' ')}\n${stdout.slice(-6000)}\n${stderr.slice(-6000)}`);
    }
  };

  it.each(sections)('$title is added in under 100 lines', ({ changes }) => {
    const added = changes.flatMap(({ kind, text }) =>
      text.split('\n').filter((line) => (kind === 'ts' ? line !== '' : line.startsWith('+'))),
    );
    expect(added.length).toBeGreaterThan(10);
    expect(added.length).toBeLessThan(100);
  });

  describe('all four together', () => {
    beforeAll(() => {
      tree = mkdtempSync(join(tmpdir(), 'fln-extending-'));
      for (const name of copied) cpSync(join(root, name), join(tree, name), { recursive: true });
      symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
      for (const { changes } of sections) for (const change of changes) apply(tree, change);
    });
    afterAll(() => rmSync(tree, { recursive: true, force: true }));

    it('pass type check and lint', async () => {
      await tool('tsc', '--noEmit');
      await tool('biome', 'check', '--error-on-warnings', 'src', 'test');
    });

    it('pass the tests that come with a registry entry', async () => {
      const suites = ['test/methods/conformance', 'test/network', 'test/reference', 'test/bound'];
      const names = 'sign-symmetry|with elu|> elu|is that of the reference';
      const { stdout } = await tool('vitest', 'run', ...suites, '-t', names, '--reporter=dot');
      const passed = Number(/Tests\s+(\d+) passed/.exec(stdout)?.[1]);
      expect(passed).toBeGreaterThan(30);
    });

    it('train together', async () => {
      writeFileSync(join(tree, 'extended.yaml'), extended);
      await tool('tsx', 'src/cli/main.ts', 'run', 'extended.yaml', '--out', 'run');
      for (const run of ['sign-symmetry-s1', 'fenchel-s1']) {
        const path = join(tree, 'run', run, 'metrics.csv');
        const { metrics } = parseMetrics(readFileSync(path, 'utf8'), path);
        expect(metrics.columns.test_accuracy.at(-1)).toBeGreaterThan(0.9);
      }
    });
  });
});
