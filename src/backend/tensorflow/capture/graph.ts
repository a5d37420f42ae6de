import type { Tensor } from '@tensorflow/tfjs';
import { type NativeBackend, typeAttribute } from '../native.js';
import { type Endpoint, Recording } from './recording.js';
import { endpointName, type SavedModelWriter } from './saved-model.js';
import type { Sessions } from './sessions.js';

/** What graphs are made with. */
export interface GraphTools {
  readonly backend: NativeBackend;
  readonly writer: SavedModelWriter;
  readonly sessions: Sessions;
}

/** A function of tensors as one graph that TensorFlow optimises and runs in one call. */
export class Graph {
  readonly #inputNames: string;
  readonly #outputNames: string;
  readonly #session: ReturnType<Sessions['acquire']>;

  /**
   * Runs `fn` once to record its operations; its results are thrown away.
   * @param inputs tensors of the types and shapes that every call will have
   */
  constructor(
    private readonly tools: GraphTools,
    inputs: readonly Tensor[],
    fn: (inputs: Tensor[]) => Tensor[],
  ) {
    const { backend, writer, sessions } = tools;
    const recording = new Recording(backend);
    // Tensors that share their values would be told apart no more: each input becomes one of its own.
    const copies = inputs.map((input) => copy(backend, input));
    let outputs: Tensor[] = [];
    let endpoints: Endpoint[];
    try {
      this.#inputNames = copies.map((tensor) => `${recording.addInput(tensor)}:0`).join(',');
      outputs = recording.record(() => fn(copies));
      endpoints = outputs.map((output) => recording.endpoint(output));
    } finally {
      for (const tensor of [...copies, ...outputs]) tensor.dispose();
    }
    this.#outputNames = endpoints.map(endpointName).join(',');
    this.#session = sessions.acquire(writer.serialize(recording.nodes));
  }

  run(inputs: readonly Tensor[]): Tensor[] {
    const { backend } = this.tools;
    const ids = backend.getInputTensorIds(inputs);
    return backend.binding
      .runSavedModel(this.#session.id, ids, this.#inputNames, this.#outputNames)
      .map((handle) => backend.createOutputTensor(handle));
  }

  dispose(): void {
    this.tools.sessions.release(this.#session);
  }
}

/** The same values in a tensor with a number of its own. */
function copy(backend: NativeBackend, tensor: Tensor): Tensor {
  backend.getInputTensorIds([tensor]);
  const { dtype } = backend.tensorMap.get(tensor.dataId);
  return backend.executeSingleOutput('Identity', [typeAttribute(backend, dtype)], [tensor]);
}
