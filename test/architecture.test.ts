import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../src', import.meta.url));
const architecture = readFileSync(new URL('../ARCHITECTURE.md', import.meta.url), 'utf8');

/** The folders of ARCHITECTURE.md, in the order of its table: each may use those above it. */
const folders = [...architecture.matchAll(/^\| `src\/([a-z]+)` \|/gm)].map(([, name]) => name);

interface Import {
  readonly from: string;
  readonly to: string;
  readonly file: string;
  readonly target: string;
}

function sourceFiles(): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
}

function imports(): Import[] {
  return sourceFiles().flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8');
    const targets = [...text.matchAll(/(?:from |import\(|import )'(\.[^']+)'/g)].map(([, target]) =>
      relative(root, join(root, dirname(file), target)),
    );
    return targets.map((target) => ({
      from: file.split(sep)[0],
      to: target.split(sep)[0],
      file,
      target,
    }));
  });
}

it('has the folders of ARCHITECTURE.md, and no others', () => {
  const present = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(folders.toSorted()).toEqual(present.map(({ name }) => name).sort());
});

it('depends inward: a folder uses those above it in the table alone', () => {
  const rank = (name: string) => folders.indexOf(name);
  const wrong = imports()
    .filter(({ from, to }) => from !== to && rank(from) >= 0 && rank(to) >= 0)
    .filter(({ from, to }) => rank(to) > rank(from))
    .map(({ file, to }) => `${file} uses ${to}`);
  expect(wrong).toEqual([]);
});

it('draws nothing in the engine: what draws the report of a finished run is loaded at the end alone', () => {
  const uses = imports().filter(({ from, to }) => from === 'experiment' && to === 'report');
  expect(uses.map(({ file, target }) => `${file} uses ${target}`)).toEqual([
    'experiment/run.ts uses report/write-report.js',
  ]);
});

it('has no circle of files', () => {
  const uses = new Map<string, string[]>();
  for (const { file, target } of imports()) {
    uses.set(file, [...(uses.get(file) ?? []), target.replace(/\.js$/, '.ts')]);
  }
  expect(uses.size).toBeGreaterThan(200);
  const done = new Set<string>();
  const circleFrom = (file: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const used of uses.get(file) ?? []) {
      const circle = circleFrom(used, [...path, file]);
      if (circle !== undefined) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of uses.keys()) expect(circleFrom(file, [])).toBeUndefined();
});

it('prints and exits nowhere but in src/cli', () => {
  // packages.ts keeps a library from printing, and plugins/load.ts a plugin from ending the process.
  const loud = sourceFiles()
    .filter((file) => file !== join('backend', 'packages.ts'))
    .filter((file) => file !== join('config', 'plugins', 'load.ts'))
    .filter((file) => !file.startsWith('cli') && !file.endsWith('-process.ts'))
    .filter((file) =>
      /console\.|process\.(stdout|stderr|exit\b|exitCode)/.test(
        readFileSync(join(root, file), 'utf8'),
      ),
    );
  expect(loud).toEqual([]);
});

/** Every file that a browser would load with `file`, and what it names that is no file of src. */
function loadedBy(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(join(root, file), 'utf8').replaceAll(/import type [^;]+;/g, '');
  for (const [, target] of text.matchAll(/(?:from |import\(|import )'([^']+)'/g)) {
    if (!target.startsWith('.')) seen.add(target);
    else loadedBy(join(dirname(file), target.replace(/\.js$/, '.ts')), seen);
  }
  return seen;
}

it('keeps src/core free of Node: tensors and schemas alone', () => {
  const core = sourceFiles().filter((file) => file.startsWith(`core${sep}`));
  expect(core.length).toBeGreaterThan(50);
  const packages = core
    .flatMap((file) => [...loadedBy(file)])
    .filter((name) => !name.endsWith('.ts'));
  expect([...new Set(packages)].sort()).toEqual(['@tensorflow/tfjs', 'zod']);
  const globals = core.filter((file) =>
    /\b(process|Buffer|__dirname|require)\b[.(]/.test(readFileSync(join(root, file), 'utf8')),
  );
  expect(globals).toEqual([]);
});
