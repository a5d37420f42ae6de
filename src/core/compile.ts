import * as tf from '@tensorflow/tfjs';
import { leavesOf, type Tree } from './tree.js';

/**
 * A function from tensors to new tensors and nothing else: it has no side effects, reads no values,
 * and depends on nothing but its input. Plain numbers in it count once and for all.
 */
export type TensorFunction<Input extends Tree, Output extends Tree> = (input: Input) => Output;

/** A tensor function in the form in which the backend runs it fastest. */
export interface Compiled<Input extends Tree, Output extends Tree> {
  /** @returns new tensors, beyond any enclosing tidy; the caller's to dispose of */
  run(input: Input): Output;
  dispose(): void;
}

/** Makes a backend's form of a function. */
export type Compiler = <Input extends Tree, Output extends Tree>(
  fn: TensorFunction<Input, Output>,
) => Compiled<Input, Output>;

const compilers = new Map<string, Compiler>();

/** Called by a backend that has more to offer than one operation after the other. */
export function registerCompiler(backend: string, compiler: Compiler): void {
  compilers.set(backend, compiler);
}

/** The form in which a backend runs functions. */
export const compilerOf = (backend: string): Compiler => compilers.get(backend) ?? eager;

/** Prepares a function that will run many times for the current backend. */
export const compile: Compiler = (fn) => compilerOf(tf.getBackend())(fn);

/** Runs the operations one after the other as they stand. */
export const eager: Compiler = (fn) => ({
  run: (input) => {
    const output = tf.tidy((() => kept(fn(input))) as () => tf.TensorContainer);
    return output as ReturnType<typeof fn>;
  },
  dispose: () => {},
});

function kept<T extends Tree>(tree: T): T {
  for (const leaf of leavesOf(tree)) tf.keep(leaf);
  return tree;
}
