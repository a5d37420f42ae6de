import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor } from '@tensorflow/tfjs';
import * as tf from '@tensorflow/tfjs';
import type { Compiler, CompilerOptions } from '../../core/compile.js';
import { leavesOf, type Tree, withLeaves } from '../../core/tree.js';
import { EnvironmentError } from '../../errors.js';
import { type Endpoint, type RecordedNode, Recording } from './graph-recording.js';
import { type NativeBackend, nativeBackend, typeAttribute } from './native.js';
import { endpointName, type Messages, SavedModelWriter, tag } from './saved-model.js';

/**
 * Compiles functions to TensorFlow graphs: one call a step in place of a hundred, independent
 * operations side by side, and TensorFlow's own optimisations of the whole.
 *
 * A graph is recorded at the first call for each combination of types and shapes, and runs from that
 * call on: the results of the recording itself, rounded differently here and there, are not used, so
 * that training resumed from a checkpoint is bit-identical to uninterrupted training.
 *
 * On a CPU a graph shares the values of its inputs and outputs with their tensors: none is copied. Variables in the
 * session for the state of a method give the same bits, and save no more than the passing of tensors, some 4 us each: nothing
 * measurable for a step of 90 ms.
 *
 * @param messages the binding's generated protocol buffer module
 */
export function graphCompiler(messages: Messages): Compiler {
  const backend = nativeBackend();
  const writer = new SavedModelWriter(messages, backend.binding);
  const tools = { backend, writer, sessions: new Sessions(backend.binding) };

  return <Input extends Tree, Output extends Tree>(
    fn: (input: Input) => Output,
    { convolutionPrecision = 'float32' }: CompilerOptions = {},
  ) => {
    const isLowered = convolutionPrecision === 'bfloat16';
    const graphs = new Map<string, { readonly graph: Graph; readonly form: Output }>();

    const record = (input: Input, leaves: readonly tf.Tensor[]) => {
      let form: Output | undefined;
      const graph = new Graph(tools, leaves, isLowered, (copies) =>
        tf.tidy(() => {
          form = fn(withLeaves(input, copies));
          // TensorFlow does not return the values of an input as they are.
          const isInput = ({ dataId }: Tensor) => copies.some((input) => input.dataId === dataId);
          return leavesOf(form).map((leaf) => tf.keep(isInput(leaf) ? copy(backend, leaf) : leaf));
        }),
      );
      return { graph, form: form as Output };
    };

    return {
      run: (input: Input) => {
        const leaves = leavesOf(input);
        const key = leaves.map(({ dtype, shape }) => `${dtype}[${shape}]`).join();
        let entry = graphs.get(key);
        if (entry === undefined) {
          entry = record(input, leaves);
          graphs.set(key, entry);
        }
        return withLeaves(entry.form, entry.graph.run(leaves));
      },
      dispose: () => {
        for (const { graph } of graphs.values()) graph.dispose();
        graphs.clear();
      },
    };
  };
}

/** What graphs are made with. */
interface GraphTools {
  readonly backend: NativeBackend;
  readonly writer: SavedModelWriter;
  readonly sessions: Sessions;
}

/** A function of tensors as one graph that TensorFlow optimises and runs in one call. */
class Graph {
  readonly #inputNames: string;
  readonly #outputNames: string;
  readonly #session: ReturnType<Sessions['acquire']>;
  /** Large constants, by the numbers that the binding gave them. */
  readonly #constants: readonly number[];

  /**
   * Runs `fn` once to record its operations; its results are thrown away.
   * @param inputs tensors of the types and shapes that every call will have
   * @param isLowered whether convolutions multiply bfloat16
   */
  constructor(
    private readonly tools: GraphTools,
    inputs: readonly Tensor[],
    isLowered: boolean,
    fn: (inputs: Tensor[]) => Tensor[],
  ) {
    let recorded: Recorded;
    try {
      recorded = record(tools.backend, inputs, fn, true);
    } catch {
      // An operation may refuse wrong values, such as indices out of range; what `fn` throws itself, it throws again.
      recorded = record(tools.backend, inputs, fn, false);
    }
    const { nodes, fed, names, endpoints } = recorded;
    this.#inputNames = [...names, ...fed.map(({ name }) => name)]
      .map((name) => `${name}:0`)
      .join(',');
    this.#outputNames = endpoints.map(endpointName).join(',');
    this.#constants = fed.map(({ id }) => id);
    const written = isLowered ? nodes.flatMap((node) => lowered(tools.backend, node)) : nodes;
    this.#session = tools.sessions.acquire(tools.writer.serialize(written));
  }

  run(inputs: readonly Tensor[]): Tensor[] {
    const { backend } = this.tools;
    const ids = [...backend.getInputTensorIds(inputs), ...this.#constants];
    return backend.binding
      .runSavedModel(this.#session.id, ids, this.#inputNames, this.#outputNames)
      .map((handle) => backend.createOutputTensor(handle));
  }

  dispose(): void {
    this.tools.sessions.release(this.#session);
    for (const id of this.#constants) this.tools.backend.binding.deleteTensor(id);
  }
}

type Recorded = Pick<Recording, 'nodes' | 'fed'> & {
  /** Of the inputs' nodes. */
  readonly names: readonly string[];
  readonly endpoints: readonly Endpoint[];
};

function record(
  backend: NativeBackend,
  inputs: readonly Tensor[],
  fn: (inputs: Tensor[]) => Tensor[],
  sharesBuffers: boolean,
): Recorded {
  const recording = new Recording(backend, sharesBuffers);
  const { nodes, fed } = recording;
  // Tensors that share their values could not be told apart: each input is copied.
  const copies = inputs.map((input) => copy(backend, input));
  let outputs: Tensor[] = [];
  try {
    const names = copies.map((tensor) => recording.addInput(tensor));
    outputs = recording.record(() => fn(copies));
    return { nodes, fed, names, endpoints: outputs.map((output) => recording.endpoint(output)) };
  } catch (error) {
    for (const { id } of fed) backend.binding.deleteTensor(id);
    throw error;
  } finally {
    for (const tensor of [...copies, ...outputs]) tensor.dispose();
  }
}

/** The same values in a tensor with a number of its own. */
function copy(backend: NativeBackend, tensor: Tensor): Tensor {
  backend.getInputTensorIds([tensor]);
  const { dtype } = backend.tensorMap.get(tensor.dataId);
  return backend.executeSingleOutput('Identity', [typeAttribute(backend, dtype)], [tensor]);
}

/** Inputs of the convolutions that are not images or filters. */
const shapesOf: Readonly<Record<string, readonly number[]>> = {
  Conv2D: [],
  Conv2DBackpropInput: [0],
  Conv2DBackpropFilter: [1],
};

/** A node, or for a convolution the same one of bfloat16 between casts, the last of which has its name. */
function lowered(backend: NativeBackend, node: RecordedNode): RecordedNode[] {
  if (node.kind !== 'operation' || !Object.hasOwn(shapesOf, node.operation)) return [node];
  const { TF_FLOAT: float, TF_ATTR_TYPE: type } = backend.binding;
  const cast = (name: string, from: number, to: number, input: Endpoint): RecordedNode => ({
    kind: 'operation',
    name,
    operation: 'Cast',
    attributes: [
      { name: 'SrcT', type, value: from },
      { name: 'DstT', type, value: to },
    ],
    inputs: [input],
  });
  const shapes = shapesOf[node.operation];
  const casts = node.inputs.map((input, i) => {
    const name = `${node.name}/input${i}`;
    return shapes.includes(i) ? undefined : cast(name, float, bfloat16, input);
  });
  const product: RecordedNode = {
    ...node,
    name: `${node.name}/bfloat16`,
    attributes: [
      ...node.attributes.filter(({ name }) => name !== 'T'),
      typeAttribute(backend, bfloat16),
    ],
    inputs: node.inputs.map((input, i) => {
      const replaced = casts[i];
      return replaced ? { node: replaced.name, output: 0 } : input;
    }),
  };
  const back = cast(node.name, bfloat16, float, { node: product.name, output: 0 });
  return [...casts.filter((one) => one !== undefined), product, back];
}

/** TensorFlow's number of the type, which the binding does not name. */
const bfloat16 = 14;

/** Up to this many unused sessions are kept for the next run of the same step. */
const idleLimit = 32;

interface Session {
  readonly id: number;
  readonly digest: string;
  users: number;
}

/**
 * TensorFlow's sessions of serialized models. Equal models share one, so that each seed and the warm-up
 * before them load and optimise a graph once.
 */
class Sessions {
  /** By digest, the one released last at the end. */
  readonly #sessions = new Map<string, Session>();

  constructor(private readonly binding: NativeBackend['binding']) {}

  /** @param model content of a `saved_model.pb` */
  acquire(model: Uint8Array): Session {
    const digest = createHash('sha256').update(model).digest('hex');
    const session = this.#sessions.get(digest) ?? { id: this.#load(model), digest, users: 0 };
    session.users++;
    this.#sessions.set(digest, session);
    return session;
  }

  release(session: Session): void {
    session.users--;
    this.#sessions.delete(session.digest);
    this.#sessions.set(session.digest, session);
    const idle = [...this.#sessions.values()].filter(({ users }) => users === 0);
    for (const { id, digest } of idle.slice(0, Math.max(0, idle.length - idleLimit))) {
      this.binding.deleteSavedModel(id);
      this.#sessions.delete(digest);
    }
  }

  #load(model: Uint8Array): number {
    const folder = inTemporaryFolder(() => mkdtempSync(join(tmpdir(), 'fln-graph-')));
    try {
      inTemporaryFolder(() => writeFileSync(join(folder, 'saved_model.pb'), model));
      return this.binding.loadSavedModel(folder, tag);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

/** The binding loads models from the disk alone. */
function inTemporaryFolder<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new EnvironmentError(
      `TensorFlow's graphs pass through ${tmpdir()}, which cannot be written to: ` +
        `${(error as Error).message}. Name another folder with TMPDIR`,
      { cause: error },
    );
  }
}
