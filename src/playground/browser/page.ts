import { configYaml } from '../../config/print.js';
import type {
  Block,
  FromWorker,
  Insight,
  PageData,
  PlaygroundExperiment,
  ToWorker,
} from '../protocol.js';
import { TrainingCharts } from './charts.js';
import { drawSettings } from './controls.js';
import { byId, dark, embedded, make } from './dom.js';
import { LayerCharts } from './layer-charts.js';
import { Pad, showClasses } from './pad.js';
import { drawHistograms, drawPictures } from './pictures.js';

/**
 * The page: it shows what its worker trains. `experiment` is all that the numbers depend on; every change of it starts
 * the training again, from the same seed.
 */
const data = JSON.parse(byId('page-data').textContent ?? '') as PageData;
let experiment: PlaygroundExperiment = data.experiment;
let configured = 0;
let isRunning = false;
let hasEnded = false;
/** Whether a change sets the training going: it was, or had ended, or settings that did not fit had stopped it. */
let goesOn = true;
let looked = labelsOf()[0];
let runs: Extract<FromWorker, { type: 'configured' }>['runs'] = [];
const batches = new Map<string, number>();
let lastInsight: Insight | undefined;
let worker: Worker | undefined;

const charts = new TrainingCharts(data.curves);
const layers = new LayerCharts(charts);
const status = byId<HTMLOutputElement>('status');
const runButton = byId<HTMLButtonElement>('run');
let exampleAt = 0;
const pad = new Pad(
  (pixels) => send({ type: 'classify', pixels }),
  () => {
    const images = lastInsight?.activations[0];
    return images?.[exampleAt++ % images.length];
  },
);

function labelsOf(): string[] {
  return experiment.methods.map(({ label, name }) => label ?? name);
}

const send = (message: ToWorker) => worker?.postMessage(message);

/** Another experiment, or the same one from its start. */
function configure(next: PlaygroundExperiment, thenRun = goesOn): void {
  experiment = next;
  goesOn = thenRun;
  const labels = labelsOf();
  if (!labels.includes(looked)) looked = labels[0];
  configured++;
  setRunning(thenRun);
  hasEnded = false;
  batches.clear();
  showProblems([]);
  charts.reset(labels);
  layers.reset();
  lookAt(looked);
  drawSettings(byId('settings'), data, experiment, change);
  paintDots();
  byId<HTMLInputElement>('seed').value = String(experiment.seeds[0]);
  byId('yaml').textContent = yaml();
  status.value = 'Preparing …';
  send({ type: 'configure', experiment, number: configured });
  if (thenRun) send({ type: 'go' });
}

/** A change by the user: with no field that has no value. */
function change(next: PlaygroundExperiment): void {
  configure(JSON.parse(JSON.stringify(next)) as PlaygroundExperiment);
}

function yaml(): string {
  return `# fln run experiment.yaml\n${configYaml({ ...experiment })}`;
}

function setRunning(next: boolean): void {
  isRunning = next;
  runButton.textContent = isRunning ? 'Pause' : hasEnded ? 'Train again' : 'Train';
  for (const id of ['one-batch', 'one-block'])
    byId<HTMLButtonElement>(id).disabled = isRunning || hasEnded;
}

function lookAt(label: string): void {
  looked = label;
  const menu = byId<HTMLSelectElement>('looked');
  menu.replaceChildren(
    ...labelsOf().map((one) => make('option', { value: one, selected: one === label }, one)),
  );
  layers.show(label);
  send({ type: 'look', label });
  drawAlgorithm();
  pad.refresh();
}

/** Algorithm 2 as the paper lists it, for a method that takes its steps block by block. */
function drawAlgorithm(current?: Block, said = ''): void {
  const blocks = runs.find(({ label }) => label === looked)?.blocks ?? [];
  byId('one-block').hidden = blocks.length === 0;
  const container = byId('algorithm');
  if (blocks.length === 0) {
    container.replaceChildren();
    return;
  }
  const lines = blocks.map(({ block, layer }) => {
    const isCurrent = block === current?.block && layer === current.layer;
    const name = make('var', {}, block, make('sub', {}, String(layer)));
    const least = make('var', {}, block, make('sub', {}, String(layer)));
    const text =
      block === 'X'
        ? 'activations, given the layers around them'
        : 'weights, given the activations';
    const item = make(
      'li',
      {},
      name,
      ' ← argmin over ',
      least,
      ' of G',
      make('span', { className: 'quiet' }, ` (${text})`),
    );
    if (isCurrent) {
      item.ariaCurrent = 'step';
      item.append(make('strong', {}, ` ${said}`));
    }
    return item;
  });
  container.replaceChildren(
    make('h3', {}, 'Algorithm 2, for every batch'),
    make(
      'p',
      { className: 'note' },
      'X starts with a forward pass. “One block” updates the next block and stops.',
    ),
    make('ol', { className: 'algorithm' }, ...lines),
  );
}

function showProblems(problems: readonly string[]): void {
  const list = byId('problems');
  list.hidden = problems.length === 0;
  list.replaceChildren(...problems.map((text) => make('li', {}, text)));
}

function paintDots(): void {
  for (const dot of document.querySelectorAll<HTMLElement>('.dot')) {
    dot.style.background = charts.color(Number(dot.dataset.curve));
  }
}

function showProgress(): void {
  const done = runs.reduce((sum, { label }) => sum + (batches.get(label) ?? 0), 0);
  const all = runs.reduce((sum, { totalBatches }) => sum + totalBatches, 0);
  byId<HTMLProgressElement>('done').value = all > 0 ? done / all : 0;
  const [first] = runs;
  if (first) status.value = `batch ${batches.get(first.label) ?? 0} of ${first.totalBatches}`;
}

function drawInsight(): void {
  if (!lastInsight) return;
  drawPictures(byId('pictures'), lastInsight);
  drawHistograms(
    byId('histograms'),
    lastInsight,
    [0, 1, 2].map((i) => charts.color(i)),
  );
}

function receive(message: FromWorker): void {
  if ('number' in message && message.number !== configured) return;
  switch (message.type) {
    case 'ready':
      configure(experiment);
      return;
    case 'configured':
      runs = message.runs;
      drawAlgorithm();
      showProgress();
      if (!isRunning) status.value = 'Ready.';
      pad.refresh();
      return;
    case 'refused':
      setRunning(false);
      status.value = 'The settings do not fit together.';
      showProblems(message.problems);
      return;
    case 'rows':
      for (const { label, batch } of message.rows) batches.set(label, batch);
      charts.add(message.rows);
      showProgress();
      return;
    case 'layers':
      layers.add(message.label, message.batch, message.layers);
      return;
    case 'insight':
      lastInsight = message.insight;
      drawInsight();
      pad.refresh();
      return;
    case 'block': {
      const { update } = message;
      const said = `residual ${update.residual.toExponential(1)} after ${update.iterations} iterations`;
      setRunning(false);
      status.value = `${message.label}: ${update.block}${update.layer} updated, ${said}`;
      drawAlgorithm(update, said);
      return;
    }
    case 'paused':
      setRunning(false);
      return;
    case 'ended':
      hasEnded = true;
      setRunning(false);
      status.value = 'All batches are done.';
      return;
    case 'failed':
      showProblems([`${message.label}: ${message.message}`]);
      return;
    case 'data': {
      byId<HTMLOutputElement>('data-status').value = message.message;
      const limit = Math.min(message.limit, 10_000);
      configure({
        ...experiment,
        dataset: { name: 'mnist', limit, testLimit: Math.min(message.testLimit, 2000) },
      });
      return;
    }
    case 'refused-files':
      byId<HTMLOutputElement>('data-status').value = `Not used: ${message.message}.`;
      return;
    case 'classified':
      showClasses(message);
      return;
    case 'broken':
      setRunning(false);
      showProblems([message.message]);
      return;
  }
}

/** Ample for the files of MNIST, and no more than a page should read. */
const mostBytes = 64 * 2 ** 20;

async function take(files: readonly File[]): Promise<void> {
  const output = byId<HTMLOutputElement>('data-status');
  const large = files.find(({ size }) => size > mostBytes);
  if (files.length === 0) return;
  if (large || files.length > 4) {
    output.value = large
      ? `Not used: ${large.name} is longer than any file of MNIST.`
      : `Not used: ${files.length} files; MNIST has four.`;
    return;
  }
  output.value = 'Reading …';
  try {
    const read = files.map(async (file) => ({
      name: file.name,
      bytes: new Uint8Array(await file.arrayBuffer()),
    }));
    send({ type: 'files', files: await Promise.all(read) });
  } catch {
    output.value = 'Not used: the files cannot be read. A folder is none.';
  }
}

runButton.addEventListener('click', () => {
  if (hasEnded) return configure(experiment, true);
  setRunning(!isRunning);
  goesOn = isRunning;
  send({ type: isRunning ? 'go' : 'pause' });
});
byId('one-batch').addEventListener('click', () => send({ type: 'batch' }));
byId('one-block').addEventListener('click', () => send({ type: 'block' }));
byId('reset').addEventListener('click', () => configure(experiment, false));
byId<HTMLInputElement>('seed').addEventListener('change', ({ target }) => {
  const input = target as HTMLInputElement;
  if (input.reportValidity()) configure({ ...experiment, seeds: [Number(input.value)] });
});
byId<HTMLSelectElement>('looked').addEventListener('change', ({ target }) =>
  lookAt((target as HTMLSelectElement).value),
);
byId('copy').addEventListener('click', async () => {
  const copied = byId<HTMLOutputElement>('copied');
  try {
    await navigator.clipboard.writeText(yaml());
    copied.value = 'Copied.';
  } catch {
    // Without permission: selected, so that the keys of the system copy it.
    getSelection()?.selectAllChildren(byId('yaml'));
    copied.value = 'Selected: copy it with the keyboard.';
  }
});
byId<HTMLInputElement>('files').addEventListener('change', ({ target }) =>
  take([...((target as HTMLInputElement).files ?? [])]),
);
document.addEventListener('dragover', (event) => {
  event.preventDefault();
  byId('drop').classList.add('over');
});
document.addEventListener('dragleave', () => byId('drop').classList.remove('over'));
document.addEventListener('drop', (event) => {
  event.preventDefault();
  byId('drop').classList.remove('over');
  void take([...(event.dataTransfer?.files ?? [])]);
});
dark.addEventListener('change', () => {
  paintDots();
  drawInsight();
});

async function start(): Promise<void> {
  const [code, simd, plain] = await Promise.all(['worker', 'simd', 'plain'].map(embedded));
  worker = new Worker(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
  worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => receive(data));
  worker.addEventListener('error', ({ message }) => receive({ type: 'broken', message }));
  send({ type: 'start', wasm: { simd, plain } });
}

start().catch((error) => receive({ type: 'broken', message: String(error) }));
