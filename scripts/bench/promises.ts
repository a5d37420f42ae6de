import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startBackend } from '../../src/backend/registry.js';
import { installKernels } from '../../src/backend/wasm/kernels/install.js';
import { restoreStockKernels } from '../../src/backend/wasm/kernels/kernel.js';
import { atLeast, atMost, type Row } from './report.js';
import { pairedRatio } from './statistics.js';
import {
  loadWorkload,
  type networks,
  settle,
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
    await fenchelAgainstAdam('MLP', 9, 1.5),
    await fenchelAgainstAdam('LeNet-5', 7, 1.75),
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

/** Cost of a preconditioned Fenchel step over an Adam step with the same smoothing and averaging. */
async function fenchelAgainstAdam(
  network: keyof typeof networks,
  turns: number,
  bound: number,
): Promise<Row> {
  const workload = await loadWorkload(network);
  const trainings = [await workload.start('fenchel'), await workload.start('adam', tuned)];
  await settle(workload, trainings[0]);
  const [fenchel, adam] = await timeInTurn(workload, trainings, turns);
  for (const training of trainings) training.dispose();
  const what = `preconditioned Fenchel step / Adam step, smoothed and averaged alike, ${network}, wasm`;
  return atMost(what, pairedRatio(fenchel, adam), bound);
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
  const ratio = pairedRatio(stock.slice(2), ours.slice(2));
  return atLeast('Adam step on stock wasm kernels / on ours', ratio, 5);
}

/** Speed of a full-batch iteration's large products over that of the backend's own. */
async function streamingAgainstWhole(): Promise<Row> {
  return atLeast('full-batch products streamed against whole, speed', await timeStreaming(7), 0.5);
}

async function leaks(workload: Workload, name: string): Promise<Row> {
  const training = await workload.start(name);
  const gained = await tensorsLeaked(workload, training, 500);
  training.dispose();
  return {
    what: `tensors gained by ${name} over 500 steps`,
    measured: String(gained),
    required: '0',
    verdict: gained === 0 ? 'ok' : 'MISSED',
  };
}

/** Whole processes in turn: the help text must not wait for the tensor library. */
function helpAgainstTensorLibrary(): Row {
  const load = ['--input-type=module', '--eval', "await import('@tensorflow/tfjs')"];
  const [help, library]: [number[], number[]] = [[], []];
  for (let i = 0; i < 8; i++) {
    help.push(timeNode(['bin/fln.js', '--help'], root));
    library.push(timeNode(load, root));
  }
  const ratio = pairedRatio(help.slice(1), library.slice(1));
  return atMost('fln --help / loading the tensor library', ratio, 0.3);
}

/** Seconds that `node ...args` takes, whole process; throws when it fails. */
function timeNode(args: readonly string[], cwd: string): number {
  const started = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' });
  const seconds = (performance.now() - started) / 1000;
  if (status !== 0) throw new Error(`node ${args.join(' ')} exited with ${status}:\n${stderr}`);
  return seconds;
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
      verdict: seconds < 60 ? 'ok' : 'MISSED',
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
