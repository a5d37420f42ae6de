import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PbfWriter } from 'pbf';
import { writeFileAtomic } from '../files/atomic.js';
import { guardDisk } from '../files/disk.js';
import type { Metrics } from '../runs/metrics.js';
import type { Run } from '../runs/run-directory.js';
import { measured, type NamedRun } from './long-table.js';

/**
 * Event files of TensorBoard: records of the TFRecord format, each a protocol buffer `tensorflow.Event`
 * (tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto; the numbers below are those of
 * its fields). Values are float32 there.
 */

/**
 * Writes one folder per run, for `tensorboard --logdir FOLDER`. The file of a run is replaced.
 * @returns the paths of the files
 * @throws DiskError
 */
export function writeTensorBoard(runs: readonly NamedRun[], folder: string): string[] {
  return runs.map(({ name, run }) => {
    const path = join(folder, name, `events.out.tfevents.${Math.floor(startOf(run))}.fln`);
    guardDisk(path, () => mkdirSync(join(folder, name), { recursive: true }));
    writeFileAtomic(path, tensorBoardEvents(run));
    return path;
  });
}

/** Seconds since 1970. */
const startOf = ({ startedAt }: Pick<Run, 'startedAt'>): number =>
  startedAt === undefined ? 0 : Date.parse(startedAt) / 1000 || 0;

/**
 * The event file of a run: a scalar per measured value of metrics.csv and layers.csv, at its batch. Its wall time is
 * the start of the run plus its training time.
 */
export function tensorBoardEvents(run: Pick<Run, 'metrics' | 'layers' | 'startedAt'>): Buffer {
  const start = startOf(run);
  const records = [record(event(start, 0, [], 'brain.Event:2'))];
  const layers = rowsByBatch(run.layers);
  const columns = measured(run.metrics);
  const { batch, wall_s: wall } = run.metrics.columns;
  for (let row = 0; row < run.metrics.rows; row++) {
    const scalars = columns
      .map(([name, values]): Scalar => [tagOf(name), values[row]])
      .concat(layers.get(batch[row]) ?? [])
      .filter(([, value]) => !Number.isNaN(value));
    records.push(record(event(start + (wall?.[row] || 0), batch[row], scalars)));
  }
  return Buffer.concat(records);
}

/** The values of layers.csv at each batch: `layer1/penalty`. */
function rowsByBatch(layers: Run['layers']): Map<number, Scalar[]> {
  const found = new Map<number, Scalar[]>();
  const columns = layers ? measured(layers) : [];
  for (let row = 0; row < (layers?.rows ?? 0); row++) {
    const { batch, layer } = (layers as Metrics).columns;
    const scalars = columns.map(
      ([name, values]): Scalar => [`layer${layer[row]}/${name}`, values[row]],
    );
    found.set(batch[row], [...(found.get(batch[row]) ?? []), ...scalars]);
  }
  return found;
}

/** TensorBoard groups by what stands before a slash: `test_accuracy` is `test/accuracy`. */
const tagOf = (column: string) => column.replace(/^(train|test|validation)_/, '$1/');

type Scalar = readonly [tag: string, value: number];

function event(
  wallTime: number,
  step: number,
  scalars: readonly Scalar[],
  fileVersion?: string,
): Uint8Array {
  const writer = new PbfWriter();
  writer.writeDoubleField(1, wallTime);
  writer.writeVarintField(2, step);
  if (fileVersion !== undefined) writer.writeStringField(3, fileVersion);
  if (scalars.length > 0) writer.writeMessage(5, writeSummary, scalars);
  return writer.finish();
}

function writeSummary(scalars: readonly Scalar[], writer: PbfWriter): void {
  for (const scalar of scalars) writer.writeMessage(1, writeValue, scalar);
}

function writeValue([tag, value]: Scalar, writer: PbfWriter): void {
  writer.writeStringField(1, tag);
  writer.writeFloatField(2, value);
}

/** Length, masked checksum of the length, content, masked checksum of the content; little-endian. */
function record(content: Uint8Array): Buffer {
  const bytes = Buffer.alloc(16 + content.length);
  bytes.writeBigUInt64LE(BigInt(content.length));
  bytes.writeUInt32LE(maskedChecksum(bytes.subarray(0, 8)), 8);
  bytes.set(content, 12);
  bytes.writeUInt32LE(maskedChecksum(content), 12 + content.length);
  return bytes;
}

/** Remainders of CRC-32C (polynomial 0x1EDC6F41, reflected) of one byte. */
const remainders = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) {
    remainder = remainder & 1 ? (remainder >>> 1) ^ 0x82f63b78 : remainder >>> 1;
  }
  return remainder;
});

/** CRC-32C of some bytes. */
export function checksum(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = remainders[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** The checksum of TFRecord: CRC-32C, rotated right by 15 bits, plus a constant. */
function maskedChecksum(bytes: Uint8Array): number {
  const crc = checksum(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
