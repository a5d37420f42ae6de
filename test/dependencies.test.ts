import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const { dependencies, files, version, license } = JSON.parse(read('package.json'));

interface Locked {
  readonly license?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
  readonly peer?: boolean;
  readonly devOptional?: boolean;
}
const locked = Object.entries<Locked>(JSON.parse(read('package-lock.json')).packages)
  .filter(([path, { dev, peer, devOptional }]) => path !== '' && !dev && !peer && !devOptional)
  .map(([path, entry]) => ({ name: path.replace(/^.*node_modules\//, ''), ...entry }));

describe('what is installed with the program', () => {
  it('may be passed on', () => {
    const free =
      /^(MIT|ISC|0BSD|Unlicense|BSD-[23]-Clause|Apache-2\.0|MPL-2\.0)( (AND|OR) (MIT|ISC|Apache-2\.0))*$/;
    const others = locked
      .filter(({ license }) => !free.test(license ?? ''))
      .map(({ name }) => name);
    // png-js states MIT in its LICENSE file alone.
    expect(others).toEqual(['dejavu-fonts-ttf', 'png-js']);
  });

  it('comes from the registry, with the hash of its content', () => {
    expect(locked.length).toBeGreaterThan(50);
    for (const { name, resolved, integrity } of locked) {
      // Without an address it is the registry that npm is set up with.
      expect(resolved ?? 'https://registry.npmjs.org/', name).toMatch(
        /^https:\/\/registry\.npmjs\.org\//,
      );
      expect(integrity, name).toMatch(/^sha512-/);
    }
  });

  it('runs nothing when it is installed, but for a message of core-js', () => {
    expect(
      locked.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name),
    ).toEqual(['core-js']);
  });

  it('is described in docs/dependencies.md, with its licence', () => {
    const rows = read('docs/dependencies.md')
      .split('\n')
      .filter((line) => line.startsWith('| `'));
    const described = rows.flatMap((row) => {
      const [, names, license] = row.split('|').map((cell) => cell.trim());
      return [...names.matchAll(/`([^`]+)`/g)].map(([, name]) => [name, license]);
    });
    const direct = Object.keys(dependencies).map((name) => [
      name,
      locked.find((entry) => entry.name === name)?.license,
    ]);
    expect(described.sort()).toEqual(direct.sort());
  });
});

it('packs what is needed, and nothing else', () => {
  expect(files).toEqual(['bin', 'dist', 'configs', 'schemas', 'assets']);
});

it('is cited as the version that it is, with the paper', () => {
  const citation = parse(read('CITATION.cff'));
  expect(citation).toMatchObject({ 'cff-version': '1.2.0', version, license });
  expect(citation.message && citation.title && citation.authors.length).toBeTruthy();
  expect(citation.references[0].authors).toHaveLength(3);
  expect(read('CHANGELOG.md')).toContain(`\n## ${version}\n`);
});
