import type { TensorInfo } from '@tensorflow/tfjs';
import type { Attribute, Handle, NativeBackend } from './native.js';

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

/**
 * Records the operations that the backend executes. Tensors that no recorded operation produced are
 * constants.
 */
export class Recording {
  readonly nodes: RecordedNode[] = [];
  /** Where each tensor came from, by the number the binding gave it: numbers are never reused. */
  readonly #origins = new Map<number, Endpoint>();

  constructor(private readonly backend: NativeBackend) {}

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
    const name = `constant${this.nodes.length}`;
    const { buffer, byteOffset, byteLength } = this.backend.binding.tensorDataSync(handle.id);
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
    }
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
