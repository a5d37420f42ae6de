import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '../../src/core/random.js';
import { unreadable } from './inspect.js';
import { fln } from './program.js';
import { numbersOf, uninterrupted } from './references.js';
import { SmallDisk } from './small-disk.js';

/** What came of many runs on disks that were too small for them. */
export interface DiskFigures {
  runs: number;
  /** Of these, how many the disk stopped. */
  full: number;
  /** Of these, how many said so in plain words, with exit code 1. */
  explained: number;
  /** Files that could not be read afterwards. */
  corrupt: number;
  /** Resumed with room enough. */
  resumed: number;
  /** Of these, those whose metrics.csv equals that of a run on a large disk, time columns aside. */
  identical: number;
  /** Names of the files that met the full disk, and how often. */
  readonly refused: Record<string, number>;
  readonly failures: string[];
}

const enough = 64_000;
/** Kilobytes within which most runs stop at one write or another. */
const smallest = 8;
const largest = 1500;

/** @returns undefined where no small disk can be mounted */
export async function fillDisks(
  runs: number,
  seed: number,
  onRun: (figures: DiskFigures) => void = () => {},
): Promise<DiskFigures | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'fln-full-'));
  const disk = SmallDisk.mount(join(folder, 'disk'), enough);
  if (disk === undefined) {
    rmSync(folder, { recursive: true });
    return undefined;
  }
  disk.unmount();
  try {
    const random = new Random(seed, 'full-disk');
    const references = await uninterrupted(folder);
    const empty = { runs: 0, full: 0, explained: 0, corrupt: 0, resumed: 0, identical: 0 };
    const figures: DiskFigures = { ...empty, refused: {}, failures: [] };
    for (; figures.runs < runs; onRun(figures)) {
      const { label, command, metrics } = references[figures.runs++ % references.length];
      const kilobytes = Math.round(smallest * (largest / smallest) ** random.uniform());
      const fail = (what: string) => figures.failures.push(`${label}, ${kilobytes} kB: ${what}`);
      const small = SmallDisk.mount(join(folder, 'disk'), kilobytes);
      if (small === undefined) throw new Error('a disk could be mounted, and no second one');
      try {
        const out = join(small.path, 'run');
        const train = [...command, '--out', out, '--checkpoint-every', '0.03'];
        const first = await fln(train, folder);
        for (const problem of unreadable(out)) {
          figures.corrupt++;
          fail(problem);
        }
        if (first.code === 0) continue;
        figures.full++;
        const refused = refusedFile(first.stderr);
        if (first.code === 1 && refused) {
          figures.explained++;
          figures.refused[refused] = (figures.refused[refused] ?? 0) + 1;
        } else fail(`exit ${first.code}: ${first.stderr}`);
        small.resize(enough);
        const second = await fln([...train, '--resume'], folder);
        figures.resumed++;
        if (second.code !== 0) fail(`resuming exits ${second.code}: ${second.stderr}`);
        else if (numbersOf(out, label) !== metrics) fail('other numbers');
        else figures.identical++;
      } finally {
        small.unmount();
      }
    }
    return figures;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The name of the file in the message; undefined when it is no plain one, or has a stack trace. */
function refusedFile(stderr: string): string | undefined {
  if (/^ {4}at /m.test(stderr)) return undefined;
  const path = /cannot write (\S+): the disk is full\. Free some space/.exec(stderr)?.[1];
  return path?.replace(/^.*\/run\/(.*-s\d+\/)?/, '').replace(/batch-\d+/, 'batch');
}
