import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { temporaryFolder } from './experiment/tiny.js';

const root = fileURLToPath(new URL('..', import.meta.url));

it('npm run build and npm pack leave fln able to start at every moment', async () => {
  const folder = temporaryFolder();
  for (const name of [
    'bin',
    'src',
    'scripts',
    'package.json',
    'tsconfig.json',
    'tsconfig.build.json',
  ]) {
    cpSync(join(root, name), join(folder, name), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const npm = (...args: string[]) => spawnSync('npm', args, { cwd: folder, encoding: 'utf8' });
  const fln = (...args: string[]) =>
    spawnSync(process.execPath, [join(folder, 'bin', 'fln.js'), ...args], { encoding: 'utf8' });
  const builds = () =>
    readdirSync(join(folder, 'dist')).filter((name) => /^[0-9a-f]{12}$/.test(name));
  expect(npm('run', '-s', 'build').status).toBe(0);
  const [first] = builds();

  appendFileSync(join(folder, 'src', 'index.ts'), 'export const added = 1;\n');
  const again = spawn('npm', ['run', '-s', 'build'], { cwd: folder, stdio: 'ignore' });
  const ended = new Promise((resolve) => again.on('exit', resolve));
  let starts = 0;
  while (again.exitCode === null) {
    expect(fln('--version')).toMatchObject({ status: 0, stderr: '' });
    starts++;
    // spawnSync lets no event through.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect(await ended).toBe(0);
  expect(starts).toBeGreaterThan(1);
  expect(builds()).toHaveLength(2);

  appendFileSync(join(folder, 'src', 'index.ts'), 'export const wrong: string = 1;\n');
  const failed = npm('run', '-s', 'build');
  expect(failed.status).toBe(1);
  expect(failed.stdout).toContain("Type 'number' is not assignable to type 'string'");
  expect(fln('--version').status).toBe(0);
  expect(builds()).toHaveLength(2);

  cpSync(join(root, 'src', 'index.ts'), join(folder, 'src', 'index.ts'));
  const packed = npm('pack', '--dry-run', '--json', '--silent');
  expect(packed.status).toBe(0);
  const paths: string[] = JSON.parse(packed.stdout)[0].files.map(
    ({ path }: { path: string }) => path,
  );
  expect(
    new Set(paths.filter((path) => path.startsWith('dist/')).map((path) => path.split('/')[1])),
  ).toEqual(new Set([first, 'cli', 'index.js', 'index.d.ts', 'testing.js', 'testing.d.ts']));

  // What a process meets whose build was removed, which takes more builds than are kept.
  rmSync(join(folder, 'dist', first, 'shared', 'provenance.js'));
  const lost = fln('--version');
  expect(lost.status).toBe(4);
  expect(lost.stderr).toBe(
    'fln was rebuilt while this process ran, and the files of its own build were deleted. ' +
      'Start it again, with --resume to resume a run\n',
  );
});
