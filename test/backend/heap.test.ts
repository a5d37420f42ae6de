import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { startBackend } from '../../src/backend/registry.js';
import { guardHeap, hasRoom, heapSize } from '../../src/backend/wasm/heap.js';
import { whyNotWasm } from '../../src/backend/wasm/wasm.js';
import { RunError } from '../../src/errors.js';
import { runExperiment } from '../../src/experiment/run.js';
import { addressSpaceAdvice } from '../../src/shared/memory.js';
import { program } from '../cli/fln.js';
import { temporaryFolder, tinyConfig, tinyExperiment } from '../experiment/tiny.js';

it('leaves room for the copy that a kernel may make of the largest tensor', () => {
  expect(hasRoom(1e9, { held: 2e9, largest: 1.2e9 })).toBe(true);
  expect(hasRoom(1e9, { held: 2.2e9, largest: 1.2e9 })).toBe(false);
  expect(hasRoom(2.2e9, { held: 0, largest: 0 })).toBe(false);
});

it('a tensor that 32-bit addresses do not reach is refused, and the backend goes on', async () => {
  await startBackend('wasm');
  const before = tf.memory().numTensors;
  expect(() => tf.fill([heapSize / 4], 1)).toThrow(RunError);
  expect(() => tf.fill([heapSize / 4], 1)).toThrow(
    /memory of 4\.3 GB has no room for 4\.3 GB more beside .* Use a smaller batchSize or network/,
  );
  expect(tf.memory().numTensors).toBe(before);
  expect(tf.tidy(() => tf.sum(tf.fill([1000], 2)).dataSync()[0])).toBe(2000);
});

it('a full heap fails the run that filled it, and trains the others', async () => {
  await startBackend('wasm');
  guardHeap(tf.memory().numBytes + 25e6);
  const experiment = tinyExperiment(
    'backend=wasm',
    'network.layers.0.dense=400',
    'dataset.limit=4000',
    'methods=[{ name: sgd, batchSize: full }, { name: adam, epochs: 1 }]',
  );
  const outDir = temporaryFolder();
  const { status, runs } = await runExperiment(experiment, { outDir });
  expect(status).toBe('failed');
  expect(runs.map((run) => run.status)).toEqual(['FAILED', 'COMPLETED']);
  expect(runs[0].error).toMatch(/memory of [\d.]+ MB has no room for [\d.]+ [kM]B more beside/);
  expect(readFileSync(join(outDir, 'adam-s1/metrics.csv'), 'utf8').split('\n')).toHaveLength(82);
});

it('a limit of the address space is named, with the way to lift it', () => {
  const limits = (value: string) => () =>
    `Limit Soft Limit Hard Limit Units\nMax address space         ${value}           unlimited bytes\n`;
  expect(addressSpaceAdvice(limits('unlimited'))).toBeUndefined();
  expect(addressSpaceAdvice(() => '')).toBeUndefined();
  const advice = addressSpaceAdvice(limits('4096000000'));
  expect(advice).toMatch(/limited to 4\.1 GB \(ulimit -v\)\. Lift .*"ulimit -v unlimited"/);

  const outOfMemory =
    'failed to asynchronously prepare wasm: RangeError: WebAssembly.instantiate(): Out of memory: x';
  expect(whyNotWasm([outOfMemory, 'Aborted(x)'], advice)?.message).toMatch(
    /"wasm" does not start: .* limited to 4\.1 GB .*, or use `--backend cpu`/,
  );
  const unlimited = whyNotWasm([outOfMemory], undefined);
  expect(unlimited?.message).toContain('WebAssembly.instantiate(): Out of memory: x. Free some');
  expect(whyNotWasm(['CompileError: bad magic'], advice)?.message).toContain(
    'CompileError: bad magic. Reinstall with `npm ci`',
  );
  expect(whyNotWasm([], advice)).toBeUndefined();
});

// From Node 24 on WebAssembly does with as few addresses as Node itself, which aborts below that.
const reservesAddresses = Number.parseInt(process.versions.node, 10) < 24;
const mayFail = it.runIf(process.platform === 'linux' && reservesAddresses);

mayFail('a run under `ulimit -v` says so, and nothing else', () => {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, 'tiny.yaml'), tinyConfig);
  const args = [process.execPath, ...program, 'run', 'tiny.yaml', '--backend', 'wasm'];
  const limited = ['-c', 'ulimit -v 6000000; exec "$@"', 'sh', ...args];
  const { status, stderr } = spawnSync('bash', limited, { cwd, encoding: 'utf8' });
  expect(status).toBe(4);
  expect(stderr).toMatch(/^the backend "wasm" does not start: [^\n]*limited to 6\.1 GB[^\n]*\n$/);
});
