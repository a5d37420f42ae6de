import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse/sync';
import { PbfReader } from 'pbf';
import { describe, expect, it } from 'vitest';
import { longColumns, nameRuns, writeLongTable } from '../../src/report/long-table.js';
import { checksum, writeTensorBoard } from '../../src/report/tensorboard.js';
import { loadRuns, type Run } from '../../src/runs/run-directory.js';
import { fln } from '../cli/fln.js';
import { temporaryFolder } from '../experiment/tiny.js';
import { mnistMethods, writeRuns } from '../report/synthetic.js';

const python = process.env.FLN_PYTHON;

function exampleRuns(folder: string): readonly Run[] {
  writeRuns(join(folder, 'runs'), mnistMethods.slice(0, 2), [1, 2], { batches: 30 });
  const { runs } = loadRuns([join(folder, 'runs')]);
  expect(runs).toHaveLength(4);
  return runs;
}

/** layers.csv of two layers at batches 1 and 2. */
const exampleLayers = {
  method: 'fenchel',
  seed: 1,
  rows: 4,
  columns: {
    batch: Float64Array.of(1, 1, 2, 2),
    epoch: Float64Array.of(1, 1, 1, 1),
    layer: Float64Array.of(1, 2, 1, 2),
    penalty: Float64Array.of(0.75, Number.NaN, 0.5, Number.NaN),
    residual: Float64Array.of(Number.NaN, 0.125, Number.NaN, 0.25),
  },
};

interface Event {
  wallTime: number;
  step: number;
  scalars: Record<string, number>;
}

/** Reads an event file by the published format, without the code that wrote it. */
function readEvents(path: string): Event[] {
  const bytes = readFileSync(path);
  const events: Event[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    expect(bytes.readUInt32LE(at + 8)).toBe(masked(bytes.subarray(at, at + 8)));
    const content = bytes.subarray(at + 12, at + 12 + length);
    expect(bytes.readUInt32LE(at + 12 + length)).toBe(masked(content));
    const event: Event = { wallTime: 0, step: 0, scalars: {} };
    const reader = new PbfReader(content);
    for (let field = reader.nextField(); field; field = reader.nextField()) {
      if (field === 1) event.wallTime = reader.readDouble();
      else if (field === 2) event.step = reader.readVarint();
      else if (field === 5) readSummary(reader, event.scalars);
    }
    events.push(event);
    at += 16 + length;
  }
  return events;
}

function readSummary(reader: PbfReader, scalars: Record<string, number>): void {
  const end = reader.readVarint() + reader.pos;
  for (let field = reader.nextField(end); field; field = reader.nextField(end)) {
    const inner = reader.readVarint() + reader.pos;
    let tag = '';
    for (let part = reader.nextField(inner); part; part = reader.nextField(inner)) {
      if (part === 1) tag = reader.readString();
      else if (part === 2) scalars[tag] = reader.readFloat();
    }
  }
}

const masked = (bytes: Uint8Array) => {
  const crc = BigInt(checksum(bytes));
  return Number((((crc >> 15n) | (crc << 17n)) + 0xa282ead8n) & 0xffffffffn);
};

describe('event files of TensorBoard', () => {
  it('have the checksum CRC-32C', () => {
    // The check value of the CRC catalogue, and RFC 3720, B.4.
    expect(checksum(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(checksum(new Uint8Array(32))).toBe(0x8a9136aa);
  });

  it('contain every measured value at its batch, as float32', () => {
    const folder = temporaryFolder();
    const runs = exampleRuns(folder);
    const paths = writeTensorBoard(nameRuns(runs), join(folder, 'tb'));
    expect(paths).toHaveLength(4);
    const events = readEvents(paths[0]);
    const { columns, rows } = runs[0].metrics;
    expect(events).toHaveLength(rows + 1);
    for (let row = 0; row < rows; row++) {
      const { step, scalars, wallTime } = events[row + 1];
      expect(step).toBe(columns.batch[row]);
      expect(wallTime - events[0].wallTime).toBeCloseTo(columns.wall_s[row], 5);
      expect(scalars['train/loss']).toBe(Math.fround(columns.train_loss[row]));
      const accuracy = columns.test_accuracy[row];
      expect(scalars['test/accuracy']).toBe(
        Number.isNaN(accuracy) ? undefined : Math.fround(accuracy),
      );
    }
    const withLayers = [{ ...runs[0], layers: exampleLayers }];
    const [path] = writeTensorBoard(nameRuns(withLayers), join(folder, 'layers'));
    const second = readEvents(path).find(({ step }) => step === 2);
    expect(second?.scalars).toMatchObject({ 'layer1/penalty': 0.5, 'layer2/residual': 0.25 });
    expect(second?.scalars).not.toHaveProperty('layer2/penalty');
    // Again: replaced, not doubled.
    expect(writeTensorBoard(nameRuns(runs), join(folder, 'tb'))).toEqual(paths);
  });

  it('have names of their own for each run, which cannot leave the folder', () => {
    const folder = temporaryFolder();
    const [run] = exampleRuns(folder);
    const two = [run, { ...run, directory: '/elsewhere/other' }];
    expect(new Set(nameRuns(two).map(({ name }) => name)).size).toBe(2);
    const hostile = nameRuns([{ ...run, label: '../../etc/x' }])[0];
    expect(hostile.name).toBe('__.._etc_x-s1');
    expect(existsSync(join(folder, 'tb'))).toBe(false);
  });

  it.skipIf(python === undefined)("are what TensorBoard's own reader reads", () => {
    const folder = temporaryFolder();
    const runs = exampleRuns(folder);
    writeTensorBoard(nameRuns(runs), join(folder, 'tb'));
    const { name, run } = nameRuns(runs)[1];
    const script = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
print(json.dumps({t: [[s.step, s.value] for s in events.Scalars(t)] for t in events.Tags()["scalars"]}))`;
    const out = execFileSync(python as string, ['-c', script, join(folder, 'tb', name)]);
    const read: Record<string, [number, number][]> = JSON.parse(out.toString());
    const { columns } = run.metrics;
    const expected = [...columns.batch]
      .map((batch, row): [number, number] => [batch, Math.fround(columns.test_accuracy[row])])
      .filter(([, value]) => !Number.isNaN(value));
    expect(read['test/accuracy']).toEqual(expected);
    expect(read['train/loss']).toHaveLength(30);
  });
});

it('the long table has one row per measured value, and the same columns for every method', () => {
  const folder = temporaryFolder();
  const runs = exampleRuns(folder);
  const path = join(folder, 'long.csv');
  const count = writeLongTable(runs, path);
  const rows: Record<string, string>[] = parse(readFileSync(path), { columns: true });
  expect(rows).toHaveLength(count);
  expect(Object.keys(rows[0])).toEqual([...longColumns]);
  const { columns } = runs[2].metrics;
  const accuracies = rows
    .filter(({ metric, method, seed }) => {
      const isThis = method === runs[2].label && Number(seed) === runs[2].seed;
      return isThis && metric === 'test_accuracy';
    })
    .map(({ batch, value }) => [Number(batch), Number(value)]);
  const expected = [...columns.batch]
    .map((batch, row) => [batch, columns.test_accuracy[row]])
    .filter(([, value]) => !Number.isNaN(value));
  expect(accuracies).toEqual(expected);
  writeLongTable([{ ...runs[0], layers: exampleLayers }], path);
  const ofLayers = parse<Record<string, string>>(readFileSync(path), { columns: true })
    .filter(({ layer }) => layer !== '')
    .map(({ batch, layer, metric, value }) => [batch, layer, metric, value]);
  expect(ofLayers).toEqual([
    ['1', '1', 'penalty', '0.75'],
    ['1', '2', 'residual', '0.125'],
    ['2', '1', 'penalty', '0.5'],
    ['2', '2', 'residual', '0.25'],
  ]);
});

it('fln export writes both, and refuses what it cannot write', async () => {
  const cwd = temporaryFolder();
  exampleRuns(cwd);
  const both = await fln(['export', 'runs', '--tensorboard', 'tb', '--long', 'all.csv'], { cwd });
  expect(both).toMatchObject({ code: 0, stderr: '' });
  expect(both.stdout).toMatch(/^4 runs written; tensorboard --logdir tb\nall\.csv: [\d,]+ rows\n$/);
  expect(existsSync(join(cwd, 'tb', nameRuns(loadRuns([join(cwd, 'runs')]).runs)[0].name))).toBe(
    true,
  );
  const refused = async (...args: string[]) => {
    const { code, stderr } = await fln(['export', ...args], { cwd });
    expect(code).toBe(2);
    return stderr;
  };
  expect(await refused('runs')).toContain('give --tensorboard FOLDER, --long FILE');
  expect(await refused('runs', '--tensorboard', 'all.csv')).toContain('all.csv is a file');
  expect(await refused('runs', '--long', 'absent/x.csv')).toContain('does not exist');
  expect(await refused('tb', '--long', 'x.csv')).toContain('there is no run to export');
});

it.skipIf(python === undefined)('the MLflow recipe logs every run with its metrics', () => {
  const folder = temporaryFolder();
  const script = fileURLToPath(new URL('../../docs/examples/mlflow_import.py', import.meta.url));
  const runs = fileURLToPath(new URL('../../results/reference/mnist-mlp-mse', import.meta.url));
  const env = {
    ...process.env,
    MLFLOW_TRACKING_URI: `file:${join(folder, 'mlruns')}`,
    MLFLOW_ALLOW_FILE_STORE: 'true',
  };
  const out = execFileSync(python as string, [script, runs], { cwd: folder, env }).toString();
  expect(out).toContain('mnist-mlp-mse: fenchel, seed 1\n');
  const check = `
import json, mlflow
client = mlflow.MlflowClient()
found = client.search_runs([client.get_experiment_by_name("mnist-mlp-mse").experiment_id])
print(json.dumps({r.info.run_name: [r.data.metrics["test_accuracy"], r.info.status] for r in found}))`;
  const logged = JSON.parse(execFileSync(python as string, ['-c', check], { env }).toString());
  for (const run of loadRuns([runs]).runs) {
    const last = run.metrics.columns.test_accuracy.findLast((value) => !Number.isNaN(value));
    expect(logged[`${run.label}-s${run.seed}`]).toEqual([last, 'FINISHED']);
  }
});
