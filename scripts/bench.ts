/**
 * `npm run bench`: speeds as ratios of what is measured side by side, with intervals, without warm-up: requirements on
 * the embedded backend, the cost of a step, and time to an accuracy against PyTorch's Adam. Prints tables, writes CSVs
 * and a figure, exits 1 when a requirement is missed.
 *
 *     npm run bench -- [--only promises,steps,convolutions,accuracy] [--out DIR]
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import type { BackendReport } from '../src/backend/backend.js';
import type { BackendName } from '../src/backend/registry.js';
import { startBackend } from '../src/backend/registry.js';
import { EnvironmentError } from '../src/errors.js';
import { type ConvolutionCost, measureConvolutions } from './bench/convolutions.js';
import { measurePromises } from './bench/promises.js';
import { columns, printRows, type Row } from './bench/report.js';
import { ratioText } from './bench/statistics.js';
import { type StepCost, timeSteps } from './bench/step-table.js';
import { type Contest, timeToAccuracy } from './bench/time-to-accuracy.js';
import { Torch } from './bench/torch.js';
import { contestVerdicts, stepVerdicts } from './bench/verdicts.js';
import { writeMeasured } from './bench/write.js';

const parts = ['promises', 'steps', 'convolutions', 'accuracy'] as const;

const { values } = parseArgs({
  options: { only: { type: 'string' }, out: { type: 'string', default: 'results/bench' } },
});
const wanted = values.only?.split(',') ?? parts;
const unknown = wanted.find((name) => !parts.some((part) => part === name));
if (unknown !== undefined) {
  process.stderr.write(`There is no part "${unknown}"; the parts are ${parts.join(', ')}.\n`);
  process.exit(2);
}

// Before either library starts: as many threads for TensorFlow as for PyTorch beside it. wasm has one.
const threads = availableParallelism();
process.env.TF_NUM_INTRAOP_THREADS = `${threads}`;
process.env.TF_NUM_INTEROP_THREADS = '1';
const threadsOf = (backend: BackendName) => (backend === 'wasm' ? 1 : threads);

const say = (text: string) => process.stdout.write(`${text}\n`);
const backends = await startEach(['tensorflow', 'wasm']);
for (const { name, version, detail } of backends) say(`${name} ${version}, ${detail}`);
const found = await Torch.start(threads);
const torch = 'torch' in found ? found.torch : undefined;
const torchVersion = 'torch' in found ? `PyTorch ${found.version}` : `no PyTorch: ${found.reason}`;
say(`${torchVersion}; Node ${process.version}; ${threads} threads, beside wasm 1\n`);

const rows: Row[] = [];
let costs: StepCost[] = [];
let convolutions: ConvolutionCost[] = [];
let contests: Contest[] = [];
try {
  if (wanted.includes('promises')) rows.push(...(await measurePromises()));
  if (wanted.includes('steps')) {
    const names = backends.map(({ name }) => name as BackendName);
    costs = await timeSteps(names, torch, threadsOf, ({ backend, network, method, quartile }) =>
      process.stderr.write(`${network}, ${backend}: ${method} ${quartile.toFixed(2)} ms\n`),
    );
    say(`${costTable(costs)}\n`);
    rows.push(...stepVerdicts(costs));
  }
  if (wanted.includes('convolutions')) {
    const outcome = await besidePyTorch(measureConvolutions);
    if ('reason' in outcome) say(`convolutions: SKIPPED, ${outcome.reason}\n`);
    else {
      convolutions = outcome.costs;
      say(`${convolutionTable(convolutions)}\n`);
      rows.push(...outcome.rows);
    }
  }
  if (wanted.includes('accuracy')) {
    const outcome = await besidePyTorch(timeToAccuracy);
    if ('reason' in outcome) say(`time to accuracy: SKIPPED, ${outcome.reason}\n`);
    else {
      contests = outcome;
      rows.push(...contestVerdicts(contests));
    }
  }
} finally {
  torch?.stop();
}
printRows(rows);
const command = ['npm run bench --', ...process.argv.slice(2)].join(' ');
await writeMeasured(values.out, {
  command,
  backends,
  torch: torchVersion,
  threads,
  costs,
  convolutions,
  contests,
  verdicts: rows,
});
say(`\nWritten to ${values.out}`);
if (rows.some(({ verdict }) => verdict === 'MISSED')) process.exitCode = 1;

/** Those that start here, the others with the reason why not. */
async function startEach(names: readonly BackendName[]): Promise<BackendReport[]> {
  const reports: BackendReport[] = [];
  for (const name of names) {
    try {
      reports.push(await startBackend(name));
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      say(`${name}: SKIPPED, ${error.message}`);
    }
  }
  return reports;
}

/** What is measured of tensorflow beside PyTorch, or why it is not. */
async function besidePyTorch<T>(
  measure: (torch: Torch, threads: number) => Promise<T>,
): Promise<T | { reason: string }> {
  if (!torch) return { reason: torchVersion };
  if (!backends.some(({ name }) => name === 'tensorflow'))
    return { reason: 'no backend tensorflow' };
  return measure(torch, threads);
}

function convolutionTable(costs: readonly ConvolutionCost[]): string {
  const head = ['network', 'side', 'channels', 'ms min', '/ PyTorch [95 %]', 'product share'];
  const lines = costs.map(({ network, side, inputs, outputs, least, overTorch, productShare }) => [
    network,
    `${side}`,
    `${inputs} -> ${outputs}`,
    least.toFixed(1),
    ratioText(overTorch),
    `${(100 * productShare).toFixed(0)} %`,
  ]);
  return columns([head, ...lines]);
}

function costTable(costs: readonly StepCost[]): string {
  const head = [
    'network',
    'backend',
    'method',
    'threads',
    'ms/step min',
    'quartile',
    'median',
    '/ Adam [95 %]',
    '/ PyTorch Adam',
    'product share',
  ];
  const lines = costs.map((cost) => [
    cost.network,
    cost.backend,
    cost.method,
    `${cost.threads}`,
    cost.least.toFixed(2),
    cost.quartile.toFixed(2),
    cost.median.toFixed(2),
    cost.overAdam ? ratioText(cost.overAdam) : '–',
    cost.overTorch ? ratioText(cost.overTorch) : '–',
    cost.productShare === undefined ? '–' : `${(100 * cost.productShare).toFixed(0)} %`,
  ]);
  return columns([head, ...lines]);
}
