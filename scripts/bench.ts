/**
 * `npm run bench`: what the program promises about its own speed, as ratios measured in one process
 * or in paired runs, warm-up excluded. Exits 1 when a promise is broken.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startBackend } from '../src/backend/select.js';
import { installKernels } from '../src/backend/wasm/kernels/install.js';
import { restoreStockKernels } from '../src/backend/wasm/kernels/kernel.js';
import { median, timeNode } from './bench/commands.js';
import {
  loadWorkload,
  type networks,
  tensorsLeaked,
  timePaired,
  timeStep,
  type Workload,
} from './bench/steps.js';
import { timeStreaming } from './bench/streaming.js';

const root = fileURLToPath(new URL('..', import.meta.url));

interface Row {
  readonly what: string;
  readonly measured: string;
  readonly required: string;
  readonly ok: boolean;
}

const tuned = { labelSmoothing: 0.1, weightAverage: 0.98, schedule: 'linear' };

/** Mean cost of a gram Fenchel step over an Adam step with the same smoothing and averaging. */
async function fenchelAgainstAdam(
  network: keyof typeof networks,
  steps: number,
  bound: number,
): Promise<Row> {
  const workload = await loadWorkload(network);
  const trainers = [await workload.start('fenchel'), await workload.start('adam', tuned)] as const;
  const [fenchel, adam] = await timePaired(workload, trainers, steps, 8);
  for (const trainer of trainers) trainer.dispose();
  const ratio = fenchel / adam;
  return {
    what: `Fenchel gram step (${fenchel.toFixed(1)} ms) / Adam step (${adam.toFixed(1)} ms), ${network}`,
    measured: ratio.toFixed(2),
    required: `<= ${bound.toFixed(2)}`,
    ok: ratio <= bound,
  };
}

/** An Adam step with the backend's stock kernels over one with ours, in turn. */
async function adamAgainstStock(workload: Workload): Promise<Row> {
  const trainer = await workload.start('adam');
  const ours: number[] = [];
  const stock: number[] = [];
  for (let t = 0; t < 10; t++) {
    const batch = workload.batch(t);
    installKernels();
    ours.push(await timeStep(trainer, batch));
    restoreStockKernels();
    stock.push(await timeStep(trainer, batch));
    batch.x.dispose();
    batch.y.dispose();
  }
  installKernels();
  trainer.dispose();
  const ratio = median(stock.slice(2)) / median(ours.slice(2));
  return {
    what: 'Adam step on stock wasm kernels / on ours',
    measured: ratio.toFixed(1),
    required: '>= 5.0',
    ok: ratio >= 5,
  };
}

/** Speed of a full-batch iteration's large products over that of the backend's own. */
async function streamingAgainstWhole(): Promise<Row> {
  const { streamed, own } = await timeStreaming(5);
  const ratio = own / streamed;
  return {
    what: `full-batch products streamed (${streamed.toFixed(2)} s) against whole (${own.toFixed(2)} s), speed`,
    measured: ratio.toFixed(2),
    required: '>= 0.50',
    ok: ratio >= 0.5,
  };
}

async function leaks(workload: Workload, name: string): Promise<Row> {
  const trainer = await workload.start(name);
  const gained = await tensorsLeaked(workload, trainer, 500);
  trainer.dispose();
  return {
    what: `tensors gained by ${name} over 500 steps`,
    measured: String(gained),
    required: '0',
    ok: gained === 0,
  };
}

/** Whole processes in turn: the help text must not wait for the tensor library. */
function helpAgainstTensorLibrary(): Row {
  const load = ['--input-type=module', '--eval', "await import('@tensorflow/tfjs')"];
  const ratios: number[] = [];
  for (let i = 0; i < 7; i++) {
    const help = timeNode(['bin/fln.js', '--help'], root);
    ratios.push(help / timeNode(load, root));
  }
  const ratio = median(ratios.slice(1));
  return {
    what: 'fln --help / loading the tensor library',
    measured: ratio.toFixed(2),
    required: '< 0.30',
    ok: ratio < 0.3,
  };
}

function quickstart(): Row {
  const folder = mkdtempSync(join(tmpdir(), 'fln-bench-'));
  try {
    const out = join(folder, 'run');
    const seconds = timeNode(['bin/fln.js', 'run', 'configs/quickstart.yaml', '--out', out], root);
    return {
      what: 'quickstart, seconds',
      measured: seconds.toFixed(1),
      required: '< 60',
      ok: seconds < 60,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function print(rows: readonly Row[]): void {
  const widest = (pick: (row: Row) => string) => Math.max(...rows.map((row) => pick(row).length));
  const [what, measured, required] = [
    widest((row) => row.what),
    widest((row) => row.measured),
    widest((row) => row.required),
  ];
  for (const row of rows) {
    process.stdout.write(
      `${row.what.padEnd(what)}  ${row.measured.padStart(measured)}  ${row.required.padEnd(required)}  ${row.ok ? 'ok' : 'MISSED'}\n`,
    );
  }
}

const backend = await startBackend('wasm');
process.stdout.write(
  `${backend.name} ${backend.version}, ${backend.detail}; Node ${process.version}\n`,
);
const workload = await loadWorkload('MLP');
const rows = [
  await fenchelAgainstAdam('MLP', 96, 1.5),
  await fenchelAgainstAdam('LeNet-5', 24, 1.75),
  await adamAgainstStock(workload),
  await streamingAgainstWhole(),
  await leaks(workload, 'fenchel'),
  await leaks(workload, 'adam'),
  await leaks(workload, 'sgd'),
  helpAgainstTensorLibrary(),
  quickstart(),
];
print(rows);
if (rows.some(({ ok }) => !ok)) process.exitCode = 1;
