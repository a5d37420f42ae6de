import { atLeast, atMost, type Row } from './report.js';
import { pairedRatio } from './statistics.js';
import type { StepCost } from './step-table.js';
import type { Contest } from './time-to-accuracy.js';

/** What the measured costs of steps have to be. */
export function stepVerdicts(costs: readonly StepCost[]): Row[] {
  const rows: Row[] = [];
  const find = (backend: string, network: string, method: string) =>
    costs.find(
      (cost) =>
        [cost.backend, cost.network, cost.method].join() === [backend, network, method].join(),
    );
  const native = (network: string, method: string) => find('tensorflow', network, method);

  const fenchel = native('MLP', 'fenchel');
  for (const { backend, network, method, overAdam } of costs) {
    if (method !== 'fenchel' || !overAdam) continue;
    const what = `preconditioned Fenchel step / Adam step, ${network}, ${backend}`;
    rows.push(atMost(what, overAdam, 1.2));
  }
  if (fenchel?.overTorch) {
    const what = "preconditioned Fenchel step, tensorflow / PyTorch's Adam step, MLP";
    rows.push(atMost(what, fenchel.overTorch, 1.5));
  }
  for (const cost of [native('MLP', 'adam'), native('LeNet-5', 'adam')]) {
    if (!cost?.overTorch) continue;
    rows.push(atMost(`Adam step, tensorflow / PyTorch's, ${cost.network}`, cost.overTorch, 1.5));
  }
  if (fenchel?.productShare !== undefined) {
    const what =
      "share of the matrix products' rate, preconditioned Fenchel step, MLP, tensorflow, fastest turn";
    rows.push(atLeast(what, fenchel.productShare, 0.4));
  }
  for (const cost of costs) {
    if (cost.method !== 'fenchel') continue;
    const solved = find(cost.backend, cost.network, 'fenchel/exact');
    if (!solved) continue;
    const what = `preconditioned Fenchel step / sub-problems to completion, ${cost.network}, ${cost.backend}`;
    rows.push(atMost(what, cost.quartile / solved.quartile, 0.1));
  }
  const [ours, embedded] = [native('LeNet-5', 'fenchel'), find('wasm', 'LeNet-5', 'fenchel')];
  if (ours && embedded) {
    const what = 'preconditioned Fenchel step, tensorflow / wasm, LeNet-5, fastest turns';
    rows.push(atMost(what, ours.least / embedded.least, 0.5));
  }
  return rows;
}

const bounds: Readonly<Record<string, number>> = { MLP: 0.8, 'LeNet-5': 0.7 };

/** Fenchel's seconds to an accuracy over those of the others, seed by seed. */
export function contestVerdicts(contests: readonly Contest[]): Row[] {
  return contests.flatMap(({ network, target, reached }) => {
    const { fenchel, ...others } = reached;
    return Object.entries(others).map(([label, theirs]): Row => {
      const seconds = [fenchel, theirs].map((one) => one.map((run) => run.seconds));
      const what = `seconds to ${target}, fenchel / ${label}, ${network}`;
      const missed = theirs.filter((run) => !Number.isFinite(run.seconds)).length;
      if (missed > 0) {
        // A ratio to a time that was never reached is 0, and says nothing.
        const measured = `${label}: ${missed} of ${theirs.length} runs do not reach it`;
        return { what, measured, required: '-', verdict: 'not separated' };
      }
      return atMost(what, pairedRatio(seconds[0], seconds[1]), bounds[network]);
    });
  });
}
