import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isatty } from 'node:tty';

/*
 * While it loads, TensorFlow logs that oneDNN is on, whatever TF_CPP_MIN_LOG_LEVEL is: its log is not set
 * up yet. It writes to file descriptor 2 itself, where Node cannot intercept it. Switching oneDNN off
 * would silence it, and cost speed.
 */

/** Lines to suppress: of level INFO, and the notice that the log is not set up. */
const startUpLine = /^(I\d{4} |WARNING: All log messages before absl::InitializeLog)/;

/**
 * Loads a native library without the start-up lines of TensorFlow. Everything else that the library
 * prints is passed on; when loading fails, it becomes part of the error.
 *
 * Meanwhile descriptor 2 is a temporary file, where that can be undone: on Linux, when it is a terminal
 * or a pipe. Not a file: stdout may share it, with one position for both.
 * @throws what `load` throws
 */
export function loadWithoutStartUpLines(load: () => void): void {
  const swap = prepare();
  if (swap === undefined) {
    load();
    return;
  }
  const { saved, own, folder } = swap;
  let failure: unknown;
  putInPlaceOfStderr(own);
  try {
    load();
  } catch (error) {
    failure = error;
  }
  putInPlaceOfStderr(saved);
  closeSync(own);
  closeSync(saved);
  const news = newsIn(readFileSync(join(folder, name), 'utf8'));
  rmSync(folder, { recursive: true, force: true });
  if (failure instanceof Error && news !== '') {
    failure.message = `${failure.message.split('\n')[0]}; ${news.replaceAll('\n', '; ')}`;
  } else if (news !== '') writeSync(2, `${news}\n`);
  if (failure !== undefined) throw failure;
}

/** The text without the suppressed lines. */
export const newsIn = (said: string): string =>
  said
    .split('\n')
    .filter((line) => line !== '' && !startUpLine.test(line))
    .join('\n');

const name = 'stderr';

/** A duplicate of stderr, and a temporary file to replace it; undefined where that is not possible. */
function prepare(): { saved: number; own: number; folder: string } | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    if (!isatty(2) && !fstatSync(2).isFIFO()) return undefined;
    const saved = openSync('/proc/self/fd/2', 'a');
    const folder = mkdtempSync(join(tmpdir(), 'fln-stderr-'));
    return { saved, own: openSync(join(folder, name), 'wx'), folder };
  } catch {
    return undefined;
  }
}

/** A new descriptor is always the lowest that is free: number 2, just after it was closed. */
function putInPlaceOfStderr(descriptor: number): void {
  closeSync(2);
  openSync(`/proc/self/fd/${descriptor}`, 'a');
}
