import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Random } from '../../src/core/random.js';
import { lastCheckpoint, unreadable } from './inspect.js';
import { fln, type Kill } from './program.js';
import { numbersOf, type Reference, trains, uninterrupted } from './references.js';

/** What came of many runs that were killed and resumed. */
export interface KillFigures {
  readonly methods: number;
  /** Processes killed with SIGKILL before they ended. */
  kills: number;
  /** Of these, how many left a checkpoint. */
  checkpoints: number;
  /** Files that could not be read after a kill. */
  unreadable: number;
  /** Batches that a resumed run did again although a checkpoint held them. */
  lostBatches: number;
  /** Runs that were killed at least once, then resumed to their end. */
  resumed: number;
  /** Of these, those whose metrics.csv equals the uninterrupted run's, time columns aside. */
  identical: number;
  readonly failures: string[];
}

/**
 * Trains every method, kills the process at random instants, resumes, and compares the numbers with
 * those of an uninterrupted run.
 * @param wanted runs that are killed at least once
 */
export async function killAndResume(
  wanted: number,
  seed: number,
  onRun: (figures: KillFigures) => void = () => {},
): Promise<KillFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'fln-kill-'));
  try {
    const random = new Random(seed, 'kill-and-resume');
    const references = await uninterrupted(folder);
    const figures: KillFigures = {
      methods: references.length,
      kills: 0,
      checkpoints: 0,
      unreadable: 0,
      lostBatches: 0,
      resumed: 0,
      identical: 0,
      failures: [],
    };
    for (let i = 0; figures.resumed < wanted && i < 2 * wanted; i++) {
      const reference = references[i % references.length];
      await killOnce(join(folder, `run-${i}`), reference, random, figures);
      onRun(figures);
    }
    return figures;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One run: killed at a random instant, now and then once more, then left to end. */
async function killOnce(
  out: string,
  reference: Reference,
  random: Random,
  figures: KillFigures,
): Promise<void> {
  const { label, command, metrics } = reference;
  const fail = (what: string) => figures.failures.push(`${label}: ${what}`);
  // From a checkpoint after every batch to none at all.
  const every = ['0.000001', '0.02', '0.1', '0'][Math.floor(4 * random.uniform())];
  const train = [...command, '--out', out, '--checkpoint-every', every];
  let kills = 0;
  let expected = 0;
  let resume: string[] = [];
  for (let round = 0; round === 0 || (kills > 0 && random.uniform() < 0.3); round++) {
    const kill = instant(reference, random);
    const outcome = await fln([...train, ...resume], dirname(out), { kill });
    checkStart(outcome.stderr, expected, figures, fail);
    if (outcome.signal !== 'SIGKILL') break;
    kills++;
    figures.kills++;
    for (const problem of unreadable(out)) {
      figures.unreadable++;
      fail(problem);
    }
    expected = lastCheckpoint(out, label);
    if (expected > 0) figures.checkpoints++;
    resume = ['--resume'];
  }
  if (kills === 0) return rmSync(out, { recursive: true, force: true });

  const { code, stderr } = await fln([...train, '--resume'], dirname(out));
  checkStart(stderr, expected, figures, fail);
  figures.resumed++;
  if (code !== 0) fail(`resuming exits ${code}: ${stderr}`);
  else if (numbersOf(out, label) !== metrics) fail('other numbers');
  else figures.identical++;
  rmSync(out, { recursive: true });
}

/** Three in four while it trains, else at any time. */
function instant({ ms, trainingMs }: Reference, random: Random): Kill {
  return random.uniform() < 0.75
    ? { ms: trainingMs * random.uniform(), after: trains }
    : { ms: ms * random.uniform() };
}

/** A run that starts goes on from the last checkpoint there was. */
function checkStart(
  stderr: string,
  expected: number,
  figures: KillFigures,
  fail: (what: string) => void,
): void {
  const hasStarted = /\[1\/1\] .*(batch|test accuracy)/.test(stderr);
  if (!hasStarted) return;
  const from = Number(/resumes after batch (\d+)/.exec(stderr)?.[1] ?? 0);
  if (from === expected) return;
  figures.lostBatches += Math.max(0, expected - from);
  fail(`went on after batch ${from}, with a checkpoint of batch ${expected}`);
}
