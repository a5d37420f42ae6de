import { PbfReader } from 'pbf';
import {
  averagePool,
  channelMean,
  convolve,
  dense,
  erf,
  type Image,
  maxPool,
  perChannel,
  softmax,
} from '../reference/forward.js';

/** An ONNX file, read and evaluated in float64, by the numbers of the fields in onnx.proto. */

export interface OnnxNode {
  type: string;
  inputs: string[];
  outputs: string[];
  attributes: Record<string, number | number[]>;
}

export interface OnnxModel {
  irVersion: number;
  opset: number;
  nodes: OnnxNode[];
  tensors: Map<string, { shape: number[]; values: Float32Array | Float64Array }>;
  inputs: { name: string; shape: (number | string)[] }[];
  outputs: { name: string; shape: (number | string)[] }[];
  metadata: Record<string, string>;
}

type Field<T> = (tag: number, result: T, pbf: PbfReader) => void;

const message = <T>(pbf: PbfReader, field: Field<T>, empty: T): T => pbf.readMessage(field, empty);

export function readOnnx(bytes: Uint8Array): OnnxModel {
  const model: OnnxModel = {
    irVersion: 0,
    opset: 0,
    nodes: [],
    tensors: new Map(),
    inputs: [],
    outputs: [],
    metadata: {},
  };
  new PbfReader(bytes).readFields((tag, _, pbf) => {
    if (tag === 1) model.irVersion = pbf.readVarint();
    if (tag === 7) message(pbf, graphField, model);
    if (tag === 8)
      message(
        pbf,
        (inner, it: OnnxModel, own) => {
          if (inner === 2) it.opset = own.readVarint();
        },
        model,
      );
    if (tag === 14) {
      const entry = message(
        pbf,
        (inner, it: string[], own) => {
          it[inner] = own.readString();
        },
        [],
      );
      model.metadata[entry[1]] = entry[2];
    }
  }, model);
  return model;
}

const graphField: Field<OnnxModel> = (tag, model, pbf) => {
  if (tag === 1) {
    model.nodes.push(
      message(pbf, nodeField, { type: '', inputs: [], outputs: [], attributes: {} }),
    );
  }
  if (tag === 5) {
    const empty = { name: '', type: 0, shape: [], values: new Float32Array() };
    const read = message<NamedTensor>(pbf, tensorField, empty);
    model.tensors.set(read.name, read);
  }
  if (tag === 11) model.inputs.push(message(pbf, valueField, { name: '', shape: [] }));
  if (tag === 12) model.outputs.push(message(pbf, valueField, { name: '', shape: [] }));
};

const nodeField: Field<OnnxNode> = (tag, node, pbf) => {
  if (tag === 1) node.inputs.push(pbf.readString());
  if (tag === 2) node.outputs.push(pbf.readString());
  if (tag === 4) node.type = pbf.readString();
  if (tag === 5) {
    const ints: number[] = [];
    let name = '';
    let value: number | undefined;
    message(
      pbf,
      (inner, _, own) => {
        if (inner === 1) name = own.readString();
        if (inner === 2) value = own.readFloat();
        if (inner === 3) value = own.readVarint();
        if (inner === 8) ints.push(own.readVarint());
      },
      {},
    );
    node.attributes[name] = value ?? ints;
  }
};

interface NamedTensor {
  name: string;
  type: number;
  shape: number[];
  values: Float32Array | Float64Array;
}

const tensorField: Field<NamedTensor> = (tag, tensor, pbf) => {
  if (tag === 1) tensor.shape.push(pbf.readVarint());
  if (tag === 8) tensor.name = pbf.readString();
  if (tag === 2) tensor.type = pbf.readVarint();
  if (tag === 9) {
    const { buffer } = Uint8Array.from(pbf.readBytes());
    // float32, or int64
    tensor.values =
      tensor.type === 1
        ? new Float32Array(buffer)
        : Float64Array.from(new BigInt64Array(buffer), Number);
  }
};

const valueField: Field<{ name: string; shape: (number | string)[] }> = (tag, value, pbf) => {
  const dimension: Field<(number | string)[]> = (inner, shape, own) => {
    if (inner === 1) shape.push(own.readVarint());
    if (inner === 2) shape.push(own.readString());
  };
  const nested: Field<(number | string)[]>[] = [
    (inner, shape, own) => void (inner === 1 && message(own, nested[1], shape)),
    (inner, shape, own) => void (inner === 2 && message(own, nested[2], shape)),
    (inner, shape, own) => void (inner === 1 && message(own, dimension, shape)),
  ];
  if (tag === 1) value.name = pbf.readString();
  if (tag === 2) message(pbf, nested[0], value.shape);
};

/** The outputs of the graph for one row. */
export function evaluateOnnx(model: OnnxModel, input: Image): Record<string, Float64Array> {
  const values = new Map<string, Image>([[model.inputs[0].name, input]]);
  for (const { type, inputs, outputs, attributes } of model.nodes) {
    const x = values.get(inputs[0])!;
    const tensor = (i: number) => model.tensors.get(inputs[i])!;
    const each = (f: (u: number) => number): Image => ({ ...x, values: x.values.map(f) });
    /** With another value of the graph, or with a constant for all or for each channel. */
    const binary = (f: (u: number, v: number) => number): Image => {
      const other = values.get(inputs[1]);
      if (other) {
        // A position of one channel is for all channels.
        const larger = other.values.length > x.values.length ? other : x;
        const at = ({ values: own }: Image, i: number) => own[i % own.length];
        return { ...larger, values: larger.values.map((_, i) => f(at(x, i), at(other, i))) };
      }
      const { shape, values: constants } = tensor(1);
      const [isOne, count] = [shape.length === 0, x.shape[0]];
      if (!isOne) expectBroadcast(shape, count);
      return perChannel(x, (u, c) => f(u, constants[isOne ? 0 : c]));
    };
    const first = (name: string) => (attributes[name] as number[])[0];
    const bias = () =>
      inputs.length > 2 ? tensor(2).values : new Float64Array(tensor(1).shape[0]);
    const operators: Record<string, () => Image> = {
      Sub: () => binary((u, v) => u - v),
      Div: () => binary((u, v) => u / v),
      Add: () => binary((u, v) => u + v),
      Mul: () => binary((u, v) => u * v),
      AveragePool: () => averagePool(x, first('kernel_shape')),
      MaxPool: () => maxPool(x, first('kernel_shape')),
      Conv: () => convolve(x, tensor(1), bias(), first('strides'), first('pads')),
      Flatten: () => ({ shape: [x.values.length, 1, 1], values: x.values }),
      Gemm: () => dense(x, tensor(1), bias()),
      Pad: () => {
        const pads = [...tensor(1).values];
        const [channels, ...size] = x.shape;
        const after = pads[pads.length / 2 + 1];
        if (pads.some((side, i) => i !== pads.length / 2 + 1 && side !== 0))
          throw new Error('pads');
        const padded = new Float64Array((x.values.length / channels) * (channels + after));
        padded.set(x.values);
        return { shape: [channels + after, ...size], values: padded };
      },
      ReduceMean: () => {
        if (first('axes') !== 1) throw new Error('axes');
        return channelMean(x);
      },
      Sqrt: () => each(Math.sqrt),
      Reciprocal: () => each((u) => 1 / u),
      Relu: () => each((u) => Math.max(u, 0)),
      LeakyRelu: () => each((u) => (u >= 0 ? u : (attributes.alpha as number) * u)),
      Sigmoid: () => each((u) => 1 / (1 + Math.exp(-u))),
      Tanh: () => each(Math.tanh),
      Softplus: () => each((u) => Math.log1p(Math.exp(u))),
      Erf: () => each(erf),
      Clip: () => each((u) => Math.min(tensor(2).values[0], Math.max(tensor(1).values[0], u))),
      Sign: () => each(Math.sign),
      Softmax: () => ({ ...x, values: softmax(x.values) }),
    };
    values.set(outputs[0], operators[type]());
  }
  return Object.fromEntries(model.outputs.map(({ name }) => [name, values.get(name)!.values]));
}

/** A tensor [..., channels, 1, 1] or [..., channels], whatever the batch. */
function expectBroadcast(shape: readonly number[], channels: number): void {
  const sizes = shape.filter((side) => side !== 1);
  if (sizes.length === 0 ? channels === 1 : sizes.length === 1 && sizes[0] === channels) return;
  throw new Error(`[${shape}] for ${channels} channels`);
}
