import type { TensorInfo } from '@tensorflow/tfjs';
import { type Attribute, type Handle, type NativeBackend, typeAttribute } from './native.js';

/** An output of a node: its name and the number of the output. */
export interface Endpoint {
  readonly node: string;
  readonly output: number;
}

/** An operation, or an input or constant of one. */
export type RecordedNode =
  | { readonly kind: 'input'; readonly name: string; readonly handle: Handle }
  | {
      readonly kind: 'constant';
      readonly name: string;
      readonly handle: Handle;
      readonly bytes: Uint8Array;
    }
  | {
      readonly kind: 'operation';
      readonly name: string;
      readonly operation: string;
      readonly attributes: readonly Attribute[];
      readonly inputs: readonly Endpoint[];
    };

/** Results of fewer numbers are kept as they are. */
const smallestShared = 1 << 12;

/**
 * Larger constants, in bytes, are inputs of the graph: TensorFlow makes several copies of those in its definition while it
 * loads and optimises it, and does not copy an input.
 */
const largestConstant = 1 << 16;

/**
 * Records the operations that the backend executes. Tensors that no recorded operation produced are
 * constants.
 *
 * The values of a recording are never used, only types and shapes. So large float32 results share one buffer for each
 * size, and a recording takes the memory of a few results, where all results of a step at once may take many times what
 * the graph needs.
 */
export class Recording {
  readonly nodes: RecordedNode[] = [];
  /** Constants that the graph takes as inputs: the name of the node, and a tensor of the binding's that its owner deletes. */
  readonly fed: { readonly name: string; readonly id: number }[] = [];
  /** Where each tensor came from, by the number the binding gave it: numbers are never reused. */
  readonly #origins = new Map<number, Endpoint>();
  /** The shared buffers [n], by n: numbers that the binding gave them. */
  readonly #buffers = new Map<number, number>();

  /** @param sharesBuffers whether large results share buffers, and have wrong values */
  constructor(
    private readonly backend: NativeBackend,
    private readonly sharesBuffers: boolean,
  ) {}

  /** @returns the name of the node that stands for an input */
  addInput(tensor: TensorInfo): string {
    const handle = this.#handle(tensor);
    const name = `input${this.nodes.length}`;
    this.nodes.push({ kind: 'input', name, handle: { ...handle } });
    this.#origins.set(handle.id, { node: name, output: 0 });
    return name;
  }

  /** Where a tensor comes from; one that the recording has not seen becomes a constant. */
  endpoint(tensor: TensorInfo): Endpoint {
    const handle = this.#handle(tensor);
    const known = this.#origins.get(handle.id);
    if (known) return known;
    const { binding } = this.backend;
    const isLarge = sizeOf(handle) * Float32Array.BYTES_PER_ELEMENT > largestConstant;
    if (isLarge && (handle.dtype === binding.TF_FLOAT || handle.dtype === binding.TF_INT32)) {
      const type = [typeAttribute(this.backend, handle.dtype)];
      // The same values, whatever becomes of the tensor.
      const [kept] = binding.executeOp('Identity', type, [handle.id], 1);
      const name = this.addInput(tensor);
      this.fed.push({ name, id: kept.id });
      return { node: name, output: 0 };
    }
    const name = `constant${this.nodes.length}`;
    const { buffer, byteOffset, byteLength } = binding.tensorDataSync(handle.id);
    const bytes = new Uint8Array(buffer.slice(byteOffset, byteOffset + byteLength));
    this.nodes.push({ kind: 'constant', name, handle: { ...handle }, bytes });
    const origin = { node: name, output: 0 };
    this.#origins.set(handle.id, origin);
    return origin;
  }

  /**
   * Runs `work` with the backend's operations recorded.
   * @throws when `work` reads a value: whatever depends on it would be constant in the graph
   */
  record<T>(work: () => T): T {
    const { backend } = this;
    const { executeSingleOutput: single, executeMultipleOutputs: multiple } = backend;
    const refuse = () => {
      throw new Error('a compiled function read the values of a tensor');
    };
    const replaced: Partial<NativeBackend> = {
      executeSingleOutput: (name, attributes, inputs) => {
        const from = inputs.map((input) => this.endpoint(input));
        const output = single.call(backend, name, attributes, inputs);
        this.#add(name, attributes, from, [output]);
        return output;
      },
      executeMultipleOutputs: (name, attributes, inputs, count) => {
        const from = inputs.map((input) => this.endpoint(input));
        const outputs = multiple.call(backend, name, attributes, inputs, count);
        this.#add(name, attributes, from, outputs);
        return outputs;
      },
      readSync: refuse,
      read: refuse,
    };
    Object.assign(backend, replaced);
    try {
      return work();
    } finally {
      // The methods themselves are the class's.
      for (const name of Object.keys(replaced)) Reflect.deleteProperty(backend, name);
      for (const id of this.#buffers.values()) backend.binding.deleteTensor(id);
      this.#buffers.clear();
    }
  }

  /** Replaces the values of a large result by those of another of its size. */
  #share({ dataId }: TensorInfo): void {
    const { binding, tensorMap } = this.backend;
    const entry = tensorMap.get(dataId);
    const { dtype, shape } = entry;
    const [rows, columns] = shape.slice(-2);
    // Factorisations need what they are given: their matrices are square.
    const isFactored = shape.length >= 2 && rows === columns;
    const size = sizeOf(entry);
    if (dtype !== binding.TF_FLOAT || size < smallestShared || isFactored) return;
    // TensorFlow reshapes without a copy.
    const reshaped = (id: number, to: readonly number[]): number => {
      const sides = binding.createTensor([to.length], binding.TF_INT32, Int32Array.from(to));
      const attributes = [
        typeAttribute(this.backend),
        { name: 'Tshape', type: binding.TF_ATTR_TYPE, value: binding.TF_INT32 },
      ];
      const [result] = binding.executeOp('Reshape', attributes, [id, sides], 1);
      binding.deleteTensor(sides);
      return result.id;
    };
    let buffer = this.#buffers.get(size);
    if (buffer === undefined) {
      buffer = reshaped(entry.id, [size]);
      this.#buffers.set(size, buffer);
    }
    const shared = reshaped(buffer, shape);
    binding.deleteTensor(entry.id);
    entry.id = shared;
  }

  #add(
    operation: string,
    attributes: readonly Attribute[],
    inputs: readonly Endpoint[],
    outputs: readonly TensorInfo[],
  ): void {
    const name = `${operation}${this.nodes.length}`;
    this.nodes.push({ kind: 'operation', name, operation, attributes, inputs });
    for (const [output, tensor] of outputs.entries()) {
      if (this.sharesBuffers) this.#share(tensor);
      this.#origins.set(this.#handle(tensor).id, { node: name, output });
    }
  }

  /** The binding's own record of a tensor; uploads its values if that has not happened yet. */
  #handle({ dataId }: TensorInfo): Handle {
    const { backend } = this;
    backend.getInputTensorIds([{ dataId } as TensorInfo]);
    return backend.tensorMap.get(dataId);
  }
}

/** Numbers in a tensor. */
const sizeOf = ({ shape }: Pick<Handle, 'shape'>): number =>
  shape.reduce((product, side) => product * side, 1);
