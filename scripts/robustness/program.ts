import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../../bin/fln.js', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
  /** When the watched text was printed; NaN when it was not. */
  readonly seenMs: number;
}

/** When a process is killed with SIGKILL: so many ms after it started, or printed a text. */
export interface Kill {
  readonly ms: number;
  readonly after?: string;
}

/** Runs the built program. @param options.watch a text on stderr whose arrival is timed */
export function fln(
  args: readonly string[],
  cwd: string,
  { kill, watch }: { readonly kill?: Kill; readonly watch?: string } = {},
): Promise<Outcome> {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [bin, ...args], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let timer: NodeJS.Timeout | undefined;
    const arm = ({ ms }: Kill) => {
      timer ??= setTimeout(() => child.kill('SIGKILL'), ms);
    };
    if (kill && !kill.after) arm(kill);
    let stdout = '';
    let stderr = '';
    let seenMs = Number.NaN;
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
      if (watch && Number.isNaN(seenMs) && stderr.includes(watch))
        seenMs = performance.now() - started;
      if (kill?.after && stderr.includes(kill.after)) arm(kill);
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr, ms: performance.now() - started, seenMs });
    });
  });
}
