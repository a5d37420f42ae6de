import cliProgress from 'cli-progress';
import { grouped, plural } from '../../shared/text.js';
import type { SweepEvent } from '../../sweep/events.js';
import type { ManifestTrial } from '../../sweep/manifest.js';
import type { TrialState } from '../../sweep/state.js';
import { shortPath } from './format.js';
import { settings } from './sweep-table.js';

/** Shows the events of a sweep: a line for each trial that ends, and on terminals a bar over all. */
export function createSweepProgress(
  mode: 'bar' | 'text' | 'none',
  note: (text: string) => void,
  trials: readonly ManifestTrial[],
): { readonly listen: (event: SweepEvent) => void; readonly pause: () => void } {
  if (mode === 'none') {
    const listen = (event: SweepEvent) => {
      if (event.type === 'warning') note(`warning: ${event.message}`);
    };
    return { listen, pause: () => {} };
  }
  const named = new Map(trials.map((trial) => [trial.id, settings(trial.overrides)]));
  const shares = new Map<string, number>();
  let due = 0;
  let ended = 0;
  let failed = 0;
  let bar: cliProgress.SingleBar | undefined;
  const draw = () => {
    const done = ended + [...shares.values()].reduce((sum, share) => sum + share, 0);
    bar?.update(done, { ended, running: shares.size, failed });
  };
  // A line goes above the bar, which is drawn again below it.
  const say = (text: string) => {
    if (!bar) return note(text);
    bar.stop();
    note(text);
    bar.start(due, ended, { ended, running: shares.size, failed });
  };
  const listen = (event: SweepEvent) => {
    switch (event.type) {
      case 'directory':
        return note(`Sweep: ${shortPath(event.path)}`);
      case 'begun': {
        due = event.due;
        note(`${plural(due, 'trial')} to run, ${grouped(event.kept)} kept`);
        if (mode === 'bar' && due > 0) {
          bar = createBar();
          bar.start(due, 0, { ended, running: 0, failed });
        }
        return;
      }
      case 'trial-started':
        shares.set(event.id, 0);
        return draw();
      case 'trial-progress':
        if (shares.has(event.id)) shares.set(event.id, event.share);
        return draw();
      case 'trial-ended': {
        shares.delete(event.state.id);
        ended++;
        if (event.state.status === 'FAILED') failed++;
        return say(`[${ended}/${due}] ${endLine(event.state, named.get(event.state.id) ?? '')}`);
      }
      case 'submitted':
        return note(`Submitted ${plural(event.trials, 'trial')} as Slurm job ${event.job}`);
      case 'warning':
        return say(`warning: ${event.message}`);
    }
  };
  const pause = () => {
    bar?.stop();
    bar = undefined;
  };
  return { listen, pause };
}

function endLine({ id, status, error }: TrialState, varied: string): string {
  const reason = status === 'FAILED' && error ? `: ${error.split('\n')[0]}` : '';
  return `${id} ${varied}: ${status.toLowerCase()}${reason}`;
}

function createBar(): cliProgress.SingleBar {
  return new cliProgress.SingleBar({
    stream: process.stderr,
    format:
      '{bar} {ended}/{total} trials  {running} running  {failed} failed  {eta_formatted} left',
    barsize: 20,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    fps: 4,
    clearOnComplete: true,
    stopOnComplete: false,
    hideCursor: false,
    gracefulExit: false,
  });
}
