import { PbfWriter } from 'pbf';
import type { BuiltInActivation } from '../core/network/names.js';
import { storedShape } from '../core/network/weight-layout.js';
import type { Model } from '../runs/model-file.js';

/**
 * A model as an ONNX file: a protocol buffer `ModelProto`
 * (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto; the numbers below are those of its fields).
 */

/** Opset 13, of 2020, has all operators in their present form. */
const opset = 13;
const irVersion = 7;

interface Node {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes?: Readonly<Record<string, number | readonly number[] | { float: number }>>;
}

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface OnnxGraph {
  readonly nodes: readonly Node[];
  readonly tensors: readonly Tensor[];
  readonly input: { readonly name: string; readonly shape: readonly number[] };
  readonly outputs: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

/** An operator of what the one before it returns, and of others: constants, or the pre-activations `u`. */
interface Operator extends Pick<Node, 'type' | 'attributes'> {
  readonly others?: readonly (number | 'u')[];
}

/** Operators that make up an activation, in turn. */
const activationNodes: Readonly<Record<BuiltInActivation, readonly Operator[]>> = {
  relu: [{ type: 'Relu' }],
  'leaky-relu': [{ type: 'LeakyRelu', attributes: { alpha: { float: 0.01 } } }],
  softplus: [{ type: 'Softplus' }],
  sigmoid: [{ type: 'Sigmoid' }],
  tanh: [{ type: 'Tanh' }],
  'hard-tanh': [{ type: 'Clip', others: [-1, 1] }],
  // Gelu is an operator from opset 20 on.
  gelu: [
    { type: 'Mul', others: [Math.SQRT1_2] },
    { type: 'Erf' },
    { type: 'Add', others: [1] },
    { type: 'Mul', others: ['u'] },
    { type: 'Mul', others: [0.5] },
  ],
  silu: [{ type: 'Sigmoid' }, { type: 'Mul', others: ['u'] }],
  sign: [{ type: 'Sign' }],
  step: [{ type: 'Relu' }, { type: 'Sign' }],
};

export interface ExportOptions {
  /** The exported network takes inputs that are preprocessed already, not raw pixels. */
  readonly preprocessed?: boolean;
}

/** Whether a model takes rows of features rather than images. */
export const isFlat = ({ description: { network } }: Model): boolean =>
  network.input[1] === 1 && network.input[2] === 1;

/** The network as a graph; shapes without the batch. */
export function onnxGraph(model: Model, { preprocessed = false }: ExportOptions = {}): OnnxGraph {
  const { description, layers, activations, weights } = model;
  const { preprocessing, network, classes, loss } = description;
  const nodes: Node[] = [];
  const tensors: Tensor[] = [];
  let value = 'input';
  const add = (
    type: string,
    inputs: readonly string[],
    output: string,
    attributes?: Node['attributes'],
  ) => {
    nodes.push({ type, inputs: [value, ...inputs], output, ...(attributes && { attributes }) });
    value = output;
  };
  /** The name of a number as a tensor. */
  const constant = (number: number): string => {
    const name = `constant.${number}`;
    if (!tensors.some((tensor) => tensor.name === name)) {
      tensors.push({ name, shape: [], values: Float32Array.of(number) });
    }
    return name;
  };
  if (!preprocessed) {
    const shape = isFlat(model) ? [1, network.input[0]] : [1, network.input[0], 1, 1];
    for (const name of ['mean', 'std'] as const) {
      const values = Float32Array.from(preprocessing[name]);
      tensors.push({ name: `preprocessing.${name}`, shape, values });
    }
    add('Sub', ['preprocessing.mean'], 'centred');
    add('Div', ['preprocessing.std'], 'preprocessed');
  }
  const last = loss === 'cross-entropy' ? 'logits' : 'outputs';
  let isImage = !isFlat(model);
  for (const [l, layer] of layers.entries()) {
    const { pool, window } = layer;
    if (pool > 1) {
      add('AveragePool', [], `layers.${l}.pooled`, {
        kernel_shape: [pool, pool],
        strides: [pool, pool],
      });
    }
    const [weight, bias] = [`layers.${l}.weight`, `layers.${l}.bias`];
    tensors.push(
      { name: weight, shape: storedShape(layer), values: weights[l].stored },
      { name: bias, shape: [weights[l].bias.length], values: weights[l].bias },
    );
    const output = l < activations.length ? `layers.${l}.preactivations` : last;
    if (window) {
      const { kernel, stride, padding } = window;
      add('Conv', [weight, bias], output, {
        kernel_shape: [kernel, kernel],
        strides: [stride, stride],
        pads: [padding, padding, padding, padding],
      });
    } else {
      if (isImage) add('Flatten', [], `layers.${l}.flat`, { axis: 1 });
      isImage = false;
      add('Gemm', [weight, bias], output, { transB: 1 });
    }
    if (l >= activations.length) continue;
    const operators = activationNodes[activations[l] as BuiltInActivation];
    for (const [i, { type, attributes, others = [] }] of operators.entries()) {
      const isLast = i === operators.length - 1;
      const inputs = others.map((other) => (other === 'u' ? output : constant(other)));
      add(type, inputs, `layers.${l}.activations${isLast ? '' : `.${i}`}`, attributes);
    }
  }
  const shape = [classes.length];
  const outputs = [{ name: last, shape }];
  if (loss === 'cross-entropy') {
    add('Softmax', [], 'probabilities', { axis: 1 });
    outputs.push({ name: 'probabilities', shape });
  }
  const input = { name: 'input', shape: isFlat(model) ? [network.input[0]] : network.input };
  return { nodes, tensors, input, outputs };
}

/** What the file says about the model, beside the graph. */
function metadata(
  { description }: Model,
  { preprocessed = false }: ExportOptions,
): [string, string][] {
  const { preprocessing, classes, results, weights, prediction } = description;
  return Object.entries({
    experiment: description.experiment,
    label: description.label,
    seed: String(description.seed),
    config_hash: description.configHash,
    loss: description.loss,
    input: preprocessed
      ? 'preprocessed: (x - mean) / std per channel, with the numbers of preprocessing'
      : 'raw values, as pixels from 0 to 255; the graph subtracts the mean and divides by std, per channel',
    preprocessing: JSON.stringify(preprocessing),
    ...(description.isRegression ? { task: 'regression' } : { classes: JSON.stringify(classes) }),
    prediction: JSON.stringify(prediction),
    results: JSON.stringify(results),
    weights_sha256: weights.sha256,
  });
}

/** The bytes of the ONNX file. */
export function onnxFile(model: Model, options: ExportOptions = {}): Uint8Array {
  const { program, experiment } = model.description;
  const graph = onnxGraph(model, options);
  const writer = new PbfWriter();
  writer.writeVarintField(1, irVersion);
  writer.writeStringField(2, program.name);
  writer.writeStringField(3, program.version);
  writer.writeMessage(7, writeGraph, { ...graph, name: experiment });
  writer.writeMessage(8, writeOpset, opset);
  for (const entry of metadata(model, options)) writer.writeMessage(14, writeEntry, entry);
  return writer.finish();
}

function writeOpset(version: number, writer: PbfWriter): void {
  writer.writeStringField(1, '');
  writer.writeVarintField(2, version);
}

function writeEntry([key, value]: readonly [string, string], writer: PbfWriter): void {
  writer.writeStringField(1, key);
  writer.writeStringField(2, value);
}

function writeGraph(graph: OnnxGraph & { readonly name: string }, writer: PbfWriter): void {
  for (const node of graph.nodes) writer.writeMessage(1, writeNode, node);
  writer.writeStringField(2, graph.name);
  for (const tensor of graph.tensors) writer.writeMessage(5, writeTensor, tensor);
  writer.writeMessage(11, writeValueInfo, graph.input);
  for (const output of graph.outputs) writer.writeMessage(12, writeValueInfo, output);
}

function writeNode({ type, inputs, output, attributes = {} }: Node, writer: PbfWriter): void {
  for (const input of inputs) writer.writeStringField(1, input);
  writer.writeStringField(2, output);
  writer.writeStringField(3, output);
  writer.writeStringField(4, type);
  for (const entry of Object.entries(attributes)) writer.writeMessage(5, writeAttribute, entry);
}

type Attribute = readonly [string, number | readonly number[] | { readonly float: number }];

function writeAttribute([name, value]: Attribute, writer: PbfWriter): void {
  const types = { float: 1, int: 2, ints: 7 };
  writer.writeStringField(1, name);
  if (typeof value === 'number') {
    writer.writeVarintField(3, value);
    writer.writeVarintField(20, types.int);
  } else if ('float' in value) {
    writer.writeFloatField(2, value.float);
    writer.writeVarintField(20, types.float);
  } else {
    for (const item of value) writer.writeVarintField(8, item);
    writer.writeVarintField(20, types.ints);
  }
}

const float32 = 1;

function writeTensor({ name, shape, values }: Tensor, writer: PbfWriter): void {
  for (const side of shape) writer.writeVarintField(1, side);
  writer.writeVarintField(2, float32);
  writer.writeStringField(8, name);
  // Little-endian, as in this machine's memory.
  writer.writeBytesField(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

function writeValueInfo(
  { name, shape }: { readonly name: string; readonly shape: readonly number[] },
  writer: PbfWriter,
): void {
  writer.writeStringField(1, name);
  writer.writeMessage(2, writeTypeOf, shape);
}

const writeTypeOf = (shape: readonly number[], writer: PbfWriter): void =>
  writer.writeMessage(1, writeTensorType, shape);

function writeTensorType(shape: readonly number[], writer: PbfWriter): void {
  writer.writeVarintField(1, float32);
  writer.writeMessage(2, writeShape, shape);
}

function writeShape(shape: readonly number[], writer: PbfWriter): void {
  writer.writeMessage(1, (name: string, dimension) => dimension.writeStringField(2, name), 'N');
  for (const side of shape) {
    writer.writeMessage(1, (size: number, dimension) => dimension.writeVarintField(1, size), side);
  }
}
