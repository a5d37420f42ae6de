import * as tf from '@tensorflow/tfjs';
import { deviceCholesky } from '../../core/solvers/device-cholesky.js';
import { FlnError } from '../../errors.js';
import { BackendUnavailable, type Device } from '../backend.js';
import { startBackend } from '../registry.js';
import { loadBinding } from '../tensorflow/binding.js';
import { isCudaBuild, unloadableLibraries } from '../tensorflow/cuda.js';
import type { ProbedBinding, Trial } from './probe.js';
import { resultMark } from './probe.js';

/*
 * The process of ./probe.ts: starts the backend that its first argument names, checks a few results
 * whose values are known, and prints a Trial. With `cuda` for the second, a TensorFlow that was built
 * for GPUs is taken before others; whether it computes on one is another question, which a third
 * argument settles: the device that it has to compute on.
 */

async function attempt(name: string, prefer?: string, device?: string): Promise<Trial> {
  try {
    if (prefer === 'cuda') loadBinding('cuda');
    const report = await startBackend(name, (device || undefined) as Device | undefined);
    await checkProduct();
    await checkConvolution();
    if (!report.name.startsWith('tensorflow')) return { works: true, report };
    await checkCholesky();
    return { works: true, report, binding: describeBinding(report.version, report.device) };
  } catch (error) {
    const reason = error instanceof FlnError ? error.message : String((error as Error).stack);
    const problem = error instanceof BackendUnavailable ? error.problem : undefined;
    return { works: false, reason, problem };
  }
}

/** Small whole numbers, which every kernel multiplies exactly, also in reduced precision. */
async function checkProduct(): Promise<void> {
  const [rows, inner, columns] = [64, 32, 48];
  const a = Array.from({ length: rows * inner }, (_, i) => (i % 7) - 3);
  const b = Array.from({ length: inner * columns }, (_, i) => (i % 5) - 2);
  const product = tf.matMul(tf.tensor2d(a, [rows, inner]), tf.tensor2d(b, [inner, columns]));
  const expected = Array.from({ length: rows * columns }, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    let sum = 0;
    for (let k = 0; k < inner; k++) sum += a[row * inner + k] * b[k * columns + column];
    return sum;
  });
  expectValues('matrix product', await product.data(), expected);
}

/** All ones: every output counts the weights of the filter. */
async function checkConvolution(): Promise<void> {
  const output = tf.conv2d(tf.ones<tf.Rank.R4>([2, 6, 6, 3]), tf.ones([3, 3, 3, 4]), 1, 'valid');
  expectValues('convolution', await output.data(), new Array(2 * 4 * 4 * 4).fill(27));
}

/** A = L L^T with a known L. */
async function checkCholesky(): Promise<void> {
  const n = 8;
  const lower = Array.from({ length: n * n }, (_, i) => {
    const [row, column] = [Math.floor(i / n), i % n];
    return column > row ? 0 : column === row ? row + 1 : (row + column) % 3;
  });
  const l = tf.tensor2d(lower, [n, n]);
  const factor = deviceCholesky(tf.matMul(l, l, false, true));
  expectValues('Cholesky factor', await factor.data(), lower, 1e-4);
}

function expectValues(
  what: string,
  actual: ArrayLike<number>,
  expected: readonly number[],
  tolerance = 0,
): void {
  const wrong = expected.findIndex((value, i) => !(Math.abs(actual[i] - value) <= tolerance));
  if (actual.length === expected.length && wrong === -1) return;
  throw new FlnError(
    `it computes a wrong ${what}: element ${wrong} is ${actual[wrong]}, not ${expected[wrong]}`,
    4,
  );
}

function describeBinding(version: string, device: string | undefined): ProbedBinding {
  const binding = loadBinding();
  const cudaBuild = isCudaBuild(binding);
  const closed = cudaBuild && device !== 'cuda' ? unloadableLibraries(binding, version) : [];
  return { name: binding.name, folder: binding.folder, cudaBuild, closed };
}

const trial = await attempt(process.argv[2], process.argv[3], process.argv[4]);
// A native library may keep the process alive.
process.stdout.write(`\n${resultMark}${JSON.stringify(trial)}\n`, () => process.exit());
