import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startBackend } from '../../src/backend/registry.js';
import { installKernels } from '../../src/backend/wasm/kernels/install.js';
import { restoreStockKernels } from '../../src/backend/wasm/kernels/kernel.js';
import { median, timeNode } from './commands.js';
import { atLeast, atMost, type Row } from './report.js';
import {
  loadWorkload,
  type networks,
  tensorsLeaked,
  timeInTurn,
  timeStep,
  type Workload,
} from './steps.js';
import { timeStreaming } from './streaming.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What the program promises of its embedded backend and its command line. */
export async function measurePromises(): Promise<Row[]> {
  await startBackend('wasm');
  const workload = await loadWorkload('MLP');
  return [
    await fenchelAgainstAdam('MLP', 20, 1.5),
    await fenchelAgainstAdam('LeNet-5', 6, 1.75),
    await adamAgainstStock(workload),
    await streamingAgainstWhole(),
    await leaks(workload, 'fenchel'),
    await leaks(workload, 'adam'),
    await leaks(workload, 'sgd'),
    helpAgainstTensorLibrary(),
    quickstart(),
  ];
}

const tuned = { labelSmoothing: 0.1, weightAverage: 0.98, schedule: 'linear' };

/** Mean cost of a preconditioned Fenchel step over an Adam step with the same smoothing and averaging. */
async function fenchelAgainstAdam(
  network: keyof typeof networks,
  turns: number,
  bound: number,
): Promise<Row> {
  const workload = await loadWorkload(network);
  const trainings = [await workload.start('fenchel'), await workload.start('adam', tuned)];
  const times = await timeInTurn(workload, trainings, turns);
  for (const training of trainings) training.dispose();
  const [fenchel, adam] = times.map((own) => own.reduce((sum, ms) => sum + ms, 0) / own.length);
  const what = `preconditioned Fenchel step (${fenchel.toFixed(1)} ms) / Adam step (${adam.toFixed(1)} ms), ${network}, wasm`;
  return atMost(what, fenchel / adam, bound);
}

/** An Adam step with the backend's stock kernels over one with ours, in turn. */
async function adamAgainstStock(workload: Workload): Promise<Row> {
  const training = await workload.start('adam');
  const ours: number[] = [];
  const stock: number[] = [];
  for (let t = 0; t < 10; t++) {
    const batch = workload.batch(t);
    installKernels();
    ours.push(await timeStep(training, batch));
    restoreStockKernels();
    stock.push(await timeStep(training, batch));
    batch.x.dispose();
    batch.y.dispose();
  }
  installKernels();
  training.dispose();
  const ratio = median(stock.slice(2)) / median(ours.slice(2));
  return atLeast('Adam step on stock wasm kernels / on ours', ratio, 5);
}

/** Speed of a full-batch iteration's large products over that of the backend's own. */
async function streamingAgainstWhole(): Promise<Row> {
  const { streamed, own } = await timeStreaming(5);
  const what = `full-batch products streamed (${streamed.toFixed(2)} s) against whole (${own.toFixed(2)} s), speed`;
  return atLeast(what, own / streamed, 0.5);
}

async function leaks(workload: Workload, name: string): Promise<Row> {
  const training = await workload.start(name);
  const gained = await tensorsLeaked(workload, training, 500);
  training.dispose();
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
  return atMost('fln --help / loading the tensor library', median(ratios.slice(1)), 0.3);
}

function quickstart(): Row {
  const folder = mkdtempSync(join(tmpdir(), 'fln-bench-'));
  try {
    const out = join(folder, 'run');
    const args = [
      'bin/fln.js',
      'run',
      'configs/quickstart.yaml',
      '--backend',
      'wasm',
      '--out',
      out,
    ];
    const seconds = timeNode(args, root);
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
