import { median } from './commands.js';
import { atLeast, atMost, type Row } from './report.js';
import type { StepCost } from './step-table.js';
import type { Contest, Reached } from './time-to-accuracy.js';

/** What the measured costs of steps have to be. */
export function stepVerdicts(costs: readonly StepCost[]): Row[] {
  const rows: Row[] = [];
  const find = (backend: string, network: string, method: string) =>
    costs.find(
      (cost) =>
        [cost.backend, cost.network, cost.method].join() === [backend, network, method].join(),
    );
  const native = (network: string, method: string) => find('tensorflow', network, method);

  const [fenchel, adam] = [native('MLP', 'fenchel'), native('MLP', 'adam')];
  if (fenchel?.overTorch !== undefined) {
    rows.push(
      atMost(
        "preconditioned Fenchel step, tensorflow / PyTorch's Adam step, MLP",
        fenchel.overTorch,
        1.5,
      ),
    );
  }
  for (const cost of [adam, native('LeNet-5', 'adam')]) {
    if (cost?.overTorch === undefined) continue;
    rows.push(atMost(`Adam step, tensorflow / PyTorch's, ${cost.network}`, cost.overTorch, 1.5));
  }
  if (fenchel?.productShare !== undefined) {
    rows.push(
      atLeast(
        "share of the matrix products' rate, preconditioned Fenchel step, MLP, tensorflow",
        fenchel.productShare,
        0.4,
      ),
    );
  }
  for (const cost of costs) {
    if (cost.method !== 'fenchel') continue;
    const solved = find(cost.backend, cost.network, 'fenchel/exact');
    if (!solved) continue;
    const what = `preconditioned Fenchel step / sub-problems to completion, ${cost.network}, ${cost.backend}`;
    rows.push({
      ...atMost(what, cost.meanMs / solved.meanMs, 0.1),
      measured: (cost.meanMs / solved.meanMs).toFixed(4),
    });
  }
  const [ours, embedded] = [native('LeNet-5', 'fenchel'), find('wasm', 'LeNet-5', 'fenchel')];
  if (ours && embedded) {
    rows.push(
      atMost('preconditioned Fenchel step, tensorflow / wasm, LeNet-5', ours.ms / embedded.ms, 0.5),
    );
  }
  return rows;
}

const bounds: Readonly<Record<string, number>> = { MLP: 0.8, 'LeNet-5': 0.7 };

export function contestVerdicts(contests: readonly Contest[]): Row[] {
  const seconds = (reached: readonly Reached[]) => median(reached.map((one) => one.seconds));
  return contests.map(({ network, target, fenchel, adam }) => {
    const [ours, theirs] = [seconds(fenchel), seconds(adam)];
    const what = `time to ${target}, Fenchel (${ours.toFixed(2)} s) / PyTorch's Adam (${theirs.toFixed(2)} s), ${network}`;
    return atMost(what, ours / theirs, bounds[network]);
  });
}
