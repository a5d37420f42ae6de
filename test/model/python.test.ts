import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadDataset } from '../../src/data/load.js';
import { writeTorch } from '../../src/model/export.js';
import { readModel } from '../../src/runs/model-file.js';
import { fln } from '../cli/fln.js';
import { temporaryFolder, tinyExperiment } from '../experiment/tiny.js';
import { imageOf, softmax } from '../reference/forward.js';
import { deep, lenet, readAsStranger, trainTiny } from './trained.js';

/** Exported networks in the programs they are for: FLN_PYTHON, else python3, where it has their packages. */
const python = process.env.FLN_PYTHON || 'python3';
const has = (name: string) => spawnSync(python, ['-c', `import ${name}`]).status === 0;

const cases = [
  ['convolutions', [lenet, 'dataset.preprocessing=standardize']],
  ['dense layers', ['methods.sgd.learningRate=0.05']],
  ['every stage', [deep, 'methods=[{ name: sgd, weightAverage: 0.9 }]']],
] as const;
const count = 20;

async function exported(overrides: readonly string[], ...args: string[]) {
  const cwd = temporaryFolder();
  await trainTiny(join(cwd, 'run'), ...overrides);
  const { code, stderr } = await fln(['export', 'run/sgd-s1', ...args], { cwd });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { test } = await loadDataset(tinyExperiment(...overrides).dataset);
  const images = Array.from({ length: count }, (_, row) => imageOf(test, row, [28, 28, 1]));
  const pixels = Float32Array.from(images.flatMap(({ values }) => [...values]));
  writeFileSync(join(cwd, 'input'), new Uint8Array(pixels.buffer));
  const { logits } = readAsStranger(join(cwd, 'run', 'sgd-s1'));
  return { cwd, expected: images.map((image) => logits(image)) };
}

function differences(found: number[][], expected: readonly Float64Array[]): number {
  expect(found.map((row) => row.length)).toEqual(expected.map((row) => row.length));
  return Math.max(...found.flatMap((row, i) => row.map((u, k) => Math.abs(u - expected[i][k]))));
}

const ask = (cwd: string, script: string) =>
  JSON.parse(execFileSync(python, ['-c', script], { cwd, encoding: 'utf8' }));

describe.skipIf(!has('onnxruntime'))('onnxruntime, with an exported network', () => {
  it.each(cases)('gives the same logits and probabilities to 1e-5: %s', async (_, overrides) => {
    const { cwd, expected } = await exported(overrides, '--onnx', 'net.onnx');
    const found = ask(
      cwd,
      `
import json, numpy, onnxruntime
x = numpy.fromfile("input", "<f4").reshape(${count}, 1, 28, 28)
session = onnxruntime.InferenceSession("net.onnx")
logits, probabilities = session.run(None, {"input": x})
(single, _) = session.run(None, {"input": x[:1]})
print(json.dumps([logits.tolist(), probabilities.tolist(), single.tolist()]))`,
    );
    expect(differences(found[0], expected)).toBeLessThan(1e-5);
    expect(
      differences(
        found[1],
        expected.map((row) => softmax(row)),
      ),
    ).toBeLessThan(1e-5);
    expect(differences(found[2], expected.slice(0, 1))).toBeLessThan(1e-5);
  });
});

describe.skipIf(!has('torch'))('PyTorch, with an exported network', () => {
  it.each(cases)('gives the same logits to 1e-5: %s', async (_, overrides) => {
    const { cwd, expected } = await exported(overrides, '--torch', 'net.py');
    const found = ask(
      cwd,
      `
import json, torch, net
x = torch.frombuffer(bytearray(open("input", "rb").read()), dtype=torch.float32)
with torch.no_grad():
    print(json.dumps(net.load()(x.reshape(${count}, 1, 28, 28)).tolist()))`,
    );
    expect(differences(found, expected)).toBeLessThan(1e-5);
  });
});

describe.skipIf(!has('torch'))('PyTorch, with batch norms of its own', () => {
  it('has the same statistics and test outputs after the training batches of the averaged weights', async () => {
    const network = `network.layers=[
      { conv: 5, kernel: 3, maxPool: 4, norm: batch, activation: tanh },
      { conv: 6, kernel: 3, padding: same, norm: batch, activation: tanh },
      { dense: 8, norm: batch, activation: tanh }, { dense: 10 }]`;
    const overrides = [network, 'methods=[{ name: sgd, weightAverage: 0.9 }]'];
    const cwd = temporaryFolder();
    await trainTiny(join(cwd, 'run'), ...overrides);
    const { train, test } = await loadDataset(tinyExperiment(...overrides).dataset);
    const pixels = [train, test].flatMap((split) =>
      Array.from({ length: split.count }, (_, row) => [
        ...imageOf(split, row, [28, 28, 1]).values,
      ]).flat(),
    );
    writeFileSync(join(cwd, 'input'), new Uint8Array(Float32Array.from(pixels).buffer));
    const folder = join(cwd, 'run', 'sgd-s1');
    writeTorch(readModel(folder), join(cwd, 'net.py'));
    const found = ask(
      cwd,
      `
import json, torch, net
from torch import nn
x = torch.frombuffer(bytearray(open("input", "rb").read()), dtype=torch.float32)
x = x.reshape(300, 1, 28, 28)
arrays = net.read_safetensors("run/sgd-s1/model.safetensors")
norm = dict(affine=False, momentum=None)
class Bias(nn.Module):
    def __init__(self, bias):
        super().__init__()
        self.bias = bias
    def forward(self, u):
        return u + (self.bias.view(-1, 1, 1) if u.ndim == 4 else self.bias)
b = [Bias(arrays[f"layers.{l}.bias"]) for l in range(4)]
maps = [nn.Conv2d(1, 5, 3, bias=False), nn.Conv2d(5, 6, 3, padding=1, bias=False), nn.Linear(216, 8, bias=False), nn.Linear(8, 10, bias=False)]
for l, part in enumerate(maps):
    part.weight.data = arrays[f"layers.{l}.weight"]
norms = [nn.BatchNorm2d(5, **norm), nn.BatchNorm2d(6, **norm), nn.BatchNorm1d(8, **norm)]
model = nn.Sequential(
    maps[0], nn.MaxPool2d(4), norms[0], b[0], nn.Tanh(),
    maps[1], norms[1], b[1], nn.Tanh(), nn.Flatten(),
    maps[2], norms[2], b[2], nn.Tanh(), maps[3], b[3])
scaled = (x - torch.tensor(net.MEAN)) / torch.tensor(net.STD)
def largest(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()
with torch.no_grad():
    for start in range(4):
        model(scaled[:200][start::4])
    statistics = [largest(arrays[f"layers.{l}.norm.{name}"], value)
        for l, own in enumerate(norms)
        for name, value in (("mean", own.running_mean), ("variance", own.running_var))]
    model.eval()
    print(json.dumps([statistics, largest(net.load()(x[200:]), model(scaled[200:]))]))`,
    );
    const [statistics, outputs] = found as [number[], number];
    expect(statistics).toHaveLength(6);
    for (const difference of statistics) expect(difference).toBeLessThan(1e-4);
    expect(outputs).toBeLessThan(1e-4);
  });
});
