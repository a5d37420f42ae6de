import type { Problem, Run, RunDirectory } from '../runs/run-directory.js';
import { type Setting, settingsOf } from '../runs/settings.js';
import { provenanceOf } from './diff.js';

/** Settings of run directories by their paths, with the backend and the data that were used. */
export type Settings = ReadonlyMap<string, ReadonlyMap<string, Setting>>;

/** A setting that is not the same in all of several run directories. */
export interface Difference {
  /** As in a config, or as in run.json: `backend.name`. */
  readonly name: string;
  /** Absent where a directory does not have it. */
  readonly values: readonly { readonly directory: string; readonly value?: Setting }[];
}

/**
 * Reads what may differ between run directories. Backend and data are those of run.json, since a config may leave
 * the choice to the program.
 */
export function readSettingsOf(
  directories: readonly RunDirectory[],
  problems: Problem[],
): Settings {
  return new Map(
    directories.map((directory) => {
      const settings = new Map(settingsOf(directory, problems));
      for (const name of ignored) settings.delete(name);
      for (const [name, value] of provenanceOf(directory.info?.json)) {
        if (/^(backend|dataset)\./.test(name)) settings.set(name, value);
      }
      if (directory.info?.backend !== undefined) settings.delete('backend');
      return [directory.path, settings];
    }),
  );
}

/** They say nothing about how a curve came about. */
const ignored = ['name', 'seeds', 'dataset.name'];
/** A result or an expectation, no setting of a run. */
export const isResultSetting = (name: string) => /^(expect|tuning)\./.test(name);

/**
 * What differs between the run directories of some runs: settings of methods that the runs have, and all others.
 * A method's settings are compared between the directories that have the method.
 */
export function differencesBetween(settings: Settings, runs: readonly Run[]): Difference[] {
  const directories = [...new Set(runs.map(({ directory }) => directory))];
  const names = new Set(directories.flatMap((path) => [...(settings.get(path)?.keys() ?? [])]));
  const labels = [...new Set(runs.map(({ label }) => label))];
  return [...names].flatMap((name) => {
    if (isResultSetting(name)) return [];
    const label = labels.find((each) => name.startsWith(`methods.${each}.`));
    if (label === undefined && name.startsWith('methods.')) return [];
    const owners = directories.filter((path) =>
      label === undefined
        ? settings.get(path)!.size > 0
        : runs.some((run) => run.directory === path && run.label === label),
    );
    const values = owners.map((directory) => ({
      directory,
      value: settings.get(directory)?.get(name),
    }));
    return new Set(values.map(({ value }) => value)).size > 1 ? [{ name, values }] : [];
  });
}

/** More settings would make a label too long. */
const mostSettings = 2;
const longestDetail = 40;

/**
 * What tells runs of one label in several directories apart: `targetStep 0.1`.
 * @param rivals the first run of each directory
 * @returns a text for each of them; undefined where more than two settings differ, or none
 */
export function detailsOf(rivals: readonly Run[], settings: Settings): string[] | undefined {
  if (rivals.some(({ directory }) => (settings.get(directory)?.size ?? 0) === 0)) return undefined;
  const differences = differencesBetween(settings, rivals).filter(
    ({ name }) => !/^(backend\.(?!name$)|dataset\.sha256)/.test(name),
  );
  if (differences.length === 0 || differences.length > mostSettings) return undefined;
  const details = rivals.map(({ directory }) => {
    const parts = differences.map(({ name, values }) => {
      const { value } = values.find((each) => each.directory === directory)!;
      const short = name === 'backend.name' ? 'backend' : name.split('.').at(-1)!;
      return value === undefined || value === null ? `no ${short}` : `${short} ${value}`;
    });
    return parts.join(', ');
  });
  const clear = new Set(details).size === details.length;
  return clear && details.every((text) => text.length <= longestDetail) ? details : undefined;
}
