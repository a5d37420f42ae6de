import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import type { BackendName } from '../../src/backend/registry.js';
import { startBackend } from '../../src/backend/registry.js';
import { compilerOf, eager, registerCompiler } from '../../src/core/compile.js';
import { median } from './commands.js';
import { ProductTimer, stepFlops } from './flops.js';
import { loadWorkload, type networks, timeInTurn, turn } from './steps.js';
import type { Torch } from './torch.js';

type NetworkName = keyof typeof networks;

/** Cost of a step of one method on one network and backend. Milliseconds are medians. */
export interface StepCost {
  readonly backend: string;
  readonly network: NetworkName;
  readonly method: string;
  readonly ms: number;
  /** Mean: a method may do more on some steps than on others. */
  readonly meanMs: number;
  /** Over Adam's in the same backend. */
  readonly overAdam: number;
  /** Over PyTorch's Adam with as many threads, if PyTorch is installed. */
  readonly overTorch?: number;
  /** Flop rate of the step's products, relative to the backend's own matrix product. */
  readonly productShare?: number;
}

const restMs = 20;

/** Adam first: the others are divided by it. */
const quick = ['adam', 'sgd', 'fenchel'];
/** Where a backend compiles steps: what they cost with their operations one by one. */
const uncompiled = ['adam', 'fenchel'];
const exact = 'fenchel/exact';
const plan: Readonly<Record<NetworkName, { turns: number; exactTurns: number }>> = {
  MLP: { turns: 30, exactTurns: 2 },
  'LeNet-5': { turns: 8, exactTurns: 1 },
};

/**
 * Steps of all methods in turn on the same batches, PyTorch's Adam between them.
 * @param torch PyTorch, if installed
 * @param onCost called with each result
 */
export async function timeSteps(
  backends: readonly BackendName[],
  torch: Torch | undefined,
  onCost: (cost: StepCost) => void,
): Promise<StepCost[]> {
  const costs: StepCost[] = [];
  for (const network of Object.keys(plan) as NetworkName[]) {
    const flops = await countFlops(network);
    for (const backend of backends) {
      await startBackend(backend);
      for (const cost of await timeNetwork(network, flops, torch)) {
        costs.push({ backend, ...cost });
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
  for (const method of quick) {
    const training = await workload.start(method);
    flops.set(method, await stepFlops(workload, training, 8));
    training.dispose();
  }
  return flops;
}

async function timeNetwork(
  network: NetworkName,
  flops: ReadonlyMap<string, number>,
  torch: Torch | undefined,
): Promise<Omit<StepCost, 'backend'>[]> {
  const { turns, exactTurns } = plan[network];
  const workload = await loadWorkload(network);
  const trainings = await Promise.all(quick.map((method) => workload.start(method)));
  const compiler = compilerOf(tf.getBackend());
  const plain = compiler === eager ? [] : uncompiled;
  registerCompiler(tf.getBackend(), eager);
  trainings.push(...(await Promise.all(plain.map((method) => workload.start(method)))));
  registerCompiler(tf.getBackend(), compiler);
  const theirs: number[] = [];
  await torch?.ask({ do: 'start', network, batch: 500, threads: availableParallelism() });
  const product = new ProductTimer();
  const between = async (counted: boolean) => {
    await product.time();
    if (torch === undefined) return;
    // Threads of both sides spin for a while after their work: wait for them.
    await sleep(restMs);
    const { ms } = await torch.ask<{ ms: number[] }>({ do: 'steps', count: turn });
    if (counted) theirs.push(...ms.slice(1));
    await sleep(restMs);
  };
  const times = await timeInTurn(workload, trainings, turns, between);
  for (const training of trainings) training.dispose();

  const solver = await workload.start('fenchel', { solver: 'exact', preset: 'paper' });
  times.push(...(await timeInTurn(workload, [solver], exactTurns)));
  solver.dispose();

  product.dispose();
  const adam = median(times[0]);
  const names = [...quick, ...plain.map((method) => `${method}, one by one`), exact];
  return names.map((method, i) => {
    const ms = median(times[i]);
    const meanMs = times[i].reduce((sum, value) => sum + value, 0) / times[i].length;
    const overTorch = theirs.length > 0 ? ms / median(theirs) : undefined;
    const flop = flops.get(method);
    const productShare = flop && flop / (ms / 1000) / product.rate;
    return { network, method, ms, meanMs, overAdam: ms / adam, overTorch, productShare };
  });
}
