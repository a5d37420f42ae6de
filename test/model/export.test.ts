import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadDataset } from '../../src/data/load.js';
import { readArrays } from '../../src/files/safetensors.js';
import { writeTorch } from '../../src/model/export.js';
import { readModel } from '../../src/runs/model-file.js';
import { fln } from '../cli/fln.js';
import { temporaryFolder, tinyConfig, tinyExperiment } from '../experiment/tiny.js';
import { imageOf } from '../reference/forward.js';
import { evaluateOnnx, readOnnx } from './onnx-reader.js';
import { deep, lenet, readAsStranger, trainTiny } from './trained.js';

const images = async () => (await loadDataset(tinyExperiment().dataset)).test;

describe('fln export --onnx', () => {
  it.each([
    ['a convolutional network', [lenet, 'dataset.preprocessing=standardize']],
    ['a network with every stage', [deep, 'methods=[{ name: sgd, learningRate: 0.05 }]']],
    [
      'a fully connected network of the other activations with the squared error',
      [
        `network.layers=[${['gelu', 'silu', 'hard-tanh', 'softplus', 'sign', 'step'].map((name) => `{ dense: 9, activation: ${name} }`)}, { dense: 10 }]`,
        'loss=mse',
        'methods.sgd.learningRate=0.001',
      ],
    ],
  ])('writes a graph with the same outputs: %s', async (_, overrides) => {
    const cwd = temporaryFolder();
    await trainTiny(join(cwd, 'run'), ...overrides);
    const outcome = await fln(['export', 'run/sgd-s1', '--onnx', 'a.onnx'], { cwd });
    expect(outcome).toEqual({ code: 0, stdout: 'sgd, seed 1: a.onnx\n', stderr: '' });
    const { json, logits } = readAsStranger(join(cwd, 'run', 'sgd-s1'));
    const model = readOnnx(readFileSync(join(cwd, 'a.onnx')));
    const isMse = json.loss === 'mse';
    expect(model).toMatchObject({ irVersion: 7, opset: 13 });
    expect(model.inputs).toEqual([{ name: 'input', shape: ['N', 1, 28, 28] }]);
    expect(model.outputs).toEqual(
      (isMse ? ['outputs'] : ['logits', 'probabilities']).map((name) => ({
        name,
        shape: ['N', 10],
      })),
    );
    expect(JSON.parse(model.metadata.preprocessing)).toEqual(json.preprocessing);
    expect(model.metadata).toMatchObject({ label: 'sgd', weights_sha256: json.weights.sha256 });
    const test = await images();
    for (let row = 0; row < 5; row++) {
      const image = imageOf(test, row, [28, 28, 1]);
      const expected = logits(image);
      const found = evaluateOnnx(model, image);
      const outputs = isMse ? found.outputs : found.logits;
      for (const [k, value] of expected.entries()) expect(outputs[k]).toBeCloseTo(value, 5);
      if (!isMse) expect(found.probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
    }
  });

  it('leaves the preprocessing out where the input has it already', async () => {
    const cwd = temporaryFolder();
    await trainTiny(join(cwd, 'run'));
    const choice = ['--label', 'adam', '--onnx', 'a.onnx', '--preprocessed'];
    expect(await fln(['export', 'run', ...choice], { cwd })).toMatchObject({ code: 0 });
    const model = readOnnx(readFileSync(join(cwd, 'a.onnx')));
    expect(model.nodes.map(({ type }) => type)).toEqual([
      'Flatten',
      'Gemm',
      'Relu',
      'Gemm',
      'Softmax',
    ]);
    expect([...model.tensors.keys()]).not.toContain('preprocessing.mean');
    expect(model.metadata.input).toContain('preprocessed: (x - mean) / std');
  });
});

describe('fln export --torch', () => {
  it('writes a module and its weights; torch itself is in python.test.ts', async () => {
    const cwd = temporaryFolder();
    await trainTiny(join(cwd, 'run'), lenet);
    const { code, stdout } = await fln(['export', 'run', '--best', '--torch', 'net.py', '--json'], {
      cwd,
    });
    expect(code).toBe(0);
    const { label, files } = JSON.parse(stdout);
    expect(files).toEqual(['net.py', 'net.safetensors']);
    const accuracy = (name: string) =>
      readAsStranger(join(cwd, 'run', `${name}-s1`)).json.results.test.accuracy;
    expect(accuracy(label)).toBe(Math.max(accuracy('adam'), accuracy('sgd')));
    const text = readFileSync(join(cwd, 'net.py'), 'utf8');
    const lines = text.split('\n').map((line) => line.trim());
    const [start, end] = [lines.indexOf('def forward(self, x):'), lines.indexOf('return x')];
    expect(lines.slice(start + 1, end)).toEqual([
      'x = (x - self.mean) / self.std',
      'x = torch.tanh(self.layers[0](x))',
      'x = F.avg_pool2d(x, 3)',
      'x = F.leaky_relu(self.layers[1](x), 0.01)',
      'x = F.avg_pool2d(x, 2)',
      'x = x.flatten(1)',
      'x = torch.sigmoid(self.layers[2](x))',
      'x = self.layers[3](x)',
    ]);
    expect(lines.filter((line) => line.startsWith('nn.') && line.endsWith(','))).toEqual([
      'nn.Conv2d(1, 3, kernel_size=5, stride=1, padding=2),',
      'nn.Conv2d(3, 4, kernel_size=3, stride=2, padding=0),',
      'nn.Linear(16, 12),',
      'nn.Linear(12, 10),',
    ]);
    const weights = readFileSync(join(cwd, 'net.safetensors'));
    expect(weights).toEqual(readFileSync(join(cwd, 'run', `${label}-s1`, 'model.safetensors')));
  });
});

describe('a network with every stage', () => {
  it('is PyTorch code, with the batch norms in its weights', async () => {
    const cwd = temporaryFolder();
    await trainTiny(join(cwd, 'run'), deep, 'methods=[{ name: sgd, weightAverage: 0.9 }]');
    const run = join(cwd, 'run', 'sgd-s1');
    const model = readModel(run);
    const onItself = () => writeTorch(model, join(run, 'model.py'));
    expect(onItself).toThrow(/model\.safetensors is the trained model itself.*another FILE\.py/);
    writeTorch(model, join(cwd, 'net.py'));
    const lines = readFileSync(join(cwd, 'net.py'), 'utf8').split('\n');
    const start = lines.indexOf('    def forward(self, x):');
    const code = lines.slice(start + 1, lines.indexOf('        return x')).map((l) => l.trim());
    expect(code).toEqual([
      'x = (x - self.mean) / self.std',
      'x = torch.tanh(self.layers[0](x))',
      'x = self.layers[1](x)',
      'x = F.relu(F.max_pool2d(x, 2))',
      'skip2 = x',
      'x = F.conv2d(x, self.layers[2].weight, stride=1, padding=1)',
      'x = torch.sigmoid(rms_norm(x) + self.layers[2].bias.view(-1, 1, 1))',
      'x = self.layers[3](x)',
      'x = torch.tanh(x + F.pad(F.avg_pool2d(skip2, 2), (0, 0, 0, 0, 0, 2)))',
      ...[4, 5].flatMap((l) => [
        `skip${l} = x`,
        `x = self.layers[${l}](x)`,
        `x = F.gelu(x + skip${l})`,
      ]),
      'x = F.max_pool2d(x, 3)',
      'skip6 = x',
      'x = x.flatten(1)',
      'x = self.layers[6](x)',
      'x = F.silu(x + F.pad(skip6.flatten(1), (0, 2)))',
      'skip7 = x',
      'x = F.linear(x, self.layers[7].weight)',
      'x = torch.tanh(rms_norm(x) + self.layers[7].bias)',
      'x = self.layers[8](x)',
      'x = F.softplus(x + F.pad(skip7, (0, 2)))',
      'x = self.layers[9](x)',
    ]);
    const own = readArrays(join(run, 'model.safetensors'));
    const folded = readArrays(join(cwd, 'net.safetensors'));
    expect([...folded.keys()]).toEqual([...own.keys()].filter((name) => !name.includes('norm')));
    for (const l of [1, 3, 6]) {
      const [w, b, m, v] = ['weight', 'bias', 'norm.mean', 'norm.variance'].map(
        (name) => own.get(`layers.${l}.${name}`)!.values,
      );
      const s = Array.from(v, (value) => Math.sqrt(value + 1e-5));
      const { values } = folded.get(`layers.${l}.weight`)!;
      for (const [i, value] of values.entries()) {
        const k = Math.floor((i * b.length) / w.length);
        expect(value).toBeCloseTo(w[i] / s[k], 4);
      }
      for (const [k, value] of folded.get(`layers.${l}.bias`)!.values.entries()) {
        expect(value).toBeCloseTo(b[k] - m[k] / s[k], 4);
      }
    }
  });
});

it('what cannot be exported is an error with the way out', async () => {
  const cwd = temporaryFolder();
  await trainTiny(join(cwd, 'run'));
  const refusal = async (...args: string[]) => {
    const { code, stdout, stderr } = await fln(['export', ...args], { cwd });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    return stderr;
  };
  expect(await refusal('run', '--onnx', 'a.onnx')).toBe(
    'run holds 2 trained models; choose one, or --best:\n  --label adam --seed 1\n  --label sgd --seed 1\n',
  );
  expect(await refusal('run', '--onnx', 'a.onnx', '--label', 'sdg')).toBe(
    'run has no trained model of sdg; it has: adam, seed 1; sgd, seed 1\n',
  );
  expect(await refusal('run', '--best', '--onnx', 'no/a.onnx')).toBe(
    '--onnx: the folder of no/a.onnx does not exist\n',
  );
  expect(await refusal('absent', '--onnx', 'a.onnx')).toBe(
    'absent: there is no such run directory\n',
  );
  expect(await refusal('run', 'run', '--onnx', 'a.onnx')).toContain('give one run directory');
  expect(await refusal('run', '--onnx', 'a.onnx', '--long', 'x.csv')).toContain(
    'separate commands',
  );
  writeFileSync(join(cwd, 'tiny.yaml'), tinyConfig);
  await fln(['run', 'tiny.yaml', '--out', 'none', '--no-model', '--progress', 'none'], { cwd });
  expect(await refusal('none', '--torch', 'x.py')).toMatch(/has no trained model: .*--no-model/);
});
