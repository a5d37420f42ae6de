import cliProgress from 'cli-progress';
import type { DownloadProgress, LoadOptions } from '../../core/dataset.js';
import { sizeText } from '../../shared/text.js';

/** Shows downloads of `fln data fetch`. */
export interface DownloadDisplay {
  readonly listeners: Required<Pick<LoadOptions, 'onProgress' | 'onWarning'>>;
  /** Removes the bar. */
  readonly close: () => void;
}

/**
 * @param mode a bar for each file, a line for each file, or warnings only
 * @param stream for bars and lines; not stdout, which is for results
 */
export function downloadDisplay(
  mode: 'bar' | 'text' | 'none',
  stream: NodeJS.WritableStream,
): DownloadDisplay {
  let url: string | undefined;
  let bar: cliProgress.SingleBar | undefined;
  const close = () => {
    bar?.stop();
    bar = undefined;
  };
  const start = (progress: DownloadProgress) => {
    close();
    url = progress.url;
    if (mode === 'bar') bar = startBar(progress, stream);
    if (mode === 'text') stream.write(`Downloading ${progress.file} from ${progress.url}\n`);
  };
  return {
    listeners: {
      onProgress: (progress) => {
        if (progress.url !== url) start(progress);
        if (progress.total === undefined) bar?.setTotal(progress.received);
        bar?.update(progress.received);
      },
      onWarning: (message) => {
        close();
        stream.write(`warning: ${message}\n`);
      },
    },
    close,
  };
}

function startBar(
  { file, received, total }: DownloadProgress,
  stream: NodeJS.WritableStream,
): cliProgress.SingleBar {
  const bar = new cliProgress.SingleBar({
    stream,
    format: '{file} {bar} {percentage} % of {size}',
    barsize: 20,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    fps: 8,
    hideCursor: false,
    gracefulExit: false,
  });
  const size = total === undefined ? 'unknown size' : sizeText(total);
  bar.start(total ?? received, 0, { file, size });
  return bar;
}
