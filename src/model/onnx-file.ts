import { PbfWriter } from 'pbf';
import type { Model } from '../runs/model-file.js';
import {
  type ExportOptions,
  type Node,
  type OnnxGraph,
  onnxGraph,
  type Tensor,
} from './onnx-graph.js';

/**
 * A model as an ONNX file: a protocol buffer `ModelProto`
 * (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto; the numbers below are those of its fields).
 */

/** Opset 13, of 2020, has all operators in the form of onnx-graph.ts. */
const opset = 13;
const irVersion = 7;

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
const int64 = 7;

function writeTensor({ name, shape, values }: Tensor, writer: PbfWriter): void {
  for (const side of shape) writer.writeVarintField(1, side);
  writer.writeVarintField(2, values instanceof Float32Array ? float32 : int64);
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
