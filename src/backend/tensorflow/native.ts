import * as tf from '@tensorflow/tfjs';

/** The parts of the binding's backend that this program uses beyond the tensor library's interface. */
export interface NativeBackend {
  readonly isUsingGpuDevice: boolean;
  readonly binding: {
    readonly TF_Version: string;
    readonly TF_ATTR_STRING: number;
    readonly TF_ATTR_INT: number;
    readonly TF_ATTR_FLOAT: number;
    readonly TF_ATTR_BOOL: number;
    readonly TF_ATTR_TYPE: number;
    readonly TF_ATTR_SHAPE: number;
    readonly TF_FLOAT: number;
    readonly TF_INT32: number;
    /** @returns the number of a new tensor */
    createTensor(shape: readonly number[], dtype: number, values: Int32Array): number;
    deleteTensor(id: number): void;
    executeOp(
      name: string,
      attributes: readonly Attribute[],
      inputs: readonly number[],
      outputs: number,
    ): Handle[];
    tensorDataSync(id: number): Float32Array | Int32Array | Uint8Array;
    loadSavedModel(folder: string, tags: string): number;
    deleteSavedModel(id: number): void;
    runSavedModel(id: number, inputs: number[], inputNames: string, outputNames: string): Handle[];
  };
  readonly tensorMap: { get(dataId: object): { -readonly [Key in keyof Handle]: Handle[Key] } };
  getInputTensorIds(tensors: readonly tf.TensorInfo[]): number[];
  /** A new tensor of the library's for what an operation returned. */
  createOutputTensor(handle: Handle): tf.Tensor;
  executeSingleOutput(
    name: string,
    attributes: readonly Attribute[],
    inputs: readonly tf.TensorInfo[],
  ): tf.Tensor;
  executeMultipleOutputs(
    name: string,
    attributes: readonly Attribute[],
    inputs: readonly tf.TensorInfo[],
    outputs: number,
  ): tf.Tensor[];
  readSync(dataId: object): unknown;
  read(dataId: object): Promise<unknown>;
}

/** A tensor as the binding knows it. */
export interface Handle {
  readonly id: number;
  readonly shape: readonly number[];
  /** TensorFlow's number of the type. */
  readonly dtype: number;
}

/** An attribute of an operation; `type` is one of the binding's TF_ATTR_... numbers. */
export interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: unknown;
}

/** What an operation computes in: its attribute T. */
export const typeAttribute = ({ binding }: NativeBackend, dtype = binding.TF_FLOAT): Attribute => ({
  name: 'T',
  type: binding.TF_ATTR_TYPE,
  value: dtype,
});

/** The current backend, when it is TensorFlow's. */
export const nativeBackend = (): NativeBackend => tf.backend() as unknown as NativeBackend;
