/**
 * `npm run build && npx tsx scripts/x-solve.ts [--out FOLDER] [--backend NAME] [--batches N]`: the X-updates of
 * `solver: exact` on MNIST, all activations together (`xSolve: joint`) against sweeps over the blocks, at the first batch
 * and after N (30) batches of Adam. Prints a Markdown table; with --out, writes table.csv too.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { startBackend } from '../src/backend/registry.js';
import { parseExperiment } from '../src/config/load.js';
import { BatchSource, gatherRows, oneHot } from '../src/core/batches.js';
import { FenchelExactConfig } from '../src/core/methods/fenchel/exact/config.js';
import { updateActivationBlock } from '../src/core/methods/fenchel/exact/exact.js';
import {
  jointResiduals,
  updateActivationsJointly,
} from '../src/core/methods/fenchel/exact/joint-activations.js';
import {
  type Blocks,
  type LiftedProblem,
  objectiveValue,
} from '../src/core/methods/fenchel/exact/objective.js';
import type { LinearMap } from '../src/core/network/maps/linear-map.js';
import { buildNetwork, forwardLayers } from '../src/core/network/network.js';
import { Random } from '../src/core/random.js';
import { scoped, Training } from '../src/core/training.js';
import { loadDataset } from '../src/data/load.js';
import { networks } from './bench/steps.js';
import { measuredOn } from './robustness/provenance.js';

const { values: options } = parseArgs({
  options: {
    out: { type: 'string' },
    backend: { type: 'string', default: 'tensorflow' },
    batches: { type: 'string', default: '0,30,600' },
    images: { type: 'string', default: '200' },
  },
});
const images = Number(options.images);
/** The authors' penalty is 2 B with this weight of the loss; with B, half of it. */
const lossWeights = { MLP: 5, 'LeNet-5': 2.5 };

interface Solver {
  readonly xSolve: 'joint' | 'blocks';
  /** theta, or the tolerance of a block. */
  readonly setting: number;
  /** Passes, or sweeps. */
  readonly count: number;
}

const solvers: Solver[] = [
  ...[1, 0.5, 0.25].flatMap((setting) =>
    [6, 20, 60].map((count) => ({ xSolve: 'joint' as const, setting, count })),
  ),
  ...[1, 5].map((count) => ({ xSolve: 'blocks' as const, setting: 1e-2, count })),
];

await startBackend(options.backend);
const rows: Record<string, string | number>[] = [];
for (const name of Object.keys(networks) as (keyof typeof networks)[]) {
  const loaded = await loadNetwork(name);
  const { training, next } = loaded;
  let t = 0;
  for (const batches of options.batches.split(',').map(Number)) {
    for (; t < batches; t++) {
      const batch = next(t, 500);
      await training.step(batch);
      tf.dispose([batch.x, batch.y]);
    }
    for (const solver of solvers) rows.push(await measure(name, batches, loaded, solver));
  }
  training.dispose();
}

const columns = Object.keys(rows[0]);
const line = (cells: readonly (string | number)[], separator: string) => cells.join(separator);
if (options.out) {
  mkdirSync(options.out, { recursive: true });
  const csv = [columns, ...rows.map((row) => columns.map((column) => row[column]))];
  writeFileSync(
    join(options.out, 'table.csv'),
    csv.map((cells) => `${line(cells, ',')}\n`).join(''),
  );
}
process.stdout.write(`| ${line(columns, ' | ')} |\n|${'---|'.repeat(columns.length)}\n`);
for (const row of rows) {
  const cells = columns.map((column) => row[column]);
  process.stdout.write(`| ${line(cells, ' | ')} |\n`);
}
process.stdout.write(`\n${await measuredOn()}, ${options.backend}\n`);

async function loadNetwork(name: keyof typeof networks) {
  const config = {
    name: 'x-solve',
    dataset: { name: 'mnist', testLimit: 10 },
    network: { layers: networks[name] },
    epochs: 10,
    batchSize: 500,
    seeds: [1],
    methods: [{ name: 'adam', initializer: 'he' }],
  };
  const {
    dataset: spec,
    network: shape,
    loss,
    methods,
  } = parseExperiment(JSON.stringify(config), 'x-solve').experiment;
  const { train, levels, classes } = await loadDataset(spec);
  const source = new BatchSource(train, 500, 1);
  const gather = (indices: ArrayLike<number>): tf.Tensor2D =>
    tf.tensor2d(gatherRows(train, indices, levels), [indices.length, 784]);
  const method = await methods[0].definition.load();
  const network = buildNetwork(shape);
  const training = await Training.start(method, {
    config: methods[0].config,
    network,
    loss,
    train: { split: train, rows: gather },
    batchSize: 500,
    totalBatches: 10 * source.batchesPerEpoch,
    random: new Random(1, 'init'),
    stream: (stream) => new Random(1, stream),
  });
  const next = (t: number, size: number) => {
    const indices = source.indices(t).slice(0, size);
    const y = oneHot(train.labels, indices, classes);
    return { indices, x: gather(indices), y: tf.tensor2d(y, [indices.length, classes]) };
  };
  return { network, loss, training, next };
}

/** One solver on one batch that the training has not seen. */
async function measure(
  name: keyof typeof networks,
  batches: number,
  { network, loss, training, next }: Awaited<ReturnType<typeof loadNetwork>>,
  { xSolve, setting, count }: Solver,
): Promise<Record<string, string | number>> {
  return scoped(async () => {
    const { x, y } = next(batches, images);
    const parameters = training.parameters();
    const work = { operations: 0 };
    const counted = { ...network, maps: network.maps.map((map) => countedMap(map, work)) };
    const { inputs, preActivations } = forwardLayers(counted, parameters, x);
    const forward = work.operations;
    const config = FenchelExactConfig.parse({
      name: 'fenchel',
      solver: 'exact',
      lossWeight: lossWeights[name],
      maxIterations: 200,
      xSolve,
      ...(xSolve === 'joint'
        ? { jointStep: setting, jointPasses: count, tolerance: 1e-9 }
        : { tolerance: setting }),
    });
    const gammas = network.maps.map(() => 0);
    const problem: LiftedProblem = {
      config,
      network: counted,
      loss,
      y,
      anchor: parameters,
      gammas,
    };
    const preimages = [undefined, ...preActivations.slice(0, -1)];
    const start: Blocks = { inputs, preimages, parameters };
    const before = await objective(problem, start);
    work.operations = 0;
    const started = performance.now();
    let blocks = start;
    if (xSolve === 'joint') blocks = (await updateActivationsJointly(problem, blocks)).blocks;
    else {
      for (let sweep = 0; sweep < count; sweep++) {
        for (let l = network.activations.length; l > 0; l--) {
          ({ blocks } = await updateActivationBlock(problem, blocks, l));
        }
      }
    }
    const ms = performance.now() - started;
    const { operations } = work;
    const residuals = await jointResiduals(problem, blocks);
    return {
      network: name,
      batches,
      x_solve: xSolve,
      theta_or_tolerance: setting,
      passes_or_sweeps: count,
      residuals: residuals.map((value) => value.toPrecision(2)).join(' '),
      unsolved: residuals.filter((value) => !(value <= 0.1)).length,
      objective_share: ((await objective(problem, blocks)) / before).toFixed(4),
      forward_passes: (operations / forward).toFixed(1),
      ms: ms.toFixed(0),
    };
  });
}

/** lossWeight loss + sum B, over the rows. */
async function objective(problem: LiftedProblem, blocks: Blocks): Promise<number> {
  const weight = problem.config.lossWeight;
  // In units of the loss weight: penalties over it, the loss itself.
  const config = { ...problem.config, penaltyScale: 1 / weight };
  const value = objectiveValue({ ...problem, config }, blocks);
  return weight * (await value.data())[0];
}

/** A map that counts the multiplications of its products with rows. */
function countedMap(map: LinearMap, work: { operations: number }): LinearMap {
  const [patch, channels] = map.weightShape;
  const each = map.positions * patch * channels;
  const counted = <Rest extends unknown[], Result>(
    f: (rows: tf.Tensor2D, ...rest: Rest) => Result,
  ) => {
    return (rows: tf.Tensor2D, ...rest: Rest): Result => {
      work.operations += rows.shape[0] * each;
      return f(rows, ...rest);
    };
  };
  return {
    ...map,
    apply: counted((rows, layer) => map.apply(rows, layer)),
    adjoint: counted((rows, weights) => map.adjoint(rows, weights)),
  };
}
