import type { BuiltInActivation } from '../core/network/names.js';
import { storedShape } from '../core/network/weight-layout.js';
import type { Model } from '../runs/model-file.js';
import { type ExportOptions, isFlat } from './onnx.js';

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
 * A Python file that defines the network as a `torch.nn.Module` and reads its weights from the safetensors file
 * of the same name beside it. It needs PyTorch and no other package.
 */
export function torchModule(model: Model, { preprocessed = false }: ExportOptions = {}): string {
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

function forwardLines(model: Model, preprocessed: boolean): string[] {
  const { layers, activations } = model;
  let isImage = !isFlat(model);
  const lines = preprocessed ? [] : ['x = (x - self.mean) / self.std'];
  for (const [l, { pool, window }] of layers.entries()) {
    if (pool > 1) lines.push(`x = F.avg_pool2d(x, ${pool})`);
    if (!window && isImage) {
      lines.push('x = x.flatten(1)');
      isImage = false;
    }
    const linear = `self.layers[${l}](x)`;
    lines.push(
      `x = ${l < activations.length ? activationCode[activations[l] as BuiltInActivation](linear) : linear}`,
    );
  }
  return lines;
}
