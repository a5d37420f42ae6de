import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { printable } from '../shared/text.js';

const run = promisify(execFile);

/** A program that hangs is as good as broken. */
const timeout = 10_000;

/** What a program printed, or why it did not. */
export type Output =
  | { readonly text: string }
  | { readonly isThere: false }
  | { readonly isThere: true; readonly reason: string };

export async function outputOf(program: string, args: readonly string[]): Promise<Output> {
  try {
    const { stdout } = await run(program, args, { timeout, windowsHide: true });
    return { text: stdout.trim() };
  } catch (error) {
    const { code, killed, stderr, message } = error as {
      code?: unknown;
      killed?: boolean;
      stderr?: string;
      message: string;
    };
    if (code === 'ENOENT') return { isThere: false };
    if (killed) return { isThere: true, reason: `gave no answer for ${timeout / 1000} s` };
    const [line] = (stderr || message).trim().split('\n').slice(-1);
    return { isThere: true, reason: printable(line) };
  }
}
