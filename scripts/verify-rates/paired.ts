import { readFileSync } from 'node:fs';
import { Random } from '../../src/core/random.js';
import { judge } from '../../src/verify/judge.js';
import { isDrop } from '../../src/verify/paired.js';
import { rate, table } from './tables.js';
import type { Measured, Setting, Variant } from './train.js';

/** Runs that `scripts/verify-rates.ts train` has measured. */
export const measured: Measured = JSON.parse(
  readFileSync(new URL('../../results/reference/verify-rates.json', import.meta.url), 'utf8'),
);

/** Final accuracies of some seeds, before a change of the program and after it. */
type Gate = (before: readonly number[], after: readonly number[]) => boolean;

export const paired: Gate = (before, after) => isDrop(after.map((x, i) => x - before[i]));

/** A baseline of one seed on 1,000 images, for comparison. */
const unpaired: Gate = (before, after) => {
  const seeds = after.map((accuracy, i) => ({ seed: i + 1, accuracy }));
  return judge('method', seeds, undefined, 1000, before).verdict === 'failed';
};

/** Measured differences of a change, shifted to the mean `drop` (a share; absent: not shifted). */
export interface Change {
  readonly variant: Variant;
  readonly drop?: number;
}

/** How often a gate fails a change, over `trials` random choices of `count` of the measured seeds. */
export function gateRate(
  gate: Gate,
  { setting, method, count }: { setting: Setting; method: string; count: number },
  { variant, drop }: Change,
  trials: number,
): number {
  const before = measured[setting].base[method];
  const after = measured[setting][variant][method];
  const mean = after.reduce((sum, x, i) => sum + x - before[i], 0) / after.length;
  const shift = drop === undefined ? 0 : -drop - mean;
  const random = new Random(1, JSON.stringify([setting, method, count, variant, drop]));
  let failures = 0;
  for (let trial = 0; trial < trials; trial++) {
    const chosen = choose(count, before.length, random);
    const moved = chosen.map((i) => after[i] + shift);
    if (
      gate(
        chosen.map((i) => before[i]),
        moved,
      )
    )
      failures++;
  }
  return failures / trials;
}

/** `count` different numbers below `all`. */
function choose(count: number, all: number, random: Random): number[] {
  const left = Array.from({ length: all }, (_, i) => i);
  return Array.from({ length: count }, () => left.splice(random.integer(left.length), 1)[0]);
}

export const methods = ['fenchel', 'adam', 'sgd'];

const gates = [
  { name: 'baseline, 1 seed, 1,000 images', gate: unpaired, setting: 'quickstart', count: 1 },
  ...[1, 3, 5, 10].map((count) => ({
    name: `paired, ${count === 1 ? '1 seed' : `${count} seeds`}, 2,000 images`,
    gate: paired,
    setting: 'ci' as const,
    count,
  })),
] as const;

const changes: readonly (readonly [string, Change])[] = [
  ['other rounding', { variant: 'rounding' }],
  ['no drop, other random numbers', { variant: 'a tenth of the images lost', drop: 0 }],
  ['0.5 points', { variant: 'an epoch less', drop: 0.005 }],
  ['0.5 points, other random numbers', { variant: 'a tenth of the images lost', drop: 0.005 }],
  ['1 point', { variant: 'an epoch less', drop: 0.01 }],
  ['1 point, other random numbers', { variant: 'a tenth of the images lost', drop: 0.01 }],
];

/** The table of docs/ci.md: how often each gate fails, for each of the three methods. */
export function pairedTable(trials: number): string {
  const head = ['gate', ...changes.map(([name]) => name)];
  const rows = gates.map(({ name, gate, setting, count }) => [
    name,
    ...changes.map(([, change]) =>
      methods
        .map((method) => rate(gateRate(gate, { setting, method, count }, change, trials), 0))
        .join(' / '),
    ),
  ]);
  return table(head, rows);
}

/** How often the paired gate fails for differences that are normal, all in points. */
export function simulatedRate(drop: number, spread: number, seeds: number, trials: number): number {
  const random = new Random(1, JSON.stringify([drop, spread, seeds]));
  let failures = 0;
  for (let trial = 0; trial < trials; trial++) {
    const differences = Array.from({ length: seeds }, () => spread * random.normal() - drop);
    if (isDrop(differences.map((points) => points / 100))) failures++;
  }
  return failures / trials;
}

/** The table of docs/verify.md. */
export function simulatedTable(trials: number): string {
  const spreads = [0.1, 0.3, 0.6, 1];
  const counts = [1, 3, 5, 10, 20];
  const columns = spreads.flatMap((spread) => counts.map((seeds) => ({ spread, seeds })));
  const head = ['true drop', ...columns.map(({ spread, seeds }) => `${spread}, n = ${seeds}`)];
  const rows = [0, 0.25, 0.5, 1].map((drop) => [
    drop === 0 ? 'none' : `${drop} points`,
    ...columns.map(({ spread, seeds }) => rate(simulatedRate(drop, spread, seeds, trials), 0)),
  ]);
  return table(head, rows);
}
