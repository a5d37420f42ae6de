import { shellCommand } from '../shared/text.js';

/** The command that trains a config, for messages: `fln run configs/x.yaml epochs=2 --out here`. */
export function trainCommand(
  config: string,
  overrides: readonly string[],
  options: readonly string[],
): string {
  return shellCommand(['fln', 'run', config, ...overrides, ...options]);
}
