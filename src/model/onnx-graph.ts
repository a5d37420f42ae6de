import { type BuiltInActivation, normEpsilon } from '../core/network/names.js';
import { activationShape } from '../core/network/shape.js';
import { storedShape } from '../core/network/weight-layout.js';
import { type Model, withoutBatchNorms } from '../runs/model-file.js';

/** A trained network as a graph of ONNX operators (https://onnx.ai/onnx/operators/), batch norms folded into the weights. */

export interface Node {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes?: Readonly<Record<string, number | readonly number[] | { float: number }>>;
}

export interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array | BigInt64Array;
}

export interface OnnxGraph {
  readonly nodes: readonly Node[];
  readonly tensors: readonly Tensor[];
  readonly input: { readonly name: string; readonly shape: readonly number[] };
  readonly outputs: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

/** An operator of what the one before it returns, and of others: constants, tensors by name, or `u`, what the first one got. */
interface Operator extends Pick<Node, 'type' | 'attributes'> {
  readonly others?: readonly (number | string)[];
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

/** u / sqrt(mean u^2 + eps), each position over its channels. */
const rmsNorm: readonly Operator[] = [
  { type: 'Mul', others: ['u'] },
  { type: 'ReduceMean', attributes: { axes: [1] } },
  { type: 'Add', others: [normEpsilon] },
  { type: 'Sqrt' },
  { type: 'Reciprocal' },
  { type: 'Mul', others: ['u'] },
];

export interface ExportOptions {
  /** The exported network takes inputs that are preprocessed already, not raw pixels. */
  readonly preprocessed?: boolean;
}

/** Whether a model takes rows of features rather than images. */
export const isFlat = ({ description: { network } }: Model): boolean =>
  network.input[1] === 1 && network.input[2] === 1;

/** The network as a graph; shapes without the batch. */
export function onnxGraph(trained: Model, { preprocessed = false }: ExportOptions = {}): OnnxGraph {
  const model = withoutBatchNorms(trained);
  const { description, layers, activations, weights } = model;
  const { preprocessing, network, classes, loss } = description;
  const nodes: Node[] = [];
  const tensors: Tensor[] = [];
  let value = 'input';
  let isImage = !isFlat(model);
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
  const chain = (operators: readonly Operator[], output: string) => {
    const u = value;
    for (const [i, { type, attributes, others = [] }] of operators.entries()) {
      const inputs = others.map((other) =>
        typeof other === 'number' ? constant(other) : other === 'u' ? u : other,
      );
      add(type, inputs, i === operators.length - 1 ? output : `${output}.${i}`, attributes);
    }
  };
  const pool = (type: 'AveragePool' | 'MaxPool', side: number, output: string) => {
    if (side > 1) add(type, [], output, { kernel_shape: [side, side], strides: [side, side] });
  };
  const flatten = (output: string) => {
    if (isImage) add('Flatten', [], output, { axis: 1 });
    isImage = false;
  };
  /** Appends channels of zeros. */
  const pad = (channels: number, output: string) => {
    const pads = isImage ? [0, 0, 0, 0, 0, channels, 0, 0] : [0, 0, 0, channels];
    const name = `${output}.pads`;
    tensors.push({ name, shape: [pads.length], values: BigInt64Array.from(pads, BigInt) });
    add('Pad', [name], output);
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
  /** What each layer takes. */
  const inputs: { readonly value: string; readonly isImage: boolean }[] = [];
  for (const [l, layer] of layers.entries()) {
    const { window, maxPool = 1, norm, skipFrom, outerPool = 1 } = layer;
    const own = (name: string) => `layers.${l}.${name}`;
    inputs.push({ value, isImage });
    pool('AveragePool', layer.pool, own('pooled'));
    const [weight, bias] = [own('weight'), own('bias')];
    const { stored, bias: shift } = weights[l];
    // The bias comes after the norm.
    const biasShape = norm && window ? [shift.length, 1, 1] : [shift.length];
    tensors.push(
      { name: weight, shape: storedShape(layer), values: stored },
      { name: bias, shape: biasShape, values: shift },
    );
    const parameters = norm ? [weight] : [weight, bias];
    if (window) {
      const { kernel, stride, padding } = window;
      add('Conv', parameters, own('mapped'), {
        kernel_shape: [kernel, kernel],
        strides: [stride, stride],
        pads: [padding, padding, padding, padding],
      });
    } else {
      flatten(own('flat'));
      add('Gemm', parameters, own('mapped'), { transB: 1 });
    }
    pool('MaxPool', maxPool, own('maxima'));
    if (norm) {
      chain(rmsNorm, own('normalised'));
      add('Add', [bias], own('shifted'));
    }
    if (skipFrom !== undefined) {
      const [sum, output] = [{ value, isImage }, activationShape(layer)];
      const [height, , channels] = layers[skipFrom].input;
      ({ value, isImage } = inputs[skipFrom]);
      pool('AveragePool', height / output[0], own('skip.pooled'));
      if (!sum.isImage) flatten(own('skip.flat'));
      if (channels < output[2]) pad(output[2] - channels, own('skip.padded'));
      const skip = value;
      ({ value, isImage } = sum);
      add('Add', [skip], own('sum'));
    }
    const isLast = l === activations.length;
    value = isLast ? last : own('preactivations');
    nodes.push({ ...nodes.pop()!, output: value });
    if (isLast) break;
    chain(activationNodes[activations[l] as BuiltInActivation], own('activations'));
    pool('MaxPool', outerPool, own('outputs'));
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
