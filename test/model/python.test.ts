import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadDataset } from '../../src/data/load.js';
import { fln } from '../cli/fln.js';
import { temporaryFolder, tinyExperiment } from '../experiment/tiny.js';
import { imageOf, softmax } from '../reference/forward.js';
import { lenet, readAsStranger, trainTiny } from './trained.js';

/** Exported networks in the programs they are for: FLN_PYTHON, else python3, where it has their packages. */
const python = process.env.FLN_PYTHON || 'python3';
const has = (name: string) => spawnSync(python, ['-c', `import ${name}`]).status === 0;

const cases = [
  ['convolutions', [lenet, 'dataset.preprocessing=standardize']],
  ['dense layers', ['methods.sgd.learningRate=0.05']],
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
