import * as tf from '@tensorflow/tfjs';
import type { BackendName } from '../../src/backend/registry.js';
import { startBackend } from '../../src/backend/registry.js';
import { compilerOf, eager, registerCompiler } from '../../src/core/compile.js';
import type { Training } from '../../src/core/training.js';
import { ProductTimer, stepFlops } from './flops.js';
import { least, median, pairedRatio, quartile, type Ratio } from './statistics.js';
import { loadWorkload, type networks, settle, timeInTurn, turn } from './steps.js';
import type { Torch } from './torch.js';

type NetworkName = keyof typeof networks;

/** Cost of a step of one method on one network and backend: milliseconds of turns of {@link turn} steps, a step. */
export interface StepCost {
  readonly backend: string;
  readonly network: NetworkName;
  readonly method: string;
  readonly threads: number;
  readonly least: number;
  readonly quartile: number;
  readonly median: number;
  /** Over Adam's in the same backend, turn by turn. */
  readonly overAdam?: Ratio;
  /** Over PyTorch's Adam with as many threads, if PyTorch is installed, turn by turn. */
  readonly overTorch?: Ratio;
  /** Flop rate of the step's products, relative to the backend's own matrix product. */
  readonly productShare?: number;
}

/**
 * Methods whose steps are all of one kind, with their fields; Adam first: the others are divided by it. The eigenbases of `soap`
 * are renewed every 8 steps, not its default of 10, so that each turn has one renewal.
 */
const quick: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  adam: {},
  sgd: {},
  fenchel: {},
  foof: {},
  kfac: {},
  muon: {},
  soap: { preconditionFrequency: 8 },
};
/** Those whose covariances have their full interval only after a while. */
const settling = /^(fenchel|foof|kfac)/;
/** Where a backend compiles steps: what they cost with their operations one by one. */
const uncompiled = ['adam', 'fenchel'];
const exact = 'fenchel/exact';
/** Turns of each backend: at least 7 pairs for an interval. */
const turns: Readonly<Record<NetworkName, Readonly<Record<string, number>>>> = {
  MLP: { tensorflow: 20, wasm: 9 },
  'LeNet-5': { tensorflow: 9, wasm: 7 },
};

/**
 * Steps of all methods in turn on the same batches, PyTorch's Adam between them.
 * @param torch PyTorch, if installed
 * @param threadsOf threads of each backend, and so of PyTorch beside it
 * @param onCost called with each result
 */
export async function timeSteps(
  backends: readonly BackendName[],
  torch: Torch | undefined,
  threadsOf: (backend: BackendName) => number,
  onCost: (cost: StepCost) => void,
): Promise<StepCost[]> {
  const costs: StepCost[] = [];
  for (const network of Object.keys(turns) as NetworkName[]) {
    const flops = await countFlops(network);
    for (const backend of backends) {
      await startBackend(backend);
      const threads = threadsOf(backend);
      for (const cost of await timeNetwork(network, backend, threads, flops, torch)) {
        costs.push({ network, threads, ...cost });
        onCost(costs[costs.length - 1]);
      }
    }
  }
  return costs;
}

/** Of the methods whose steps are all of one kind, by method. */
async function countFlops(network: NetworkName): Promise<Map<string, number>> {
  await startBackend('wasm');
  const workload = await loadWorkload(network);
  const flops = new Map<string, number>();
  for (const [method, fields] of Object.entries(quick)) {
    const training = await workload.start(method, fields);
    flops.set(method, await stepFlops(workload, training, 8));
    training.dispose();
  }
  return flops;
}

async function timeNetwork(
  network: NetworkName,
  backend: BackendName,
  threads: number,
  flops: ReadonlyMap<string, number>,
  torch: Torch | undefined,
): Promise<Omit<StepCost, 'network' | 'threads'>[]> {
  const workload = await loadWorkload(network);
  const compiler = compilerOf(tf.getBackend());
  const plain = compiler === eager ? [] : uncompiled;
  const trainings: Training[] = [];
  // One after the other: scopes of tensors are global.
  for (const [method, fields] of Object.entries(quick)) {
    trainings.push(await workload.start(method, fields));
  }
  registerCompiler(tf.getBackend(), eager);
  for (const method of plain) trainings.push(await workload.start(method));
  registerCompiler(tf.getBackend(), compiler);
  const names = [...Object.keys(quick), ...plain.map((method) => `${method}, one by one`)];
  for (const [i, name] of names.entries()) {
    if (settling.test(name)) await settle(workload, trainings[i]);
  }
  const theirs: number[] = [];
  const started = await torch?.ask<{ variant: string }>({
    do: 'start',
    network,
    batch: 500,
    threads,
  });
  const product = new ProductTimer();
  const between = async (counted: boolean) => {
    await product.time();
    const ms = await torch?.turn(turn);
    if (counted && ms !== undefined) theirs.push(ms);
  };
  const times = await timeInTurn(workload, trainings, turns[network][backend], { between });
  for (const training of trainings) training.dispose();

  const solver = await workload.start('fenchel', { solver: 'exact', preset: 'paper' });
  times.push(...(await timeInTurn(workload, [solver], 1, { steps: 2 })));
  solver.dispose();

  product.dispose();
  const costs = [...names, exact].map((method, i) => {
    const flop = flops.get(method);
    const isPaired = method !== exact;
    return {
      ...timesOf(times[i]),
      backend,
      method,
      overAdam: isPaired ? pairedRatio(times[i], times[0]) : undefined,
      overTorch: isPaired && theirs.length > 0 ? pairedRatio(times[i], theirs) : undefined,
      productShare: flop && flop / (least(times[i]) / 1000) / product.rate,
    };
  });
  if (!started) return costs;
  const method = `adam (${started.variant})`;
  return [...costs, { ...timesOf(theirs), backend: 'PyTorch', method }];
}

const timesOf = (times: readonly number[]) => ({
  least: least(times),
  quartile: quartile(times),
  median: median(times),
});
