/**
 * `npm run build`: compiles src into dist, and bundles the scripts of the playground. Every build gets its own folder there, named by the hash of
 * its content, and small entry files point to the current one. So `fln` can be started during a build, and running
 * processes keep loading the modules of the build that they started with.
 */
import { spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { argv, env, platform } from 'node:process';
import { fileURLToPath } from 'node:url';
import { bundlePlayground } from './bundle-playground.js';

/** The program, the library, and the library's types: what points to the current build. */
const entries: Readonly<Record<string, (build: string) => string>> = {
  'cli/main.js': (build) => `import '../${build}/cli/main.js';\n`,
  'index.js': (build) => `export * from './${build}/index.js';\n`,
  'index.d.ts': (build) => `export * from './${build}/index.js';\n`,
  'testing.js': (build) => `export * from './${build}/testing/conformance.js';\n`,
  'testing.d.ts': (build) => `export * from './${build}/testing/conformance.js';\n`,
};

/** Earlier builds that are kept, for running processes. */
const earlierBuilds = 10;
/** Folders of builds that were cut off are removed after so many ms: another build may be at work. */
const abandoned = 3_600_000;

/**
 * Compiles into `dist` and makes the result the current build.
 * @param compile writes a whole build into an empty folder; false when the sources have errors
 * @param keep earlier builds to leave there
 * @returns whether it compiled; if not, the current build is the one before
 */
export function build(
  dist: string,
  compile: (folder: string) => boolean,
  keep = earlierBuilds,
): boolean {
  const started = new Date();
  const staged = join(dist, `${randomUUID()}.tmp`);
  mkdirSync(staged, { recursive: true });
  try {
    if (!compile(staged)) return false;
    const name = contentHash(staged);
    const folder = join(dist, name);
    if (!existsSync(folder)) moveInto(folder, staged);
    utimesSync(folder, started, started);
    for (const [path, text] of Object.entries(entries)) {
      replace(join(dist, path), text(name), started);
    }
    prune(dist, name, keep);
    return true;
  } finally {
    rmSync(staged, { recursive: true, force: true });
  }
}

/** SHA-256 of the names and contents of all files, its first 12 digits. */
function contentHash(folder: string): string {
  const hash = createHash('sha256');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  for (const file of files) {
    if (statSync(join(folder, file)).isDirectory()) continue;
    const content = readFileSync(join(folder, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex').slice(0, 12);
}

function moveInto(folder: string, staged: string): void {
  try {
    renameSync(staged, folder);
  } catch (error) {
    // Another build of the same sources was quicker.
    if (!existsSync(folder)) throw error;
  }
}

/** At once for every reader. @param time of change: sources changed later are not in the build */
function replace(path: string, text: string, time: Date): void {
  const aside = `${path}.${randomUUID()}.tmp`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(aside, text);
  utimesSync(aside, time, time);
  renameSync(aside, path);
}

/** Leaves the current build, those before it that may be in use, and what another build is making. */
function prune(dist: string, current: string, keep: number): void {
  const age = (name: string) =>
    Date.now() - (statSync(join(dist, name), { throwIfNoEntry: false })?.mtimeMs ?? 0);
  const inUse = new Set([current, ...Object.keys(entries).map((path) => path.split('/')[0])]);
  const others = readdirSync(dist).filter((name) => !inUse.has(name));
  const builds = others.filter((name) => /^[0-9a-f]{12}$/.test(name));
  const old = builds.sort((a, b) => age(a) - age(b)).slice(keep);
  const left = others.filter(
    (name) => !builds.includes(name) && (!name.endsWith('.tmp') || age(name) > abandoned),
  );
  for (const name of [...old, ...left]) {
    rmSync(join(dist, name), { recursive: true, force: true });
  }
}

const here = fileURLToPath(import.meta.url);
if (argv[1] === here) {
  const root = join(dirname(here), '..');
  const compile = (folder: string) =>
    spawnSync('tsc', ['-p', join(root, 'tsconfig.build.json'), '--outDir', folder], {
      stdio: 'inherit',
      shell: platform === 'win32',
    }).status === 0 && bundlePlayground(join(folder, 'playground', 'browser'));
  // A package that is published holds one build.
  const isPacked = env.npm_command === 'pack' || env.npm_command === 'publish';
  if (!build(join(root, 'dist'), compile, isPacked ? 0 : earlierBuilds)) process.exitCode = 1;
}
