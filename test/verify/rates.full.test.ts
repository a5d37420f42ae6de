import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { pairedTable, simulatedTable } from '../../scripts/verify-rates/paired.js';
import { rateTables, trials } from '../../scripts/verify-rates/tables.js';

it('docs/verify.md and docs/ci.md have the tables of --paired that the script prints', () => {
  const page = (name: string) =>
    readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
  expect(page('verify.md')).toContain(simulatedTable(trials));
  expect(page('ci.md')).toContain(pairedTable(trials));
});

it('docs/verify.md has the tables that scripts/verify-rates.ts prints', () => {
  const page = readFileSync(new URL('../../docs/verify.md', import.meta.url), 'utf8');
  expect(page).toContain(rateTables(trials));
});
