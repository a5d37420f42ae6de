import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BackendReport, Device } from '../backend.js';
import type { UnloadableLibrary } from '../tensorflow/cuda.js';
import { MethodError } from './recipe.js';
import { lastLines, spawnToEnd } from './spawn.js';

/** Prefix of the line that holds the result, since native libraries print other lines. */
export const resultMark = 'fln-trial-result:';

/**
 * Starts a backend in a process of its own, as a run would, and checks a few results: a library that
 * crashes, or fails only at the first kernel, is reported and does not end this process.
 *
 * @param env added to this process's own variables
 * @param device the device that it has to compute on
 * @param prefer the device of the TensorFlow build that is tried first
 * @throws Interrupted
 */
export async function probeBackend(
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
    const { code, killedBy, output, stdout } = await spawnToEnd(command, args, {
      cwd: process.cwd(),
      signal,
      env,
      limitSeconds: 120,
    });
    const result = stdout.split('\n').findLast((line) => line.startsWith(resultMark));
    if (result !== undefined) return JSON.parse(result.slice(resultMark.length));
    return { works: false, reason: crash(code, killedBy, output) };
  } catch (error) {
    if (error instanceof MethodError) return { works: false, reason: error.message };
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

/** The probe beside this file: compiled, or as TypeScript source with the loader of the tests. */
function childCommand(
  backend: string,
  prefer: Device | undefined,
  device: Device | undefined,
): { command: string; args: string[] } {
  const here = import.meta.url;
  const child = fileURLToPath(new URL(`./probe-process${extname(here)}`, here));
  const loader = extname(here) === '.ts' ? ['--import', import.meta.resolve('tsx')] : [];
  return {
    command: process.execPath,
    args: [...loader, child, backend, prefer ?? '', device ?? ''],
  };
}

/** What a backend did when it was started in a process of its own. */
export type Trial =
  | {
      readonly works: true;
      readonly report: BackendReport;
      /** Native packages that it loaded. */
      readonly binding?: ProbedBinding;
    }
  | {
      readonly works: false;
      readonly reason: string;
      /** The reason without the alternative backend that it suggests. */
      readonly problem?: string;
    };

export interface ProbedBinding {
  readonly name: string;
  readonly folder: string;
  readonly cudaBuild: boolean;
  /** CUDA libraries that do not open, for a CUDA build that computes on no GPU. */
  readonly closed: readonly UnloadableLibrary[];
}
