import './no-eval.js';
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { installKernels } from '../../backend/wasm/kernels/install.js';
import type { LayerMetrics } from '../../core/methods/method.js';
import { NotPositiveDefiniteError } from '../../core/solvers/cholesky.js';
import { ContentError } from '../../data/content-error.js';
import { RunError } from '../../errors.js';
import type { BatchRow, FromWorker, PlaygroundExperiment, ToWorker } from '../protocol.js';
import { dataOf, type Mnist, Refused, readMnist } from './data.js';
import { classify, look } from './insight.js';
import { type MethodRun, openSession, type Session } from './trainer.js';

/**
 * The worker of the page: it trains the methods of an experiment in turns, one batch each, and does nothing else at
 * the same time, since scopes of the tensor library are a stack. Requests of the page are served between batches, and
 * between the block updates of Algorithm 2 where training is paused there.
 */

/** What may be done before the training waits for the page again. */
let allowed: 'nothing' | 'batch' | 'block' | 'everything' = 'nothing';
let wanted: { experiment: PlaygroundExperiment; number: number } | undefined;
let mnist: Mnist | undefined;
let lookedAt = '';
const requests: ((current: Session | undefined) => Promise<void>)[] = [];
/** Whether a message has come in since the worker last waited. */
let hasNews = false;
let wake = () => {};

/** Ms between two messages with rows, and between two with pictures. */
const rowsEvery = 80;
const picturesEvery = 300;

/** Thrown out of a step that another experiment cuts off. */
class Abandoned extends Error {}

const post = (message: FromWorker) => self.postMessage(message);

self.addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
  if (data.type === 'start') void start(data.wasm);
  else if (data.type === 'configure') {
    wanted = data;
    allowed = 'nothing';
  } else if (data.type === 'go') allowed = 'everything';
  else if (data.type === 'pause') allowed = 'nothing';
  else if (data.type === 'batch' || data.type === 'block') allowed = data.type;
  else if (data.type === 'look') lookAt(data.label);
  else if (data.type === 'files') requests.push(() => take(data.files));
  else if (data.type === 'classify') requests.push((current) => show(current, data.pixels));
  hasNews = true;
  wake();
});

type Binaries = Extract<ToWorker, { type: 'start' }>['wasm'];

async function start({ simd, plain }: Binaries): Promise<void> {
  try {
    const url = (bytes: Uint8Array) =>
      URL.createObjectURL(
        new Blob([bytes as Uint8Array<ArrayBuffer>], { type: 'application/wasm' }),
      );
    const fast = url(simd);
    setWasmPaths({
      'tfjs-backend-wasm.wasm': url(plain),
      'tfjs-backend-wasm-simd.wasm': fast,
      // Never loaded.
      'tfjs-backend-wasm-threaded-simd.wasm': fast,
    });
    // The numbers of one thread, as under Node.
    tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
    installKernels();
    if (!(await tf.setBackend('wasm'))) throw new Error('WebAssembly does not start here');
    post({ type: 'ready' });
    for (;;) await session();
  } catch (error) {
    post({
      type: 'broken',
      message: error instanceof Error ? (error.stack ?? error.message) : `${error}`,
    });
  }
}

/** Trains one experiment until there is another. */
async function session(): Promise<void> {
  while (!wanted) await waiting(undefined);
  const { experiment, number } = wanted;
  wanted = undefined;
  let current: Session | undefined;
  try {
    const data = dataOf(experiment, mnist);
    let report: Report | undefined;
    current = openSession(experiment, data, async (run, update, place) => {
      if (allowed !== 'block') return;
      allowed = 'nothing';
      const { label, blocks } = run.description;
      const alternation = Math.floor(place / blocks.length);
      post({ type: 'block', number, label, line: place % blocks.length, alternation, update });
      await permission(current, report);
    });
    for (const run of current.runs) await run.start();
    const runs = current.runs.map(({ description }) => description);
    post({ type: 'configured', number, runs });
    report = new Report(current, number);
    await train(current, report);
  } catch (error) {
    if (error instanceof Refused) post({ type: 'refused', number, problems: error.problems });
    else if (!(error instanceof Abandoned)) throw error;
  } finally {
    current?.dispose();
  }
}

/** The methods in turns: always the one that has done the fewest batches. */
async function train(current: Session, report: Report): Promise<void> {
  await report.pictures();
  for (;;) {
    const open = current.runs.filter(({ isDone }) => !isDone);
    if (open.length === 0) {
      report.flush();
      await report.pictures();
      post({ type: 'ended', number: report.number });
      allowed = 'nothing';
      while (!wanted) await waiting(current, report);
      return;
    }
    const fewest = Math.min(...open.map(({ batch }) => batch));
    await permission(current, report);
    // A block is of the method that is looked at; a batch, of all methods.
    const watched = current.runs.find(({ entry }) => entry.label === lookedAt);
    const turn =
      allowed === 'block'
        ? [watched && !watched.isDone ? watched : open[0]]
        : open.filter(({ batch }) => batch === fewest);
    for (const run of turn) {
      await report.step(run);
      await nextTurn();
      if (wanted) throw new Abandoned();
    }
    if (allowed === 'batch' || (allowed === 'block' && !turn[0].isExact)) allowed = 'nothing';
    await report.progress(allowed !== 'everything');
  }
}

/** Sends what has been computed to the page, no more often than it can be drawn. */
class Report {
  readonly #rows: BatchRow[] = [];
  #rowsSent = 0;
  #picturesSent = 0;
  #pictured = '';

  constructor(
    readonly current: Session,
    readonly number: number,
  ) {}

  async step(run: MethodRun): Promise<void> {
    const { label } = run.entry;
    try {
      const result = await run.step();
      if (typeof result === 'string') throw new RunError(result);
      this.#rows.push(result.row);
      const layers = result.layers as readonly LayerMetrics[] | undefined;
      if (layers) post({ type: 'layers', number: this.number, label, batch: run.batch, layers });
    } catch (error) {
      if (!(error instanceof RunError || error instanceof NotPositiveDefiniteError)) throw error;
      run.hasFailed = true;
      post({ type: 'failed', number: this.number, label, message: error.message });
    }
  }

  flush(): void {
    if (this.#rows.length > 0)
      post({
        type: 'rows',
        number: this.number,
        rows: this.#rows.splice(0),
        tensors: tf.memory().numTensors,
      });
    this.#rowsSent = performance.now();
  }

  async progress(isNow: boolean): Promise<void> {
    if (isNow || performance.now() - this.#rowsSent > rowsEvery) this.flush();
    if (isNow || performance.now() - this.#picturesSent > picturesEvery) await this.pictures();
  }

  /** Pictures of the method that is looked at, where they have changed. */
  async pictures(): Promise<void> {
    const run =
      this.current.runs.find(({ entry }) => entry.label === lookedAt) ?? this.current.runs[0];
    const key = `${run.entry.label}/${run.batch}`;
    if (key === this.#pictured) return;
    this.#pictured = key;
    post({ type: 'insight', number: this.number, insight: await look(this.current, run) });
    this.#picturesSent = performance.now();
  }
}

let lookChanged = false;
function lookAt(label: string): void {
  lookedAt = label;
  lookChanged = true;
}

/** Waits until a batch, or a block of one, may be computed. @throws Abandoned where there is another experiment */
async function permission(current: Session | undefined, report?: Report): Promise<void> {
  for (;;) {
    if (wanted) throw new Abandoned();
    await serve(current, report);
    if (allowed !== 'nothing' && !wanted) return;
    await waiting(current, report);
  }
}

/** Waits for a message, and serves requests. */
async function waiting(current: Session | undefined, report?: Report): Promise<void> {
  await serve(current, report);
  if (!hasNews) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
  hasNews = false;
}

async function serve(current: Session | undefined, report?: Report): Promise<void> {
  for (let request = requests.shift(); request; request = requests.shift()) await request(current);
  if (!lookChanged || !report) return;
  lookChanged = false;
  await report.pictures();
}

async function take(files: Parameters<typeof readMnist>[0]): Promise<void> {
  try {
    mnist = await readMnist(files);
    const { train, test } = mnist;
    const message = `MNIST: ${train.count} training and ${test.count} test images`;
    post({ type: 'data', message, limit: train.count, testLimit: test.count });
  } catch (error) {
    if (!(error instanceof ContentError)) throw error;
    post({ type: 'refused-files', message: error.message });
  }
}

async function show(current: Session | undefined, pixels: Uint8Array): Promise<void> {
  const run = current?.runs.find(({ entry }) => entry.label === lookedAt) ?? current?.runs[0];
  if (!current || !run) return;
  post({ type: 'classified', label: run.entry.label, ...(await classify(current, run, pixels)) });
}

/** Lets messages in; setTimeout would take four milliseconds. */
const channel = new MessageChannel();
const nextTurn = () =>
  new Promise<void>((resolve) => {
    channel.port1.onmessage = () => resolve();
    channel.port2.postMessage(undefined);
  });
