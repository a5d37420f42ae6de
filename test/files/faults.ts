import { constants } from 'node:os';
import { vi } from 'vitest';

/** What the file functions of Node meet in a test: see {@link faultyFileSystem}. */
export interface Faults {
  /** Every call since the last reset, by name. */
  calls: string[];
  /** The error that a call meets; the last of `calls` is this one. */
  strike: (call: string, path: unknown) => Error | undefined;
}

/** As Node makes it: errors that not all its platforms have carry a number and no name. */
export function systemError(name: string, syscall: string, path?: unknown): Error {
  const errno = -((constants.errno as Record<string, number>)[name] ?? Number(name));
  const isNamed = !['ESTALE', 'EDQUOT', 'ENOLINK'].includes(name) && !/^\d/.test(name);
  const code = isNamed ? name : `Unknown system error ${errno}`;
  const error = new Error(`${code}: ${code}, ${syscall}`);
  return Object.assign(error, { code, errno, syscall, ...(typeof path === 'string' && { path }) });
}

const names = [
  'openSync',
  'closeSync',
  'writeSync',
  'writeFileSync',
  'appendFileSync',
  'readFileSync',
  'readSync',
  'readdirSync',
  'fsyncSync',
  'ftruncateSync',
  'fstatSync',
  'statSync',
  'lstatSync',
  'renameSync',
  'rmSync',
  'mkdirSync',
  'accessSync',
  'statfsSync',
  'realpathSync',
] as const;

/** For `vi.mock('node:fs', ...)`: the file functions, each of which asks `faults` first. */
export async function faultyFileSystem(faults: Faults): Promise<object> {
  const fs = await vi.importActual<Record<string, (...args: unknown[]) => unknown>>('node:fs');
  const wrapped = names.map((name) => {
    const call = (...args: unknown[]) => {
      faults.calls.push(name);
      const error = faults.strike(name, args[0]);
      if (error === undefined) return fs[name](...args);
      // A file is closed even when closing it fails.
      if (name === 'closeSync') fs.closeSync(args[0]);
      throw error;
    };
    return [name, call] as const;
  });
  return { ...fs, ...Object.fromEntries(wrapped) };
}

/** The call of the system behind a function of Node. */
export const syscallOf = (name: string): string =>
  name
    .replace(/Sync$/, '')
    .replace(/^(writeFile|appendFile)$/, 'write')
    .replace(/^readFile$/, 'read')
    .replace(/^readdir$/, 'scandir');
