import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadRunDirectory } from '../../src/runs/run-directory.js';
import { finalResult } from '../../src/runs/summary.js';

/** Final test accuracies that were measured, shares: setting -> variant -> method -> seed by seed. */
export type Measured = Readonly<
  Record<Setting, Readonly<Record<Variant, Readonly<Record<string, readonly number[]>>>>>
>;

/** `ci`: recommended by docs/ci.md; `quickstart`: one seed, for comparison. */
export const settings = ['ci', 'quickstart'] as const;
export type Setting = (typeof settings)[number];

/** The program unchanged, on another backend, and with two changes that reduce accuracy. */
export const variants = {
  base: ['backend=tensorflow'],
  rounding: ['backend=wasm'],
  'an epoch less': ['backend=tensorflow', 'epochs=3'],
  'a tenth of the images lost': ['backend=tensorflow', 'dataset.limit=4500'],
} as const satisfies Record<string, readonly string[]>;
export type Variant = keyof typeof variants;

const seeds = Array.from({ length: 20 }, (_, i) => i + 1);

/** Trains every variant of both settings, and writes `Measured` as JSON. */
export function train(file: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'fln-rates-'));
  const measured = Object.fromEntries(
    settings.map((setting) => [
      setting,
      Object.fromEntries(
        Object.entries(variants).map(([name, overrides]) => [
          name,
          accuracies(setting, overrides, join(folder, setting, name.replaceAll(' ', '-'))),
        ]),
      ),
    ]),
  );
  rmSync(folder, { recursive: true });
  writeFileSync(file, `${JSON.stringify(measured)}\n`);
}

function accuracies(setting: Setting, overrides: readonly string[], out: string) {
  const program = fileURLToPath(new URL('../../bin/fln.js', import.meta.url));
  const config = fileURLToPath(new URL(`../../configs/${setting}.yaml`, import.meta.url));
  const changes = [`seeds=[${seeds}]`, 'evaluate.every=1000', ...overrides];
  const args = [program, 'run', config, ...changes, '--out', out, '--progress', 'none'];
  const { status } = spawnSync(process.execPath, args, { stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error(`fln ${args.slice(1).join(' ')}: exit ${status}`);
  const { runs } = loadRunDirectory(out);
  const methods: Record<string, number[]> = {};
  for (const run of runs.toSorted((a, b) => a.seed - b.seed)) {
    const result = finalResult(run, 'metrics');
    if ('missing' in result || result.testAccuracy === undefined) {
      throw new Error(`${out}: ${run.label}, seed ${run.seed} has no accuracy`);
    }
    methods[run.label] = [...(methods[run.label] ?? []), result.testAccuracy];
  }
  return methods;
}
