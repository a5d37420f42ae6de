/**
 * `npx tsx scripts/verify-rates.ts`: how often `fln verify` fails on simulated seeds whose true
 * accuracy is known. Prints the tables of docs/verify.md.
 */
import { rateTables, trials } from './verify-rates/tables.js';

process.stdout.write(`${rateTables(trials)}\n`);
