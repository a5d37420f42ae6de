import type { ExitCode } from '../errors.js';

/** The end of a help text: what else there is to know, and what the exit codes mean. */
export function manual(text: string, codes: Partial<Record<ExitCode, string>>): string {
  const lines = Object.entries(codes).map(([code, meaning]) => `  ${code.padEnd(5)}${meaning}`);
  return [...(text === '' ? [] : [text, '']), 'Exit codes:', ...lines].join('\n');
}

/** Meanings that several commands share. */
export const interruptedCodes = {
  75: 'SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2: a checkpoint was written; resume with --resume',
  130: 'Ctrl-C: the same; pressed again, it stops at once',
} as const;
