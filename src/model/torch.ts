import { type BuiltInActivation, normEpsilon } from '../core/network/names.js';
import { activationShape } from '../core/network/shape.js';
import { storedShape } from '../core/network/weight-layout.js';
import { type Model, withoutBatchNorms } from '../runs/model-file.js';
import { type ExportOptions, isFlat } from './onnx-graph.js';

const activationCode: Readonly<Record<BuiltInActivation, (x: string) => string>> = {
  relu: (x) => `F.relu(${x})`,
  'leaky-relu': (x) => `F.leaky_relu(${x}, 0.01)`,
  softplus: (x) => `F.softplus(${x})`,
  sigmoid: (x) => `torch.sigmoid(${x})`,
  tanh: (x) => `torch.tanh(${x})`,
  'hard-tanh': (x) => `F.hardtanh(${x})`,
  gelu: (x) => `F.gelu(${x})`,
  silu: (x) => `F.silu(${x})`,
  sign: (x) => `torch.sign(${x})`,
  step: (x) => `torch.sign(F.relu(${x}))`,
};

/**
 * A Python file that defines the network as a `torch.nn.Module` and reads its weights, into which batch norms are folded,
 * from the safetensors file of the same name beside it. It needs PyTorch and no other package.
 */
export function torchModule(trained: Model, { preprocessed = false }: ExportOptions = {}): string {
  const model = withoutBatchNorms(trained);
  const { description, layers } = model;
  const { network, preprocessing, classes, loss } = description;
  const [channels, height, width] = network.input;
  const flat = isFlat(model);
  const modules = layers.map((layer) => {
    const [outputs, inputs] = storedShape(layer);
    if (!layer.window) return `nn.Linear(${inputs}, ${outputs}),`;
    const { kernel, stride, padding } = layer.window;
    return `nn.Conv2d(${inputs}, ${outputs}, kernel_size=${kernel}, stride=${stride}, padding=${padding}),`;
  });
  const { isRegression } = description;
  const perClass = isRegression
    ? 'the predicted numbers'
    : 'one output per class, near 1 for the right one';
  const outputs = loss === 'cross-entropy' ? 'logits' : perClass;
  const raw = isFlat(model)
    ? 'raw values, as in the training data'
    : 'raw values, as pixels from 0 to 255';
  const input = preprocessed ? 'preprocessed' : raw;
  const shape = flat ? `[N, ${channels}]` : `[N, ${channels}, ${height}, ${width}]`;
  return `"""A network that fln trained. Usage: import this file, then

    model = load()
    outputs = model(inputs)

Needs PyTorch. The weights are in the safetensors file of the same name.
"""

import json
import pathlib
import struct

import torch
from torch import nn
from torch.nn import functional as F

EXPERIMENT = ${JSON.stringify(description.experiment)}
LABEL = ${JSON.stringify(description.label)}
SEED = ${description.seed}
${isRegression ? '' : `CLASSES = ${JSON.stringify(classes)}\n`}MEAN = ${JSON.stringify(preprocessing.mean)}
STD = ${JSON.stringify(preprocessing.std)}

${layers.some(({ norm }) => norm !== undefined) ? rmsNorm : ''}
class Model(nn.Module):
    """Input: float32 ${shape}, ${input}. Output: [N, ${classes.length}], ${outputs}."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(
            [
${modules.map((line) => `                ${line}`).join('\n')}
            ]
        )
${preprocessed ? '' : bufferLines(flat)}
    def forward(self, x):
${forwardLines(model, preprocessed)
  .map((line) => `        ${line}`)
  .join('\n')}
        return x


def read_safetensors(path):
    """The arrays of a safetensors file, by name."""
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    arrays = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        values = torch.frombuffer(bytearray(data[start:end]), dtype=torch.float32)
        arrays[name] = values.reshape(entry["shape"])
    return arrays


def load(path=None):
    """The network with its trained weights, in evaluation mode."""
    model = Model()
    model.load_state_dict(read_safetensors(path or pathlib.Path(__file__).with_suffix(".safetensors")))
    return model.eval()


if __name__ == "__main__":
    print(load())
`;
}

function bufferLines(flat: boolean): string {
  const view = flat ? '1, -1' : '1, -1, 1, 1';
  return ['mean', 'std']
    .map(
      (name) =>
        `        self.register_buffer("${name}", torch.tensor(${name.toUpperCase()}, dtype=torch.float32).view(${view}), persistent=False)\n`,
    )
    .join('');
}

const rmsNorm = `
def rms_norm(x):
    """Each position divided by the root mean square of its channels."""
    return x / torch.sqrt(x.square().mean(1, keepdim=True) + ${normEpsilon})

`;

function forwardLines(model: Model, preprocessed: boolean): string[] {
  const { layers, activations } = model;
  let isImage = !isFlat(model);
  /** Whether the input of each layer is an image. */
  const inputs: boolean[] = [];
  const lines = preprocessed ? [] : ['x = (x - self.mean) / self.std'];
  const set = (value: string) => lines.push(`x = ${value}`);
  for (const [l, layer] of layers.entries()) {
    const { pool, window, maxPool = 1, norm, skipFrom, outerPool = 1 } = layer;
    inputs.push(isImage);
    if (layers.some((other) => other.skipFrom === l)) lines.push(`skip${l} = x`);
    if (pool > 1) set(`F.avg_pool2d(x, ${pool})`);
    if (!window && isImage) set('x.flatten(1)');
    isImage = window !== undefined;
    const own = `self.layers[${l}]`;
    let u = `${own}(x)`;
    /** The next stage, in a line of its own. */
    const then = (stage: string) => {
      set(u);
      u = stage;
    };
    if (norm && window) {
      const { stride, padding } = window;
      u = `F.conv2d(x, ${own}.weight, stride=${stride}, padding=${padding})`;
    } else if (norm) u = `F.linear(x, ${own}.weight)`;
    if (maxPool > 1) then(`F.max_pool2d(x, ${maxPool})`);
    if (norm) then(`rms_norm(x) + ${own}.bias${isImage ? '.view(-1, 1, 1)' : ''}`);
    if (skipFrom !== undefined) then(`x + ${skipCode(model, l, inputs[skipFrom], isImage)}`);
    set(l < activations.length ? activationCode[activations[l] as BuiltInActivation](u) : u);
    if (outerPool > 1) set(`F.max_pool2d(x, ${outerPool})`);
  }
  return lines;
}

/** What the skip connection of layer `l` adds: averaged, flattened and filled with channels of zeros where the shapes differ. */
function skipCode(
  { layers }: Pick<Model, 'layers'>,
  l: number,
  fromImage: boolean,
  toImage: boolean,
): string {
  const { skipFrom = 0 } = layers[l];
  const [height, , channels] = layers[skipFrom].input;
  const [small, , more] = activationShape(layers[l]);
  const side = height / small;
  let code = `skip${skipFrom}`;
  if (side > 1) code = `F.avg_pool2d(${code}, ${side})`;
  if (fromImage && !toImage) code += '.flatten(1)';
  if (more === channels) return code;
  return `F.pad(${code}, (${toImage ? '0, 0, 0, 0, ' : ''}0, ${more - channels}))`;
}
