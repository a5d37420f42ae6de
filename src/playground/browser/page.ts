import { configYaml } from '../../config/print.js';
import type {
  FromWorker,
  Insight,
  PageData,
  PlaygroundExperiment,
  ToWorker,
  TrainedMethod,
} from '../protocol.js';
import { achieved, blockName, drawAlgorithm } from './algorithm.js';
import { TrainingCharts } from './charts.js';
import { byId, dark, embedded, make, say } from './dom.js';
import { listenForFiles } from './drop.js';
import { LayerCharts } from './layer-charts.js';
import { Pad, showClasses } from './pad.js';
import { drawHistograms, drawPictures } from './pictures.js';
import { drawSettings } from './settings.js';

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
let runs: readonly TrainedMethod[] = [];
const batches = new Map<string, number>();
let lastInsight: Insight | undefined;
let worker: Worker | undefined;
let isBroken = false;

const charts = new TrainingCharts(data.dashes);
const layers = new LayerCharts(data.dashes);
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
  hasEnded = false;
  setRunning(thenRun);
  batches.clear();
  showProblems([]);
  charts.reset(labels);
  layers.reset();
  lookAt(looked);
  drawSettings(byId('settings'), data, experiment, change);
  byId<HTMLInputElement>('seed').value = String(experiment.seeds[0]);
  byId('yaml').textContent = yaml();
  say('status', 'Preparing …');
  byId('count').textContent = '';
  // Its `ready` configures again.
  if (isBroken) {
    start();
    return;
  }
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
  showAlgorithm();
  pad.refresh();
}

function showAlgorithm(current?: Extract<FromWorker, { type: 'block' }>): void {
  const method = runs.find(({ label }) => label === looked);
  byId('one-block').hidden = !method || method.blocks.length === 0;
  drawAlgorithm(byId('algorithm'), method, current);
}

function showProblems(problems: readonly string[]): void {
  const list = byId('problems');
  list.hidden = problems.length === 0;
  list.replaceChildren(...problems.map((text) => make('li', {}, text)));
}

function addProblem(text: string): void {
  const list = byId('problems');
  list.hidden = false;
  list.append(make('li', {}, text));
}

function showProgress(): void {
  const done = runs.reduce((sum, { label }) => sum + (batches.get(label) ?? 0), 0);
  const all = runs.reduce((sum, { totalBatches }) => sum + totalBatches, 0);
  byId<HTMLProgressElement>('done').value = all > 0 ? done / all : 0;
  const [first] = runs;
  if (!first) return;
  const text = `batch ${batches.get(first.label) ?? 0} of ${first.totalBatches}`;
  byId('count').textContent = text;
  // Read out after single steps, but not while training.
  if (!isRunning) say('status', `At ${text}.`);
}

function drawInsight(): void {
  if (!lastInsight) return;
  drawPictures(byId('pictures'), lastInsight);
  drawHistograms(byId('histograms'), lastInsight);
}

function receive(message: FromWorker): void {
  if ('number' in message && message.number !== configured) return;
  switch (message.type) {
    case 'ready':
      configure(experiment);
      return;
    case 'configured':
      runs = message.runs;
      showAlgorithm();
      showProgress();
      say('status', isRunning ? 'Training …' : 'Ready.');
      pad.refresh();
      return;
    case 'refused':
      setRunning(false);
      say('status', 'The settings do not fit together.');
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
    case 'block':
      say('status', `${message.label}: ${blockName(message.update)} updated, ${achieved(message)}`);
      showAlgorithm(message);
      return;
    case 'ended':
      hasEnded = true;
      setRunning(false);
      say('status', 'All batches are done.');
      return;
    case 'failed':
      addProblem(`${message.label}: ${message.message}`);
      return;
    case 'data': {
      say('data-status', message.message);
      const limit = Math.min(message.limit, 10_000);
      configure({
        ...experiment,
        dataset: { name: 'mnist', limit, testLimit: Math.min(message.testLimit, 2000) },
      });
      return;
    }
    case 'refused-files':
      say('data-status', `Not used: ${message.message}.`);
      return;
    case 'classified':
      showClasses(message);
      return;
    case 'broken':
      isBroken = true;
      worker?.terminate();
      goesOn = false;
      setRunning(false);
      say('status', 'Stopped.');
      showProblems([`The program has made a mistake; Reset starts it again. ${message.message}`]);
      return;
  }
}

runButton.addEventListener('click', () => {
  if (hasEnded) return configure(experiment, true);
  setRunning(!isRunning);
  goesOn = isRunning;
  say('status', isRunning ? 'Training …' : 'Paused.');
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
  try {
    await navigator.clipboard.writeText(yaml());
    say('copied', 'Copied.');
  } catch {
    // Without permission: selected, so that the keys of the system copy it.
    getSelection()?.selectAllChildren(byId('yaml'));
    say('copied', 'Selected: copy it with the keyboard.');
  }
});
listenForFiles((files) => send({ type: 'files', files }));
dark.addEventListener('change', drawInsight);

function start(): void {
  isBroken = false;
  startWorker().catch((error) => receive({ type: 'broken', message: String(error) }));
}

async function startWorker(): Promise<void> {
  const [code, simd, plain] = await Promise.all(['worker', 'simd', 'plain'].map(embedded));
  worker = new Worker(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
  worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => receive(data));
  worker.addEventListener('error', ({ message }) => receive({ type: 'broken', message }));
  send({ type: 'start', wasm: { simd, plain } });
}

start();
