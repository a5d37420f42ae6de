import * as tf from '@tensorflow/tfjs';
import type { Tree } from './tree.js';

/**
 * A pure function from tensors to new tensors, which reads no values. Plain numbers in it become
 * constants of the compiled form.
 */
export type TensorFunction<Input extends Tree, Output extends Tree> = (input: Input) => Output;

/** A tensor function, compiled for the backend. */
export interface Compiled<Input extends Tree, Output extends Tree> {
  /** @returns new tensors, which belong to the current scope, or to the caller outside of scopes */
  run(input: Input): Output;
  dispose(): void;
}

/**
 * What the convolutions of compiled functions multiply. bfloat16: inputs and results are rounded to 8 significant bits,
 * and summed in float32 between. Backends that do not compile ignore it.
 */
export type ConvolutionPrecision = 'float32' | 'bfloat16';

export interface CompilerOptions {
  readonly convolutionPrecision?: ConvolutionPrecision | undefined;
}

/** Compiles a function for one backend. */
export type Compiler = <Input extends Tree, Output extends Tree>(
  fn: TensorFunction<Input, Output>,
  options?: CompilerOptions,
) => Compiled<Input, Output>;

const compilers = new Map<string, Compiler>();

/** For backends that compile to graphs; the others run one operation after the other. */
export function registerCompiler(backend: string, compiler: Compiler): void {
  compilers.set(backend, compiler);
}

/** The compiler of a backend. */
export const compilerOf = (backend: string): Compiler => compilers.get(backend) ?? eager;

/** Compiles a function that will run many times for the current backend. */
export const compile: Compiler = (fn, options) => compilerOf(tf.getBackend())(fn, options);

/** Runs the operations one after the other, without compiling. */
export const eager: Compiler = (fn) => ({
  run: (input) => tf.tidy((() => fn(input)) as () => tf.TensorContainer) as ReturnType<typeof fn>,
  dispose: () => {},
});

/** The compiled functions of each context. */
const programs = new WeakMap<object, Map<unknown, { dispose(): void }>>();

/** Whether a compiled function is at work: those that it calls are part of it. */
let isInside = false;

/**
 * A tensor function of an immutable context and an input: it is compiled once for each context (as
 * `jax.jit` does for static arguments), until {@link disposeCompiled}, with the precision that the context names. Such functions may
 * call each other.
 */
export function compiled<
  Context extends object & CompilerOptions,
  Input extends Tree,
  Output extends Tree,
>(fn: (context: Context, input: Input) => Output): (context: Context, input: Input) => Output {
  const inside = (context: Context, input: Input): Output => {
    isInside = true;
    try {
      return fn(context, input);
    } finally {
      isInside = false;
    }
  };
  return (context, input) => {
    if (isInside) return fn(context, input);
    const { convolutionPrecision } = context;
    const program = (tree: Input) => inside(context, tree);
    return programOf(context, fn, program, { convolutionPrecision }).run(input);
  };
}

/**
 * A compiled function that belongs to a context, until {@link disposeCompiled}: made from `fn` at the first call with `key`,
 * for functions with parts that are not tensors and do not follow from the context alone, such as one layer's map.
 */
export function programOf<Input extends Tree, Output extends Tree>(
  context: object,
  key: unknown,
  fn: TensorFunction<Input, Output>,
  options?: CompilerOptions,
): Compiled<Input, Output> {
  let own = programs.get(context);
  if (own === undefined) {
    own = new Map();
    programs.set(context, own);
  }
  let program = own.get(key) as Compiled<Input, Output> | undefined;
  if (program === undefined) {
    program = compile(fn, options);
    own.set(key, program);
  }
  return program;
}

/** Frees what was compiled for a context. */
export function disposeCompiled(context: object): void {
  for (const program of programs.get(context)?.values() ?? []) program.dispose();
  programs.delete(context);
}
