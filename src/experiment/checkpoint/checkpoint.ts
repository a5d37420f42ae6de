import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { State } from '../../core/tree.js';
import { RunError } from '../../errors.js';
import { writeFileSynced, writeFolderAtomic } from '../../files/atomic.js';
import { readText, withRegularFile } from '../../files/read.js';
import { readState, type StateForm, writeState } from './state-file.js';

/** The part of a CSV for the batches done: its first bytes, and their SHA-256. */
const Extent = z.object({ bytes: z.int().positive(), sha256: z.string() });

/** Progress of a run at a checkpoint. */
const Position = z.object({
  /** Hash of the experiment's config. */
  experiment: z.string(),
  label: z.string(),
  seed: z.int(),
  /** Batches done. */
  batch: z.int().positive(),
  /** Training time so far. */
  wallMs: z.number().nonnegative(),
  /** Training loss of the first batch. */
  firstLoss: z.number(),
  metrics: Extent,
  /** Where the run has a layers.csv. */
  layers: Extent.optional(),
  /** What computed the state: with anything else, the last digits may differ. */
  madeBy: z.object({ program: z.string(), backend: z.string(), node: z.string() }),
});

export type Position = Readonly<z.infer<typeof Position>>;

const Form: z.ZodType<StateForm> = z.lazy(() =>
  z.union([z.string(), z.null(), z.array(Form), z.record(z.string(), Form)]),
);
/** 1 had states of another form. */
const format = 3;
const Content = Position.extend({ format: z.literal(format), writtenAt: z.string(), state: Form });

const contentName = 'checkpoint.json';
const stateName = 'state.safetensors';
const sumsName = 'SHA256SUMS';

/** One checkpoint: a folder with the position, the state of the method, and their checksums. */
export interface Checkpoint {
  readonly folder: string;
  readonly position: Position;
  /** Reads the state. @throws Error (message without the path) */
  state(): State;
}

/**
 * Writes a checkpoint as a whole or not at all, synced to the disk.
 * @returns its size in bytes
 * @throws DiskError
 */
export async function writeCheckpoint(
  folder: string,
  position: Position,
  state: State,
): Promise<number> {
  let size = 0;
  await writeFolderAtomic(folder, async (target) => {
    const { form, sha256, bytes } = await writeState(join(target, stateName), state);
    const writtenAt = new Date().toISOString();
    const content = JSON.stringify({ format, ...position, writtenAt, state: form }, null, 2);
    writeFileSynced(join(target, contentName), content);
    const sums = `${hashOf(content)}  ${contentName}\n${sha256}  ${stateName}\n`;
    writeFileSynced(join(target, sumsName), sums);
    size = bytes + content.length + sums.length;
  });
  return size;
}

/**
 * Copies a checkpoint, as one of another experiment, into a new folder.
 * @param experiment hash of its config
 * @throws what the system reports
 */
export function copyCheckpoint({ folder }: Checkpoint, target: string, experiment: string): void {
  mkdirSync(target);
  copyFileSync(join(folder, stateName), join(target, stateName));
  const json = JSON.parse(readText(join(folder, contentName)));
  const content = JSON.stringify({ ...json, experiment }, null, 2);
  writeFileSynced(join(target, contentName), content);
  const sums = [contentName, stateName].map(
    (name) => `${hashOfFile(join(target, name))}  ${name}\n`,
  );
  writeFileSynced(join(target, sumsName), sums.join(''));
}

/**
 * Reads a checkpoint and verifies its checksums.
 * @throws Error (message without the path) when it is damaged; RunError when another version wrote it
 */
export function readCheckpoint(folder: string): Checkpoint {
  const sums = readText(join(folder, sumsName));
  for (const name of [contentName, stateName]) {
    const expected = new RegExp(`^([0-9a-f]{64}) {2}${name}$`, 'm').exec(sums)?.[1];
    if (expected === undefined) throw new Error(`${sumsName} does not list ${name}`);
    if (hashOfFile(join(folder, name)) !== expected) {
      throw new Error(`${name} does not match its checksum`);
    }
  }
  const json = JSON.parse(readText(join(folder, contentName)));
  const content = Content.safeParse(json);
  if (!content.success) {
    const version = json?.format;
    if (!Number.isInteger(version) || version === format) {
      throw new Error(`${contentName} has missing or invalid fields`);
    }
    const age = version < format ? 'an earlier' : 'another';
    throw new RunError(
      `cannot resume from checkpoint ${folder}: ${age} version of fln wrote it, whose states have another form. ` +
        'Resume with that version, or retrain the run with --overwrite',
    );
  }
  const { state: form, format: _, writtenAt: __, ...position } = content.data;
  return { folder, position, state: () => readState(join(folder, stateName), form) };
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** In pieces: a state may be as large as the memory. */
function hashOfFile(path: string): string {
  const hash = createHash('sha256');
  const piece = Buffer.alloc(1 << 20);
  withRegularFile(path, Number.POSITIVE_INFINITY, (file) => {
    let length: number;
    do {
      length = readSync(file, piece);
      hash.update(piece.subarray(0, length));
    } while (length > 0);
  });
  return hash.digest('hex');
}
