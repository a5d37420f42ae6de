import * as tf from '@tensorflow/tfjs';
import { startBackend } from '../../src/backend/registry.js';
import { convolutionMap } from '../../src/core/network/maps/convolution.js';
import { hasBfloat16 } from '../../src/shared/provenance.js';
import { ProductTimer } from './flops.js';
import { atMost, type Row } from './report.js';
import { least, pairedRatio, type Ratio } from './statistics.js';
import { loadWorkload, timeInTurn } from './steps.js';
import type { Torch } from './torch.js';

const pairs = 7;

/** Images a batch, and the channels of the first and of the other two blocks, behind 24 filters that whiten. */
const networks = {
  '24-96-96': { batch: 500, channels: [24, 96] },
  airbench94: { batch: 100, channels: [64, 256] },
} as const;

type Shape = readonly [side: number, inputs: number, outputs: number];

/** The 3 x 3 convolutions with padding `same` of the trained layers, each shape once. */
const shapesOf = ([first, other]: readonly [number, number]): Shape[] => [
  [31, 24, first],
  [15, first, first],
  [15, first, other],
  [7, other, other],
  [3, other, other],
];

/** Product, gradient of the inputs and gradient of the weights of one convolution. */
export interface ConvolutionCost {
  readonly network: string;
  readonly batch: number;
  readonly side: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly threads: number;
  /** Milliseconds of all three on tensorflow, the least. */
  readonly least: number;
  /** Over PyTorch's, pair by pair; PyTorch in its fastest memory format. */
  readonly overTorch: Ratio;
  /** Flops a second, relative to the backend's own matrix product. */
  readonly productShare: number;
}

/** A network with normalised convolutions, on tensorflow and in PyTorch. */
export async function measureConvolutions(
  torch: Torch,
  threads: number,
): Promise<{ costs: ConvolutionCost[]; rows: Row[] }> {
  await startBackend('tensorflow');
  const costs: ConvolutionCost[] = [];
  const rows: Row[] = [];
  for (const [network, { batch, channels }] of Object.entries(networks)) {
    const ours: number[] = new Array(pairs).fill(0);
    const theirs: number[] = new Array(pairs).fill(0);
    for (const shape of shapesOf(channels)) {
      const timed = await timeConvolution(batch, shape, torch, threads);
      for (let i = 0; i < pairs; i++) {
        ours[i] += timed.ours[i];
        theirs[i] += timed.theirs[i];
      }
      const [side, inputs, outputs] = shape;
      const flops = 3 * 2 * batch * side ** 2 * 9 * inputs * outputs;
      costs.push({
        network,
        batch,
        side,
        inputs,
        outputs,
        threads,
        least: least(timed.ours),
        overTorch: pairedRatio(timed.ours, timed.theirs),
        productShare: flops / (least(timed.ours) / 1000) / timed.productRate,
      });
    }
    const what = `convolutions of ${network}, tensorflow / PyTorch`;
    rows.push(atMost(what, pairedRatio(ours, theirs), 1.25));
  }
  rows.push(...(await timeSteps(torch, threads)));
  return { costs, rows };
}

async function timeConvolution(
  batch: number,
  [side, inputs, outputs]: Shape,
  torch: Torch,
  threads: number,
) {
  const map = convolutionMap([side, side, inputs], [side, side, outputs], {
    kernel: 3,
    stride: 1,
    padding: 1,
  });
  const normal = (rows: number, columns: number, seed: number): tf.Tensor2D =>
    tf.randomNormal([rows, columns], 0, 1, 'float32', seed);
  const x = normal(batch, side ** 2 * inputs, 1);
  const d = normal(batch, side ** 2 * outputs, 2);
  const weights = normal(9 * inputs, outputs, 3);
  const product = new ProductTimer();
  await torch.ask({ do: 'convolution', batch, side, inputs, outputs, threads });
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let i = 0; i <= pairs; i++) {
    await product.time();
    const started = performance.now();
    // On the CPU, TensorFlow's operations have run when they return.
    tf.dispose([map.product!(x, weights), map.adjoint(d, weights), map.weightGradient!(x, d)]);
    const ms = performance.now() - started;
    const [their] = await torch.steps(1);
    if (i === 0) continue;
    ours.push(ms);
    theirs.push(their);
  }
  const productRate = product.rate;
  product.dispose();
  tf.dispose([x, d, weights]);
  return { ours, theirs, productRate };
}

/** Whole steps: Adam's here over PyTorch's, and the lifted one's over Adam's. */
async function timeSteps(torch: Torch, threads: number): Promise<Row[]> {
  const network = '24-96-96';
  const steps = 3;
  const workload = await loadWorkload(network);
  const lifted = { nudge: 'two-sided', targetStep: 1 };
  const trainings = [
    await workload.start('adam'),
    await workload.start('fenchel', lifted),
    await workload.start('muon'),
  ];
  if (hasBfloat16()) {
    const options = { convolutionPrecision: 'bfloat16' } as const;
    trainings.push(await workload.start('fenchel', lifted, options));
  }
  await torch.ask({ do: 'start', network, batch: 500, threads });
  const theirs: number[] = [];
  const between = async (counted: boolean) => {
    const ms = await torch.turn(steps);
    if (counted) theirs.push(ms);
  };
  const times = await timeInTurn(workload, trainings, pairs, { steps, between });
  for (const training of trainings) training.dispose();
  const [adam, fenchel, muon, rounded] = times;
  const rows = [
    atMost(`Adam step, tensorflow / PyTorch's, ${network}`, pairedRatio(adam, theirs), 1.25),
    atMost(`Fenchel step / Adam step, ${network}, tensorflow`, pairedRatio(fenchel, adam), 1.3),
    atMost(`Fenchel step / Muon step, ${network}, tensorflow`, pairedRatio(fenchel, muon), 1.3),
  ];
  if (!rounded) return rows;
  const what = `Fenchel step, bfloat16 / float32, ${network}, tensorflow`;
  return [...rows, atMost(what, pairedRatio(rounded, fenchel), 0.9)];
}
