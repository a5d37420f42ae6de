import { ConfigError } from '../../src/config/issues.js';
import { parseExperiment } from '../../src/config/load.js';

/** A valid experiment, as one key a line; `changes` replace, remove (null) or add keys. */
export function experimentText(changes: Record<string, string | null> = {}): string {
  const keys: Record<string, string | null> = {
    name: 'trial',
    dataset: '{ name: mnist }',
    network: '{ layers: [{ dense: 30, activation: relu }, { dense: 10 }] }',
    epochs: '2',
    batchSize: '100',
    seeds: '[1, 2]',
    methods: '[{ name: adam }]',
    ...changes,
  };
  return Object.entries(keys)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('');
}

export const parse = (text: string, overrides: string[] = []) =>
  parseExperiment(text, 'trial.yaml', overrides);

/** The whole message of the error that a text must give. */
export function messageOf(text: string, overrides: string[] = []): string {
  try {
    parse(text, overrides);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error(`accepted, but it should not be:\n${text}`);
}

/** `path: what is wrong` of each issue, without the places and the quoted lines. */
export function issuesOf(text: string, overrides: string[] = []): string[] {
  return messageOf(text, overrides)
    .split('\n')
    .filter((line) => /^(trial\.yaml:|command line: )/.test(line))
    .map((line) => line.replace(/^trial\.yaml:\d+:\d+:? /, ''));
}
