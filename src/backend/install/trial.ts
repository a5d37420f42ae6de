import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Device } from '../backend.js';
import { WayError } from './recipe.js';
import { lastLines, runToEnd } from './tool.js';
import type { Trial } from './trial-outcome.js';

/** Before the result, on a line of its own: native libraries print what they like. */
export const resultMark = 'fln-trial-result:';

/**
 * Starts a backend in a process of its own, as a run would, and checks what it computes: a library
 * that crashes, or a fault that shows only at the first kernel, is an answer and not an accident.
 *
 * @param env added to this process's own variables
 * @param device it has to compute on this one
 * @param prefer which TensorFlow is taken where there are several
 * @throws Interrupted
 */
export async function tryBackend(
  name: string,
  signal: AbortSignal,
  {
    env,
    device,
    prefer = device,
  }: { env?: Readonly<Record<string, string>>; device?: Device; prefer?: Device } = {},
): Promise<Trial> {
  const { command, args } = childCommand(name, prefer, device);
  try {
    const { code, killedBy, output, stdout } = await runToEnd(command, args, {
      cwd: process.cwd(),
      signal,
      env,
      limitSeconds: 120,
    });
    const result = stdout.split('\n').findLast((line) => line.startsWith(resultMark));
    if (result !== undefined) return JSON.parse(result.slice(resultMark.length));
    return { works: false, reason: crash(code, killedBy, output) };
  } catch (error) {
    if (error instanceof WayError) return { works: false, reason: error.message };
    throw error;
  }
}

function crash(code: number | null, signal: NodeJS.Signals | null, output: string): string {
  const illegal =
    signal === 'SIGILL' ? ': the library uses instructions that this processor does not have' : '';
  const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}${illegal}`;
  const said = lastLines(output, 4);
  return `the process that tried it ${how}${said === '' ? '' : `:\n${said}`}`;
}

/** Runs beside this file: built, or as the source that it is with the loader of the tests. */
function childCommand(
  backend: string,
  prefer: Device | undefined,
  device: Device | undefined,
): { command: string; args: string[] } {
  const here = import.meta.url;
  const child = fileURLToPath(new URL(`./trial-process${extname(here)}`, here));
  const loader = extname(here) === '.ts' ? ['--import', import.meta.resolve('tsx')] : [];
  return {
    command: process.execPath,
    args: [...loader, child, backend, prefer ?? '', device ?? ''],
  };
}
