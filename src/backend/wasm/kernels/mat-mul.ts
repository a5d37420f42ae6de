import type { NamedAttrMap, TensorInfo } from '@tensorflow/tfjs';
import { type Kernel, type KernelCall, Scratch } from './kernel.js';

/**
 * Matrix products with a transposed operand: transpose it, then multiply.
 *
 * The stock kernel multiplies transposed operands in a scalar loop, about 12 times slower than the
 * plain product that it hands to XNNPACK; a transpose costs next to nothing beside either.
 */
export const matMul =
  (name: 'BatchMatMul' | '_FusedMatMul') =>
  (original: Kernel | undefined): Kernel =>
  (call: KernelCall): TensorInfo => {
    const { transposeA, transposeB } = call.attrs;
    if (!original) throw new Error(`the wasm backend has no kernel ${name}`);
    if (!transposeA && !transposeB) return original(call);
    const scratch = new Scratch(call.backend);
    const out = original({
      ...call,
      inputs: {
        ...call.inputs,
        a: transposeA ? transposeLast(scratch, call.inputs.a) : call.inputs.a,
        b: transposeB ? transposeLast(scratch, call.inputs.b) : call.inputs.b,
      },
      attrs: { ...call.attrs, transposeA: false, transposeB: false },
    });
    return scratch.finish(out);
  };

/** Swaps the last two axes. */
function transposeLast(scratch: Scratch, x: TensorInfo): TensorInfo {
  const rank = x.shape.length;
  const perm = x.shape.map((_, axis) => axis);
  perm[rank - 2] = rank - 1;
  perm[rank - 1] = rank - 2;
  return scratch.call('Transpose', { x }, { perm } as NamedAttrMap);
}
