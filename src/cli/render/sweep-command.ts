import { shellCommand } from '../../shared/text.js';

/** What was typed: the arguments of `fln sweep` by their names. */
export interface SweepCommand {
  readonly sweep: string;
  readonly overrides: readonly string[];
  readonly [option: string]: unknown;
}

/**
 * A command to go on with, such that pasting it does what it says.
 * @param kept names of the options that it repeats, with their defaults
 * @param added what it has beside them
 */
export function sweepCommandLine(
  args: SweepCommand,
  kept: Readonly<Record<string, object>>,
  added: readonly string[],
): string {
  const repeated = Object.entries(kept).flatMap(([name, option]) => {
    const value = args[name];
    if (
      value === undefined ||
      value === false ||
      value === (option as { default?: unknown }).default
    )
      return [];
    return value === true ? [`--${name}`] : [`--${name}`, [value].flat().join(',')];
  });
  return shellCommand(['fln', 'sweep', args.sweep, ...args.overrides, ...repeated, ...added]);
}
