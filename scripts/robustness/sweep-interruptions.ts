import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Random } from '../../src/core/random.js';
import { sweepStatus } from '../../src/sweep/status.js';
import { unreadable } from './inspect.js';

const bin = fileURLToPath(new URL('../../bin/fln.js', import.meta.url));

/** How a sweep is interrupted. */
const interruptions = ['SIGKILL of a trial', 'SIGKILL', 'SIGINT', 'SIGTERM'] as const;
type Interruption = (typeof interruptions)[number];

export interface SweepFigures {
  readonly trials: number;
  interruptions: Record<Interruption, number>;
  /** Trials that completed, and those that did so more or less often than once. */
  completed: number;
  notOnce: number;
  /** Processes that trials took: more than one each where they were interrupted. */
  attempts: number;
  unreadable: number;
  /** Trials whose metrics.csv has not every batch exactly once. */
  incomplete: number;
}

const batches = 400;

/** Runs a sweep of tiny trials, interrupts it again and again, and resumes it until it is done. */
export async function interruptSweep(
  trials: number,
  wanted: number,
  seed: number,
  onRound: (done: number) => void = () => {},
): Promise<SweepFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'fln-sweep-'));
  try {
    writeFileSync(join(folder, 'base.yaml'), base);
    writeFileSync(join(folder, 'sweep.yaml'), sweepOf(trials));
    const out = join(folder, 'sweep');
    const random = new Random(seed, 'sweep-interruptions');
    const counts = Object.fromEntries(interruptions.map((kind) => [kind, 0]));
    const figures: SweepFigures = {
      trials,
      interruptions: counts as Record<Interruption, number>,
      completed: 0,
      notOnce: 0,
      attempts: 0,
      unreadable: 0,
      incomplete: 0,
    };
    let made = 0;
    for (let round = 0, done = 0; ; round++) {
      // Spread over the sweep, so that all find something to interrupt.
      const until =
        made < wanted ? (trials * (made + 0.2 + 0.6 * random.uniform())) / (wanted + 1) : trials;
      const kind = interruptions[round % interruptions.length];
      const child = start(folder, out);
      const ended = new Promise((resolve) => child.on('exit', resolve));
      let isOver = false;
      ended.then(() => {
        isOver = true;
      });
      while (!isOver && done < until) {
        await sleep(20);
        done = completedIn(out);
      }
      // Trials are interrupted, not the pauses between them.
      while (!isOver && !isTraining(out)) await sleep(20);
      if (!isOver) {
        await sleep(300 * random.uniform());
        if (interrupt(child, out, kind)) {
          figures.interruptions[kind]++;
          made++;
        }
        // A launcher that is not told goes on with the other trials.
        if (kind === 'SIGKILL of a trial') child.kill('SIGTERM');
      }
      await ended;
      done = completedIn(out);
      onRound(done);
      if (done === trials) break;
      if (round > 3 * wanted + 10) throw new Error(`the sweep stands still at ${done} trials`);
    }
    return account(out, figures);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const base = `name: base
dataset: { name: synthetic-digits, limit: 500, testLimit: 100 }
network: { layers: [ { dense: 8, activation: relu }, { dense: 10 } ] }
epochs: 40
batchSize: 50
seeds: [1]
evaluate: { every: 100 }
backend: wasm
methods: [ { name: adam } ]
`;

const sweepOf = (trials: number): string => `name: interrupted
config: base.yaml
search: random
trials: ${trials}
parameters:
  methods.adam.learningRate: { range: [0.0001, 0.1], scale: log }
`;

function start(folder: string, out: string): ChildProcess {
  const args = ['sweep', join(folder, 'sweep.yaml'), '--out', out, '--jobs', '2', '--resume'];
  // Trials that were killed count as failed, and are run again.
  return spawn(
    process.execPath,
    [bin, ...args, '--rerun', 'failed', '--checkpoint-every', '0.01'],
    {
      cwd: folder,
      stdio: 'ignore',
    },
  );
}

/** @returns whether there was something to interrupt */
function interrupt(child: ChildProcess, out: string, kind: Interruption): boolean {
  if (kind !== 'SIGKILL of a trial') return child.kill(kind);
  const running = sweepStatus(out)?.trials.find(({ state }) => state.status === 'RUNNING');
  if (running?.state.pid === undefined) return false;
  try {
    return process.kill(running.state.pid, 'SIGKILL');
  } catch {
    return false;
  }
}

const isTraining = (out: string): boolean =>
  sweepStatus(out)?.trials.some(({ state }) => state.status === 'RUNNING') ?? false;

const completedIn = (out: string): number => sweepStatus(out)?.counts.COMPLETED ?? 0;

function account(out: string, figures: SweepFigures): SweepFigures {
  const lines = readFileSync(join(out, 'history.ndjson'), 'utf8').trimEnd().split('\n');
  const ends = new Map<string, number>();
  for (const line of lines) {
    const { id, status } = JSON.parse(line);
    if (status === 'COMPLETED') ends.set(id, (ends.get(id) ?? 0) + 1);
  }
  const status = sweepStatus(out);
  for (const { trial, state } of status?.trials ?? []) {
    if (state.status === 'COMPLETED') figures.completed++;
    if (ends.get(trial.id) !== 1) figures.notOnce++;
    figures.attempts += state.attempts;
    const csv = readFileSync(join(out, 'trials', trial.id, 'adam-s1', 'metrics.csv'), 'utf8');
    const rows = csv.trimEnd().split('\n').slice(1);
    const isWhole =
      rows.length === batches && rows.every((row, i) => row.startsWith(`adam,1,${i + 1},`));
    if (!isWhole) figures.incomplete++;
  }
  figures.unreadable = unreadable(out).length;
  return figures;
}
