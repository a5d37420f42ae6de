import * as tf from '@tensorflow/tfjs';
import { disposeCompiled } from './compile.js';
import type {
  Batch,
  Method,
  MethodContext,
  StepMeasurements,
  StepMetrics,
} from './methods/method.js';
import type { Parameters } from './network/parameters.js';
import { disposeTree, isLeaf, isTensor, type State, tensorsIn } from './tree.js';

/**
 * A method with its constants and its current state, which it owns. Methods take a state and return the
 * next one; this frees the tensors that are no longer in it, intermediate results included.
 */
export class Training<Config = unknown> {
  #state: State;

  private constructor(
    private readonly method: Method<Config>,
    private readonly context: MethodContext<Config>,
    private readonly constants: unknown,
    state: State,
  ) {
    this.#state = state;
  }

  /** @throws RunError, NotPositiveDefiniteError: what `prepare` and `init` throw */
  static async start<Config>(
    method: Method<Config>,
    context: MethodContext<Config>,
  ): Promise<Training<Config>> {
    const constants = await scoped(async () => method.prepare?.(context));
    try {
      const state = await scoped(async () => method.init(context, constants));
      return new Training(method, context, constants, state);
    } catch (error) {
      disposeTree(constants);
      disposeCompiled(context);
      throw error;
    }
  }

  /** The method's own columns of metrics.csv. */
  get columns(): readonly string[] {
    return this.method.columns?.(this.context.config) ?? [];
  }

  /** Everything that a step changes; owned by this object. */
  get state(): State {
    return this.#state;
  }

  /**
   * Resumes from a state of the same method with the same context, bit for bit. It is owned by this object
   * from now on, or freed when it is refused.
   * @throws Error where it is the state of something else
   */
  set state(next: State) {
    const difference =
      next === undefined ? 'it has no state' : formDifference(this.#state, next, 'state');
    if (difference) {
      disposeTree(next, tensorsIn(this.#state));
      throw new Error(difference);
    }
    this.#replace(next);
  }

  #replace(next: State): void {
    disposeTree(this.#state, tensorsIn(next));
    this.#state = next;
  }

  /**
   * One step. When it throws, the state is the one before it.
   * @param batch absent for full-batch methods, which keep the training images themselves
   * @param stepped called when the step is done and before its layers are measured; without it, they are not.
   *   Measuring changes no number of this or of a later step
   * @throws RunError when numbers stop being finite, NotPositiveDefiniteError when a factorisation breaks down
   */
  async step(
    batch?: Batch,
    stepped?: () => void,
  ): Promise<StepMetrics & Partial<StepMeasurements>> {
    const { state, metrics } = await scoped(
      async () => {
        const step = await this.method.step(
          this.context,
          this.constants,
          this.#state,
          batch as Batch,
        );
        stepped?.();
        const measured = stepped && (await step.measure?.());
        return { state: step.state, metrics: { ...step.metrics, ...measured } };
      },
      (result) => result.state,
    );
    this.#replace(state);
    return metrics;
  }

  /** Parameters to test with; owned by this object. */
  parameters(): Parameters {
    return this.method.parameters(this.#state);
  }

  dispose(): void {
    disposeTree([this.#state, this.constants]);
    disposeCompiled(this.context);
  }
}

/**
 * Runs work that creates tensors, and frees all of them except those in its result. Nothing else may create
 * tensors at the same time: scopes of the tensor library are a stack.
 * @param kept the part of the result whose tensors are kept; by default all of it
 */
export async function scoped<T>(
  work: () => Promise<T>,
  kept: (result: T) => unknown = (result) => result,
) {
  const engine = tf.engine();
  engine.startScope();
  let tensors: tf.Tensor[] = [];
  try {
    const result = await work();
    tensors = tensorsIn(kept(result));
    return result;
  } finally {
    engine.endScope(tensors);
  }
}

/** The first difference in structure or shapes between two states; undefined, not set yet, matches anything. */
function formDifference(a: State, b: State, name: string): string | undefined {
  if (a === undefined || b === undefined) return undefined;
  const [expected, given] = [describe(a), describe(b)];
  if (expected !== given) return `${name} is ${given}, expected ${expected}`;
  if (isLeaf(a)) return undefined;
  for (const key of Object.keys(a)) {
    const inside = (node: State) => (node as { [key: string]: State })[key];
    const difference = formDifference(inside(a), inside(b), `${name}.${key}`);
    if (difference) return difference;
  }
  return undefined;
}

function describe(state: State): string {
  if (isTensor(state)) return `a tensor [${state.shape}]`;
  if (state instanceof Float64Array) return `${state.length} numbers`;
  if (typeof state !== 'object') return 'a number';
  return Array.isArray(state)
    ? `a list of ${state.length}`
    : `{ ${Object.keys(state).join(', ')} }`;
}
