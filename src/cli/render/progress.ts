import type { DownloadProgress } from '../../core/dataset.js';
import type { ExperimentEvent } from '../../experiment/events.js';
import { sizeText } from '../../shared/size.js';
import { grouped, inPercent, runName } from '../../shared/text.js';
import { createBar } from './bar.js';
import { shortPath } from './format.js';
import type { RunDisplay } from './run-display.js';

/** Shows the events of the engine. */
export interface ProgressRenderer {
  readonly listen: (event: ExperimentEvent) => void;
  /** Takes a bar off the line it draws on, so that other text can be printed. */
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
  const display = mode === 'bar' ? createBar(labels) : createLines(note);
  const download = downloadLines(note);
  let heading = '';
  const listen = (event: ExperimentEvent) => {
    switch (event.type) {
      case 'download':
        return download(event.progress);
      case 'dataset': {
        const validation = event.validation > 0 ? `, ${grouped(event.validation)} validation` : '';
        return note(
          `Data: ${event.name}, ${grouped(event.train)} training${validation} and ${grouped(event.test)} test images`,
        );
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
        return display.start(event.run, heading, event.batches, event.done);
      case 'batch':
        return display.batch(event.batch, event.loss);
      case 'evaluation': {
        const measured = event.test ?? event.validation;
        return measured && display.accuracy(measured.accuracy);
      }
      case 'run-finished': {
        display.stop();
        const { finalTestAccuracy: test, finalValidationAccuracy: validation } = event.summary;
        const result = [
          test !== undefined && `test accuracy ${inPercent(test)}`,
          validation !== undefined && `validation accuracy ${inPercent(validation)}`,
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
      case 'warning':
        return note(`warning: ${event.message}`);
      case 'checkpoint':
      case 'figure':
        return undefined;
    }
  };
  return { listen, pause: () => display.stop() };
}

/** A line every tenth of a run, at the next evaluation where one comes before the next tenth. */
function createLines(note: (text: string) => void): RunDisplay {
  let heading = '';
  let batches = 0;
  let tenths = 0;
  let latest = { batch: 0, loss: 0 };
  let due = false;
  const line = (accuracy: string) => {
    due = false;
    const { batch, loss } = latest;
    const share = Math.round((100 * batch) / batches);
    note(
      `${heading}: batch ${batch}/${batches} (${share} %), loss ${loss.toPrecision(3)}${accuracy}`,
    );
  };
  return {
    start(_run, title, total, done) {
      heading = title;
      batches = total;
      tenths = Math.floor((10 * done) / total);
      due = false;
    },
    batch(batch, loss) {
      const reached = Math.floor((10 * batch) / batches);
      const passed = reached > tenths;
      if (passed && due) line('');
      tenths = reached;
      latest = { batch, loss };
      // The end has its own line.
      due = batch < batches && (due || passed);
    },
    accuracy(value) {
      if (due) line(`, accuracy ${inPercent(value)}`);
    },
    stop() {},
  };
}

/** A line when a file starts, and one when it is there. */
function downloadLines(note: (text: string) => void): (progress: DownloadProgress) => void {
  const started = new Set<string>();
  return ({ file, url, total }) => {
    if (started.has(url)) return;
    started.add(url);
    note(`Downloading ${file}${total === undefined ? '' : ` (${sizeText(total)})`} from ${url}`);
  };
}
