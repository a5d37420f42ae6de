import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { transformSync } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from './experiment/tiny.js';

const run = promisify(execFile);
const root = new URL('../', import.meta.url);
const examples = new URL('docs/examples/', root);

/** Runs an example of docs/api.md, without its types, where the built package is installed, as its users do. */
async function example(name: string, ...args: string[]): Promise<string> {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(fileURLToPath(root), join(folder, 'node_modules/fenchel-lifted-networks'), 'dir');
  const file = join(folder, 'example.mjs');
  const source = readFileSync(new URL(name, examples), 'utf8');
  writeFileSync(file, transformSync(source, { loader: 'ts' }).code);
  const { stdout } = await run(process.execPath, [file, ...args]);
  return stdout;
}

describe('the examples of docs/api.md', () => {
  it('train, and read what was trained', async () => {
    const folder = temporaryFolder();
    const trained = await example('train.ts', folder);
    expect(trained).toMatch(/^fenchel 40 0\.\d+$/m);
    expect(trained).toMatch(/\ncompleted .*\nfenchel 0\.\d+\nadam 0\.\d+\n$/);
    const [best, second] = (await example('read-results.ts', folder)).split('\n');
    const accuracy = (line: string) => Number(/seed 1: (0\.\d+) with 2 epochs$/.exec(line)?.[1]);
    expect(accuracy(best)).toBeGreaterThanOrEqual(accuracy(second));
  });

  it('train on arrays in memory', async () => {
    const text = await example('own-data.ts', temporaryFolder());
    const accuracy = Number(/^completed\nadam (0\.\d+)\n$/.exec(text)?.[1]);
    // The larger class has 53 % of the points.
    expect(accuracy).toBeGreaterThan(0.8);
  });

  it('show errors', async () => {
    expect(await example('refuse.ts')).toMatch(
      /^2 x\.yaml:1:1 dataset: is missing[\s\S]*x\.yaml:2:9 epochs/,
    );
  });

  it('are all listed there', () => {
    const text = readFileSync(new URL('docs/api.md', root), 'utf8');
    for (const name of ['train.ts', 'own-data.ts', 'read-results.ts', 'refuse.ts'])
      expect(text).toContain(`examples/${name}`);
  });
});
