import cliProgress from 'cli-progress';
import type { DownloadProgress } from '../../core/dataset.js';
import { arraysName } from '../../data/arrays/definition.js';
import type { ExperimentEvent } from '../../experiment/events.js';
import type { RunId } from '../../runs/run-json.js';
import { grouped, inPercent, runName, sizeText } from '../../shared/text.js';
import { augmentationText, shortPath, streamText } from './print.js';
import { TimeLeft } from './time-left.js';

/** Shows the events of an experiment. */
interface ProgressRenderer {
  readonly listen: (event: ExperimentEvent) => void;
  /** Removes the progress bar, so that other text can be printed. */
  readonly pause: () => void;
}

/**
 * @param note prints one line
 * @param labels of all methods, for alignment
 */
export function createProgress(
  mode: 'bar' | 'text' | 'none',
  note: (text: string) => void,
  labels: readonly string[],
): ProgressRenderer {
  if (mode === 'none') {
    const listen = (event: ExperimentEvent) => {
      if (event.type === 'warning') note(`warning: ${event.message}`);
    };
    return { listen, pause: () => {} };
  }
  const left = new TimeLeft();
  const display = mode === 'bar' ? createBar(labels) : createLines(note);
  const download = downloadLines(note);
  let heading = '';
  const listen = (event: ExperimentEvent) => {
    switch (event.type) {
      case 'download':
        return download(event.progress);
      case 'dataset': {
        const validation = event.validation > 0 ? `, ${grouped(event.validation)} validation` : '';
        const unit = event.name === arraysName ? 'rows' : 'images';
        note(
          `Data: ${event.name}, ${grouped(event.train)} training${validation} and ${grouped(event.test)} test ${unit}`,
        );
        if (event.stream) note(`Stream: ${streamText(event.stream)}`);
        return event.augment && note(`Training images: ${augmentationText(event.augment)}`);
      }
      case 'backend':
        return note(`Backend: ${event.name} ${event.version} (${event.detail})`);
      case 'directory':
        return note(`Results: ${shortPath(event.path)}`);
      case 'run-skipped':
        return note(`${runName(event.run)}: ${event.reason}, kept`);
      case 'run-started':
        heading = `[${event.index + 1}/${event.runs}] ${runName(event.run)}`;
        if (event.done > 0) note(`${heading}: resumes after batch ${event.done}`);
        left.start(event);
        return display.start(event.run, heading, event.batches, event.done);
      case 'batch':
        left.batch(event.batch);
        return display.batch(event.batch, event.loss, left.text());
      case 'evaluation': {
        const measured = event.test ?? event.validation;
        if (measured === undefined) return undefined;
        const { loss, accuracy } = measured;
        return display.measured(
          accuracy === undefined
            ? `${event.test ? 'test' : 'validation'} loss ${loss.toPrecision(3)}`
            : `accuracy ${inPercent(accuracy)}`,
        );
      }
      case 'run-finished': {
        display.stop();
        const { finalTestAccuracy: test, finalValidationAccuracy: validation } = event.summary;
        const {
          finalTestLoss: loss,
          finalTestAccuracyFlips,
          finalValidationAccuracyFlips,
        } = event.summary;
        const flips = (value?: number) =>
          value === undefined ? '' : ` (with flips ${inPercent(value)})`;
        const result = [
          (test ?? validation) === undefined &&
            loss !== undefined &&
            `test loss ${loss.toPrecision(4)}`,
          test !== undefined && `test accuracy ${inPercent(test)}${flips(finalTestAccuracyFlips)}`,
          validation !== undefined &&
            `validation accuracy ${inPercent(validation)}${flips(finalValidationAccuracyFlips)}`,
          `${event.summary.wallSeconds.toFixed(1)} s of training`,
        ];
        return note(`${heading}: ${result.filter((part) => part !== false).join(', ')}`);
      }
      case 'run-failed':
        display.stop();
        return note(`${heading}: FAILED, the reason is below`);
      case 'run-interrupted':
        display.stop();
        return note(`${heading}: interrupted after batch ${event.batch}, checkpoint written`);
      case 'run-paused': {
        display.stop();
        const { epoch, batch, validationAccuracy: validation } = event;
        const accuracy =
          validation === undefined ? '' : `, validation accuracy ${inPercent(validation)}`;
        return note(`${heading}: paused after epoch ${epoch} (batch ${batch})${accuracy}`);
      }
      case 'warning':
        return note(`warning: ${event.message}`);
      case 'checkpoint':
      case 'figure':
        return undefined;
    }
  };
  return { listen, pause: () => display.stop() };
}

/** One line per tenth of a run, at the next evaluation if there is one before the next tenth. */
function createLines(note: (text: string) => void): RunDisplay {
  let heading = '';
  let batches = 0;
  let tenths = 0;
  let latest = { batch: 0, loss: 0, left: '' };
  let due = false;
  const line = (measured: string) => {
    due = false;
    const { batch, loss, left } = latest;
    const share = Math.round((100 * batch) / batches);
    const numbers = `loss ${loss.toPrecision(3)}${measured}${left && `, ${left}`}`;
    note(`${heading}: batch ${batch}/${batches} (${share} %), ${numbers}`);
  };
  return {
    start(_run, title, total, done) {
      heading = title;
      batches = total;
      tenths = Math.floor((10 * done) / total);
      due = false;
    },
    batch(batch, loss, left) {
      const reached = Math.floor((10 * batch) / batches);
      const passed = reached > tenths;
      if (passed && due) line('');
      tenths = reached;
      latest = { batch, loss, left };
      // The end of the run has its own line.
      due = batch < batches && (due || passed);
    },
    measured(text) {
      if (due) line(`, ${text}`);
    },
    stop() {},
  };
}

/** A line when the download of a file starts. */
function downloadLines(note: (text: string) => void): (progress: DownloadProgress) => void {
  const started = new Set<string>();
  return ({ file, url, total }) => {
    if (started.has(url)) return;
    started.add(url);
    note(`Downloading ${file}${total === undefined ? '' : ` (${sizeText(total)})`} from ${url}`);
  };
}

/** Progress of one run at a time. */
interface RunDisplay {
  /** @param done batches of an earlier session */
  start(run: RunId, heading: string, batches: number, done: number): void;
  /** @param left text of the time left, or nothing */
  batch(batch: number, loss: number, left: string): void;
  /** @param text of the last evaluation, such as `accuracy 97.65 %` */
  measured(text: string): void;
  stop(): void;
}

const notMeasured = 'accuracy   –    ';

/** One progress bar per run on stderr, for terminals. */
export function createBar(labels: readonly string[]): RunDisplay {
  const width = Math.max(...labels.map((label) => label.length));
  let bar: cliProgress.SingleBar | undefined;
  let measured = notMeasured;
  return {
    start(_run, heading, batches, done) {
      measured = notMeasured;
      const padded = heading.padEnd(width + '[10/10] , seed 10'.length);
      bar = new cliProgress.SingleBar({
        stream: process.stderr,
        format: `{heading} {bar} {value}/{total}  loss {loss}  {measured}  {left}`,
        barsize: barSize(process.stderr.columns, padded.length, batches),
        barCompleteChar: '█',
        barIncompleteChar: '░',
        fps: 8,
        // The bar is replaced by the result line of the run.
        clearOnComplete: true,
        stopOnComplete: false,
        // A hidden cursor would stay hidden when the process is killed.
        hideCursor: false,
        gracefulExit: false,
      });
      bar.start(batches, done, { heading: padded, loss: '–', measured, left: '' });
    },
    batch(batch, loss, left) {
      bar?.update(batch, { loss: loss.toPrecision(3).padEnd(7), measured, left });
    },
    measured(text) {
      measured = text.padEnd(notMeasured.length);
    },
    stop() {
      bar?.stop();
      bar = undefined;
    },
  };
}

/** At most 20 cells, fewer on narrow terminals, which cut off longer lines: first the time that all runs take. */
export function barSize(columns: number | undefined, heading: number, batches: number): number {
  const numbers = '  /  loss 0.0123   accuracy 97.65 %  5.2 min left'.length;
  const counts = 2 * String(batches).length;
  const free = (columns ?? 80) - heading - numbers - counts;
  return Math.max(4, Math.min(20, free));
}
