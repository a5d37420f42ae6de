import cliProgress from 'cli-progress';
import { inPercent } from '../../shared/text.js';
import type { RunDisplay } from './run-display.js';

/** One progress bar per run on stderr, for terminals. */
export function createBar(labels: readonly string[]): RunDisplay {
  const width = Math.max(...labels.map((label) => label.length));
  let bar: cliProgress.SingleBar | undefined;
  let accuracy = '  –    ';
  return {
    start(_run, heading, batches, done) {
      accuracy = '  –    ';
      const padded = heading.padEnd(width + '[10/10] , seed 10'.length);
      bar = new cliProgress.SingleBar({
        stream: process.stderr,
        format: `{heading} {bar} {value}/{total}  loss {loss}  accuracy {accuracy}  {eta_formatted} left`,
        barsize: barSize(process.stderr.columns, padded.length, batches),
        barCompleteChar: '█',
        barIncompleteChar: '░',
        fps: 8,
        // A finished bar makes room for the run's result line.
        clearOnComplete: true,
        stopOnComplete: false,
        // Nothing to restore when the process is stopped at once.
        hideCursor: false,
        gracefulExit: false,
      });
      bar.start(batches, done, { heading: padded, loss: '–', accuracy });
    },
    batch(batch, loss) {
      bar?.update(batch, { loss: loss.toPrecision(3).padEnd(7), accuracy });
    },
    accuracy(value) {
      accuracy = inPercent(value);
    },
    stop() {
      bar?.stop();
      bar = undefined;
    },
  };
}

/** As many of 20 cells as leave room for the numbers: what does not fit a terminal is cut off. */
export function barSize(columns: number | undefined, heading: number, batches: number): number {
  const numbers = '  /  loss 0.0123   accuracy 97.65 %  10m10s left'.length;
  const counts = 2 * String(batches).length;
  const room = (columns ?? 80) - heading - numbers - counts;
  return Math.max(4, Math.min(20, room));
}
