import * as tf from '@tensorflow/tfjs';
import { RunError } from '../../errors.js';
import { sizeText } from '../../shared/text.js';

/** Size of a 32-bit address space, in bytes. */
export const heapSize = 2 ** 32;

/** Current use of the heap. */
export interface HeapUse {
  /** Bytes of all tensors there. */
  readonly held: number;
  /** The largest tensor that may still be there: kernels may allocate as much again to copy operands. */
  readonly largest: number;
}

/** Whether one more tensor fits into the heap, with the copies that kernels make. */
export function hasRoom(bytes: number, { held, largest }: HeapUse, size = heapSize): boolean {
  return held + bytes + Math.max(largest, bytes) <= size;
}

/** The part of the compiled module that hands out its memory, which its types leave out. */
interface Allocator {
  _malloc(bytes: number): number;
  _free(pointer: number): void;
}

/** Modules that are guarded, and the bytes that each may use. */
const limits = new WeakMap<Allocator, number>();

/**
 * Refuses tensors that do not fit into the current backend's heap.
 *
 * The tensor library does not check what the allocator returns: beyond the heap it overwrites other
 * tensors, or WebAssembly traps and the backend is unusable.
 *
 * @param size limit in bytes; absent: the earlier limit, else the whole heap
 */
export function guardHeap(size?: number): void {
  const { wasm } = tf.backend() as unknown as { wasm: Allocator };
  const before = limits.get(wasm);
  limits.set(wasm, size ?? before ?? heapSize);
  if (before !== undefined) return;
  // The module puts the allocator itself in place of this function at its first call.
  wasm._free(wasm._malloc(1));
  const allocate = wasm._malloc;
  let largest = 0;
  wasm._malloc = (bytes) => {
    const held = tf.memory().numBytes;
    const limit = limits.get(wasm) ?? heapSize;
    if (held < largest) largest = 0;
    const pointer = hasRoom(bytes, { held, largest }, limit) ? allocate(bytes) : 0;
    if (pointer === 0 && bytes > 0) throw new RunError(fullHeap(bytes, held, limit));
    largest = Math.max(largest, bytes);
    return pointer;
  };
}

function fullHeap(bytes: number, held: number, limit: number): string {
  return (
    `the backend's memory of ${sizeText(limit)} has no room for ${sizeText(bytes)} more beside ` +
    `${sizeText(held)} of tensors. Use a smaller batchSize or network, or another backend (fln backend list)`
  );
}
