import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor } from '@tensorflow/tfjs';
import { guardDisk } from '../../../files/disk.js';
import type { NativeBackend } from '../native.js';
import { type Endpoint, Recording } from './recording.js';
import { endpointName, type SavedModelWriter, tag } from './saved-model.js';

/** A function of tensors as one graph that TensorFlow optimises and runs in one call. */
export class Graph {
  readonly #inputNames: string;
  readonly #outputNames: string;
  readonly #id: number;

  /**
   * Runs `fn` once to record its operations; its results are thrown away.
   * @param inputs tensors of the types and shapes that every call will have
   */
  constructor(
    private readonly backend: NativeBackend,
    writer: SavedModelWriter,
    inputs: readonly Tensor[],
    fn: (inputs: Tensor[]) => Tensor[],
  ) {
    const recording = new Recording(backend);
    // Tensors that share their values would be told apart no more: each input becomes one of its own.
    const copies = inputs.map((input) => this.#copy(input));
    let outputs: Tensor[] = [];
    let endpoints: Endpoint[];
    try {
      this.#inputNames = copies.map((copy) => `${recording.addInput(copy)}:0`).join(',');
      outputs = recording.record(() => fn(copies));
      endpoints = outputs.map((output) => recording.endpoint(output));
    } finally {
      for (const tensor of [...copies, ...outputs]) tensor.dispose();
    }
    this.#outputNames = endpoints.map(endpointName).join(',');
    this.#id = this.#load(writer.serialize(recording.nodes));
  }

  run(inputs: readonly Tensor[]): Tensor[] {
    const ids = this.backend.getInputTensorIds(inputs);
    return this.backend.binding
      .runSavedModel(this.#id, ids, this.#inputNames, this.#outputNames)
      .map((handle) => this.backend.createOutputTensor(handle));
  }

  dispose(): void {
    this.backend.binding.deleteSavedModel(this.#id);
  }

  #copy(tensor: Tensor): Tensor {
    const { dtype } = this.backend.tensorMap.get(tensor.dataId);
    const type = { name: 'T', type: this.backend.binding.TF_ATTR_TYPE, value: dtype };
    return this.backend.executeSingleOutput('Identity', [type], [tensor]);
  }

  #load(model: Uint8Array): number {
    const folder = mkdtempSync(join(tmpdir(), 'fln-graph-'));
    try {
      const path = join(folder, 'saved_model.pb');
      guardDisk(path, () => writeFileSync(path, model));
      return this.backend.binding.loadSavedModel(folder, tag);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}
