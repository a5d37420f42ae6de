import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { build } from '../scripts/build.js';
import { temporaryFolder } from './experiment/tiny.js';

/** A program that prints what a module says which it loads once a line comes in. */
const program = (says: string) => (folder: string) => {
  mkdirSync(join(folder, 'cli'));
  const main = `process.stdin.once('data', async () => console.log((await import('../late.js')).default)); console.log('up');`;
  writeFileSync(join(folder, 'cli', 'main.js'), main);
  writeFileSync(join(folder, 'late.js'), `export default '${says}';`);
  writeFileSync(join(folder, 'index.js'), `export const says = '${says}';`);
  writeFileSync(join(folder, 'index.d.ts'), 'export declare const says: string;');
  return true;
};

const builds = (dist: string) => readdirSync(dist).filter((name) => /^[0-9a-f]{12}$/.test(name));
const current = (dist: string) => /[0-9a-f]{12}/.exec(readFileSync(join(dist, 'index.js'), 'utf8'));

describe('the build', () => {
  it('leaves a process that runs the modules it began with, and gives new ones the new', async () => {
    const dist = join(temporaryFolder(), 'dist');
    expect(build(dist, program('old'))).toBe(true);
    const start = () => {
      const child = spawn(process.execPath, [
        '--input-type=module',
        '-e',
        `import '${dist}/cli/main.js'`,
      ]);
      let text = '';
      child.stdout.setEncoding('utf8');
      const up = new Promise<void>((resolve) => {
        child.stdout.on('data', (part) => {
          text += part;
          if (text.includes('up')) resolve();
        });
      });
      const ended = new Promise<string>((resolve) => child.on('close', () => resolve(text)));
      return { up, ended, go: () => child.stdin.end('go\n') };
    };
    const before = start();
    await before.up;
    expect(build(dist, program('new'))).toBe(true);
    const after = start();
    before.go();
    after.go();
    expect(await before.ended).toBe('up\nold\n');
    expect(await after.ended).toBe('up\nnew\n');
    const library = await import(join(dist, 'index.js'));
    expect(library.says).toBe('new');
  });

  it('changes nothing when the sources do not compile', () => {
    const dist = join(temporaryFolder(), 'dist');
    build(dist, program('good'));
    const before = readdirSync(dist, { recursive: true });
    const failed = build(dist, (folder) => {
      program('bad')(folder);
      return false;
    });
    expect(failed).toBe(false);
    expect(readdirSync(dist, { recursive: true })).toEqual(before);
  });

  it('takes the same folder for the same content, and lets another build end meanwhile', () => {
    const dist = join(temporaryFolder(), 'dist');
    build(dist, program('one'));
    const [one] = builds(dist);
    build(dist, (folder) => {
      // The other one begins later and ends earlier.
      build(dist, program('two'));
      return program('one')(folder);
    });
    expect(builds(dist)).toHaveLength(2);
    expect(current(dist)?.[0]).toBe(one);
    expect(existsSync(join(dist, one, 'late.js'))).toBe(true);
  });

  it('keeps as many earlier builds as it is told, and nothing else', () => {
    const dist = join(temporaryFolder(), 'dist');
    mkdirSync(join(dist, 'left-over'), { recursive: true });
    for (const says of ['a', 'b', 'c']) build(dist, program(says), 1);
    expect(builds(dist)).toHaveLength(2);
    expect(existsSync(join(dist, 'left-over'))).toBe(false);
    build(dist, program('c'), 0);
    expect(builds(dist)).toEqual([current(dist)?.[0]]);
  });
});

it.each([
  ['no dist', {}],
  ['a dist that points to nothing', { 'cli/main.js': "import '../0123456789ab/cli/main.js';" }],
])('with %s fln says in one sentence that it is to be built', (_, files) => {
  const folder = temporaryFolder();
  cpSync(fileURLToPath(new URL('../bin', import.meta.url)), join(folder, 'bin'), {
    recursive: true,
  });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, 'dist', 'cli'), { recursive: true });
    writeFileSync(join(folder, 'dist', name), text);
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(folder, 'bin', 'fln.js'), 'run', 'x.yaml'],
    { encoding: 'utf8' },
  );
  expect({ status, stdout }).toEqual({ status: 4, stdout: '' });
  expect(stderr).toBe(`fln is not built: run "npm run build" in ${folder}\n`);
});
