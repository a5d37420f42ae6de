import * as tf from '@tensorflow/tfjs';
import type { Tree } from './tree.js';

/**
 * A function from tensors to new tensors and nothing else: it has no side effects, reads no values,
 * and depends on nothing but its input. Plain numbers in it count once and for all.
 */
export type TensorFunction<Input extends Tree, Output extends Tree> = (input: Input) => Output;

/** A tensor function in the form in which the backend runs it fastest. */
export interface Compiled<Input extends Tree, Output extends Tree> {
  /** @returns new tensors, of the scope it is called in, or the caller's where there is none */
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
  run: (input) => tf.tidy((() => fn(input)) as () => tf.TensorContainer) as ReturnType<typeof fn>,
  dispose: () => {},
});

/** The compiled functions of each context. */
const programs = new WeakMap<object, Map<unknown, { dispose(): void }>>();

/**
 * A tensor function that also depends on a context, which never changes: it is compiled once for each
 * context (as `jax.jit` does for static arguments), until {@link disposeCompiled}.
 */
export function compiled<Context extends object, Input extends Tree, Output extends Tree>(
  fn: (context: Context, input: Input) => Output,
): (context: Context, input: Input) => Output {
  return (context, input) => {
    let own = programs.get(context);
    if (own === undefined) {
      own = new Map();
      programs.set(context, own);
    }
    let program = own.get(fn) as Compiled<Input, Output> | undefined;
    if (program === undefined) {
      program = compile((tree: Input) => fn(context, tree));
      own.set(fn, program);
    }
    return program.run(input);
  };
}

/** Frees what was compiled for a context. */
export function disposeCompiled(context: object): void {
  for (const program of programs.get(context)?.values() ?? []) program.dispose();
  programs.delete(context);
}
