import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runExperiment } from '../../src/experiment/run.js';
import { readArrays } from '../../src/files/safetensors.js';
import { tinyExperiment } from '../experiment/tiny.js';
import {
  activationsByName,
  averagePool,
  convolve,
  dense,
  type Image,
  type Weights,
} from '../reference/forward.js';

/** A small LeNet: padding, stride, pooling with dropped pixels, and a dense layer after feature maps. */
export const lenet =
  'network.layers=[{ conv: 3, kernel: 5, padding: 2, activation: tanh }, { averagePool: 3 }, { conv: 4, kernel: 3, stride: 2, activation: leaky-relu }, { averagePool: 2 }, { dense: 12, activation: sigmoid }, { dense: 10 }]';

/** Trains the experiment of tiny.ts. */
export async function trainTiny(folder: string, ...overrides: string[]): Promise<void> {
  const experiment = tinyExperiment('backend=wasm', ...overrides);
  const { status } = await runExperiment(experiment, { outDir: folder });
  if (status !== 'completed') throw new Error(`the training is ${status}`);
}

type Layer = Readonly<Record<string, number>> & { readonly activation?: string };

/** What a program that knows docs/model.md reads: nothing of fln but the file format. */
export function readAsStranger(run: string) {
  const json = JSON.parse(readFileSync(join(run, 'model.json'), 'utf8'));
  const arrays = readArrays(join(run, 'model.safetensors'));
  const array = (name: string): Weights => arrays.get(name)!;
  const { mean, std } = json.preprocessing;

  /** The network's outputs for an image of raw pixels. */
  function logits({ shape, values }: Image): Float64Array {
    const pixels = shape[1] * shape[2];
    let x: Image = {
      shape,
      values: values.map((p, i) => {
        const channel = Math.floor(i / pixels);
        return (p - mean[channel]) / std[channel];
      }),
    };
    let n = 0;
    for (const layer of json.network.layers as Layer[]) {
      if (layer.averagePool !== undefined) {
        x = averagePool(x, layer.averagePool);
        continue;
      }
      const [weight, bias] = [array(`layers.${n}.weight`), array(`layers.${n}.bias`).values];
      x =
        layer.conv === undefined
          ? dense(x, weight, bias)
          : convolve(x, weight, bias, layer.stride, layer.padding);
      const { activation } = layer;
      if (activation) x = { ...x, values: x.values.map(activationsByName[activation]) };
      n++;
    }
    return x.values;
  }
  return { json, arrays, logits };
}

export const argMax = (values: ArrayLike<number>): number => {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
};
