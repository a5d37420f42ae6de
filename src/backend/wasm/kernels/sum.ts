import { util } from '@tensorflow/tfjs';
import { type Kernel, Scratch } from './kernel.js';

/**
 * Sums over the leading axes (bias gradients): one row of ones times the matrix. The stock kernel
 * transposes first and is about 20 times slower.
 */
export const sum =
  (original: Kernel | undefined): Kernel =>
  (call) => {
    if (!original) throw new Error('the wasm backend has no kernel Sum');
    const { x } = call.inputs;
    const axes = util.parseAxisParam(call.attrs.axis as number | number[], x.shape);
    const sorted = [...axes].sort((a, b) => a - b);
    const leading = sorted.every((axis, i) => axis === i);
    const kept = x.shape.slice(sorted.length);
    const rows = util.sizeFromShape(x.shape.slice(0, sorted.length));
    const columns = util.sizeFromShape(kept);
    if (!leading || kept.length === 0 || x.dtype !== 'float32' || rows * columns === 0) {
      return original(call);
    }
    const scratch = new Scratch(call.backend);
    const ones = scratch.constant(new Float32Array(rows).fill(1), [1, 1, rows]);
    const product = scratch.call(
      'BatchMatMul',
      { a: ones, b: scratch.view(x, [1, rows, columns]) },
      { transposeA: false, transposeB: false },
    );
    const shape = call.attrs.keepDims ? [...sorted.map(() => 1), ...kept] : kept;
    return scratch.finish(product, shape);
  };
