import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runExperiment } from '../../src/experiment/run.js';
import { readArrays } from '../../src/files/safetensors.js';
import { tinyExperiment } from '../experiment/tiny.js';
import {
  activationsByName,
  averagePool,
  channelMean,
  convolve,
  dense,
  type Image,
  maxPool,
  perChannel,
  type Weights,
} from '../reference/forward.js';

/** A small LeNet: padding, stride, pooling with dropped pixels, and a dense layer after feature maps. */
export const lenet =
  'network.layers=[{ conv: 3, kernel: 5, padding: 2, activation: tanh }, { averagePool: 3 }, { conv: 4, kernel: 3, stride: 2, activation: leaky-relu }, { averagePool: 2 }, { dense: 12, activation: sigmoid }, { dense: 10 }]';

/** Every stage that a layer can have: norms, max-pooling, skip connections of images, of vectors and between them. */
export const deep = `network.layers=[
  { whiten: 2, stride: 2, filters: 6, activation: tanh },
  { conv: 5, kernel: 3, maxPool: 2, norm: batch, dropout: 0.1, activation: relu },
  { residual: [
      { conv: 4, kernel: 3, padding: same, norm: rms, activation: sigmoid },
      { conv: 7, kernel: 3, stride: 2, padding: same, norm: batch }
    ], activation: tanh },
  { repeat: 2, layers: [{ residual: [{ conv: 7, kernel: 1 }], activation: gelu }] },
  { globalPool: max },
  { residual: [{ dense: 9, norm: batch }], activation: silu },
  { residual: [{ dense: 6, norm: rms, activation: tanh }, { dense: 11 }], activation: softplus },
  { dense: 10 }]`;

/** Trains the experiment of tiny.ts. */
export async function trainTiny(folder: string, ...overrides: string[]): Promise<void> {
  const experiment = tinyExperiment('backend=wasm', ...overrides);
  const { status } = await runExperiment(experiment, { outDir: folder });
  if (status !== 'completed') throw new Error(`the training is ${status}`);
}

interface Layer {
  readonly residual?: readonly Layer[];
  readonly repeat?: number;
  readonly layers?: readonly Layer[];
  readonly averagePool?: number;
  readonly maxPool?: number;
  readonly globalPool?: 'average' | 'max';
  readonly conv?: number;
  readonly whiten?: number;
  readonly stride?: number;
  readonly padding?: number;
  readonly norm?: 'batch' | 'rms';
  readonly activation?: string;
}

/** What a program that knows docs/model.md reads: nothing of fln but the file format. */
export function readAsStranger(run: string) {
  const json = JSON.parse(readFileSync(join(run, 'model.json'), 'utf8'));
  const arrays = readArrays(join(run, 'model.safetensors'));
  const array = (name: string): Weights => arrays.get(name)!;
  const { mean, std } = json.preprocessing;

  /**
   * The network's outputs for an image of raw pixels.
   * @param beforeNorm gets what each norm takes, with the number of the layer
   */
  function logits(
    { shape, values }: Image,
    beforeNorm: (layer: number, u: Image) => void = () => {},
  ): Float64Array {
    const pixels = shape[1] * shape[2];
    let x: Image = {
      shape,
      values: values.map((p, i) => {
        const channel = Math.floor(i / pixels);
        return (p - mean[channel]) / std[channel];
      }),
    };
    let n = 0;
    const pooled = ({ averagePool: side, maxPool: sideOfMax, globalPool }: Layer): Image => {
      const isAverage = side !== undefined || globalPool === 'average';
      const window = globalPool ? x.shape[1] : (side ?? sideOfMax)!;
      return isAverage ? averagePool(x, window) : maxPool(x, window);
    };
    /** @param added what the skip connection of a residual block adds */
    const layer = ({ activation, ...own }: Layer, added?: Image): Image => {
      const { conv, whiten, stride = 1, padding = 0, norm } = own;
      const name = `layers.${n++}`;
      const weight = array(`${name}.weight`);
      const bias = array(`${name}.bias`).values;
      const none = new Float64Array(bias.length);
      let u =
        conv === undefined && whiten === undefined
          ? dense(x, weight, none)
          : convolve(x, weight, none, stride, padding);
      if (own.maxPool !== undefined) u = maxPool(u, own.maxPool);
      if (norm) beforeNorm(n - 1, u);
      if (norm === 'batch') {
        const [m, v] = [array(`${name}.norm.mean`).values, array(`${name}.norm.variance`).values];
        u = perChannel(u, (value, c) => (value - m[c]) / Math.sqrt(v[c] + 1e-5));
      } else if (norm === 'rms') {
        const squares = channelMean({ ...u, values: u.values.map((value) => value ** 2) }).values;
        const scale = squares.map((square) => 1 / Math.sqrt(square + 1e-5));
        u = { ...u, values: u.values.map((value, i) => value * scale[i % scale.length]) };
      }
      u = perChannel(u, (value, c) => value + bias[c]);
      if (added) {
        // Of fewer channels, which come first: the others get zeros.
        const small = averagePool(added, added.shape[1] / u.shape[1]).values;
        u = { ...u, values: u.values.map((value, i) => value + (small[i] ?? 0)) };
      }
      return activation ? { ...u, values: u.values.map(activationsByName[activation]) } : u;
    };
    const run = (entries: readonly Layer[]) => {
      for (const entry of entries) {
        const { residual, repeat = 0, layers = [], activation } = entry;
        for (let time = 0; time < repeat; time++) run(layers);
        if (repeat > 0) continue;
        if (residual) {
          const start = x;
          run(residual.slice(0, -1));
          x = layer({ ...residual.at(-1), activation }, start);
        } else {
          const { averagePool: side, maxPool: sideOfMax, globalPool, conv } = entry;
          const isPool = side ?? globalPool ?? (conv === undefined ? sideOfMax : undefined);
          x = isPool !== undefined ? pooled(entry) : layer(entry);
        }
      }
    };
    run(json.network.layers);
    return x.values;
  }
  return { json, arrays, logits };
}

export const argMax = (values: ArrayLike<number>): number => {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
};
