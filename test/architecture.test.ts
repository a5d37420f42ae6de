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
}

function imports(): Import[] {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  return files.flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8');
    const targets = [...text.matchAll(/(?:from |import\(|import )'(\.[^']+)'/g)].map(([, target]) =>
      relative(root, join(root, dirname(file), target)),
    );
    return targets.map((to) => ({ from: file.split(sep)[0], to: to.split(sep)[0], file }));
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

it('prints and exits nowhere but in src/cli', () => {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  // packages.ts keeps a library from printing.
  const loud = files
    .filter((file) => file !== join('backend', 'packages.ts'))
    .filter((file) => !file.startsWith('cli') && !file.endsWith('-process.ts'))
    .filter((file) =>
      /console\.|process\.(stdout|stderr|exit\b|exitCode)/.test(
        readFileSync(join(root, file), 'utf8'),
      ),
    );
  expect(loud).toEqual([]);
});
