import { readSeeds } from '../config/seeds.js';
import { type ExitCode, UsageError } from '../errors.js';
import { didYouMean } from '../shared/suggest.js';

/** An option that may be given once. The parser collects repeated ones in an array. */
export const once =
  (name: string) =>
  (value: string | string[] | undefined): string | undefined => {
    if (value === '') throw new UsageError(`--${name} needs a value`);
    return onceOrBare(name)(value);
  };

/** As {@link once}, for an option that may have no value, and is then empty. */
export const onceOrBare =
  (name: string) =>
  (value: string | string[] | undefined): string | undefined => {
    if (Array.isArray(value))
      throw new UsageError(
        `--${name} is given ${value.length === 2 ? 'twice' : `${value.length} times`}`,
      );
    return value;
  };

/** `a,b`, or the option given several times, as a list. */
export const listOf =
  (name: string) =>
  (value: string | string[] | undefined): string[] | undefined => {
    if (value === undefined) return undefined;
    const parts = [value]
      .flat()
      .flatMap((part) => part.split(','))
      .map((part) => part.trim())
      .filter((part) => part !== '');
    if (parts.length === 0) throw new UsageError(`--${name} needs a value`);
    return parts;
  };

/** `1,2` as positive integers. */
export const numbersOf =
  (name: string) =>
  (value: string | string[] | undefined): number[] | undefined =>
    listOf(name)(value)?.map((part) => {
      if (/^[1-9]\d*$/.test(part)) return Number(part);
      throw new UsageError(`--${name}: expected a positive integer, got "${part}"`);
    });

/** `1,3-5` as seeds. */
export const seedsOf =
  (name: string) =>
  (value: string | string[] | undefined): number[] | undefined => {
    const parts = listOf(name)(value);
    if (parts === undefined) return undefined;
    const seeds = readSeeds(parts.join(','));
    if (typeof seeds === 'string') throw new UsageError(`--${name}: ${seeds}`);
    return [...seeds];
  };

/** One positive integer. */
export const oneNumber =
  (name: string) =>
  (value: string | string[] | undefined): number | undefined => {
    const numbers = numbersOf(name)(value);
    if (numbers === undefined || numbers.length === 1) return numbers?.[0];
    throw new UsageError(`--${name}: expected one number, got ${numbers.length}`);
  };

/** `0.1,1e3` as numbers. */
export const decimalsOf =
  (name: string) =>
  (value: string | string[] | undefined): number[] | undefined =>
    listOf(name)(value)?.map((part) => {
      if (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(part)) return Number(part);
      throw new UsageError(`--${name}: expected a number, got "${part}"`);
    });

/** A number of seconds, `least` or more, given at most once. */
export const secondsOf =
  (name: string, least = 0) =>
  (value: string | string[] | undefined): number | undefined => {
    const given = once(name)(value);
    if (given === undefined) return undefined;
    const [seconds] = decimalsOf(name)(given) ?? [];
    if (seconds !== undefined && seconds >= least) return seconds;
    const range = least > 0 ? `, at least ${least}` : '';
    throw new UsageError(`--${name}: expected a number of seconds${range}, got "${given}"`);
  };

/** One of several words, given at most once; completion reads `words`. */
export const oneOf = <Word extends string>(name: string, words: readonly Word[]) =>
  Object.assign(
    (value: string | string[]): Word => {
      const given = once(name)(value) ?? '';
      const found = words.find((word) => word === given);
      if (found !== undefined) return found;
      throw new UsageError(`--${name}: expected one of ${words.join(', ')}, got "${given}"`);
    },
    { words },
  );

export const configArgument = {
  type: 'string',
  describe: 'YAML or JSON file',
  demandOption: true,
} as const;

/** `[path=value ...]` after a config. */
export const overridesArgument = (describe: string) => ({
  type: 'string' as const,
  array: true as const,
  default: [] as string[],
  describe,
});

export const json = {
  type: 'boolean',
  describe: 'print JSON, and nothing else, on stdout',
} as const;

export const dataDir = {
  type: 'string',
  describe: 'folder with data files, searched before the cache (also FLN_DATA_DIR)',
  coerce: once('data-dir'),
} as const;

export const offline = { type: 'boolean', describe: 'never download' } as const;

/** What completed and interrupted runs leave beside their numbers. */
export const saving = {
  'checkpoint-every': {
    type: 'string',
    describe:
      'seconds between checkpoints; 0: only when interrupted [default: 60, more where checkpoints are slow]',
    coerce: secondsOf('checkpoint-every'),
  },
  'keep-checkpoints': {
    type: 'boolean',
    describe:
      'keep the checkpoints of completed runs, and write a final one, with the state of the method',
  },
  'no-model': {
    type: 'boolean',
    describe:
      'do not write model.safetensors, model.json and activations.safetensors of completed runs',
  },
} as const;

/** Own code of a trained model (docs/plugins.md). */
export const modelPlugins = {
  type: 'string',
  describe: 'modules that the training used, if the network needs them: FILE,...; they run as code',
  coerce: listOf('plugins'),
} as const;

/** Which trained models of a run directory are meant. */
export const modelChoice = {
  label: { type: 'string', describe: 'only the runs of this method', coerce: once('label') },
  seed: { type: 'string', describe: 'only the runs of this seed', coerce: oneNumber('seed') },
} as const;

/** The forms in which commands print tables. */
export type TableForm = 'table' | 'json' | 'csv' | 'markdown';

/** Options of commands that print a table. */
export const tableFormOptions = {
  json,
  csv: { type: 'boolean', default: false, describe: 'print CSV; accuracies from 0 to 1' },
  markdown: { type: 'boolean', default: false, describe: 'print a Markdown table' },
} as const;

export interface TableFormArguments {
  json?: boolean;
  csv: boolean;
  markdown: boolean;
}

/** @throws UsageError when several are given */
export function tableFormOf(
  { json, csv, markdown }: TableFormArguments,
  command: string,
): TableForm {
  const chosen = Object.entries({ json, csv, markdown }).flatMap(([name, given]) =>
    given ? [name as TableForm] : [],
  );
  if (chosen.length <= 1) return chosen[0] ?? 'table';
  const names = chosen.map((name) => `--${name}`).join(' and ');
  throw new UsageError(`${names} are given together: choose one. See fln ${command} --help`);
}

/**
 * The action of `fln COMMAND ACTION`.
 * @param given as on the command line
 * @throws UsageError for an unknown action
 */
export function actionNamed<Action>(
  command: string,
  actions: Readonly<Record<string, Action>>,
  given: string | undefined,
): Action {
  if (given !== undefined && Object.hasOwn(actions, given)) return actions[given];
  const names = Object.keys(actions);
  const unknown = given
    ? `There is no "fln ${command} ${given}"${didYouMean(given, names) || '.'} `
    : '';
  const full = names.map((name) => `fln ${command} ${name}`);
  throw new UsageError(`${unknown}Use ${full.slice(0, -1).join(', ')} or ${full.at(-1)}.`);
}

/** The end of a help text: notes and exit codes. */
export function manual(text: string, codes: Partial<Record<ExitCode, string>>): string {
  const lines = Object.entries(codes).map(([code, meaning]) => `  ${code.padEnd(5)}${meaning}`);
  return [...(text === '' ? [] : [text, '']), 'Exit codes:', ...lines].join('\n');
}

/** Exit codes of commands that train. */
export const interruptedCodes = {
  75: 'SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2: a checkpoint was written; resume with --resume',
  130: 'Ctrl-C: the same; a second Ctrl-C stops at once',
} as const;

const progressModes = ['auto', 'bar', 'text', 'none'] as const;
export type ProgressMode = (typeof progressModes)[number];

export const progress = {
  type: 'string',
  default: 'auto' as const,
  describe: `${progressModes.join(', ')}; auto: a bar on a terminal, else lines`,
  coerce: oneOf('progress', progressModes),
} as const;

/** `auto`: bars on a terminal that can move its cursor, lines elsewhere, nothing beside JSON. */
export function resolveMode(
  mode: ProgressMode,
  json: boolean,
  stream: { readonly isTTY?: boolean },
  env: NodeJS.ProcessEnv = process.env,
): Exclude<ProgressMode, 'auto'> {
  if (mode !== 'auto') return mode;
  if (json) return 'none';
  return stream.isTTY && env.TERM !== 'dumb' && !env.CI ? 'bar' : 'text';
}
