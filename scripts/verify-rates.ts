/**
 * False alarm and detection rates of `fln verify`.
 *
 *     npx tsx scripts/verify-rates.ts          prints the tables of docs/verify.md and docs/ci.md
 *     npx tsx scripts/verify-rates.ts train    first trains the runs for the table of docs/ci.md
 */
import { fileURLToPath } from 'node:url';
import { rateTables, trials } from './verify-rates/tables.js';
import { train } from './verify-rates/train.js';

if (process.argv[2] === 'train') {
  train(fileURLToPath(new URL('../results/reference/verify-rates.json', import.meta.url)));
}
const { pairedTable, simulatedTable } = await import('./verify-rates/paired.js');
const tables = [rateTables(trials), simulatedTable(trials), pairedTable(trials)];
process.stdout.write(`${tables.join('\n\n')}\n`);
