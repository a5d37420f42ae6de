import { readSeeds } from '../../config/seeds.js';
import { UsageError } from '../../errors.js';

/** Coercions of option values, shared by commands. */

/** An option that may be given once. The parser collects repeated ones in an array. */
export const once =
  (name: string) =>
  (value: string | string[] | undefined): string | undefined => {
    if (value === '') throw new UsageError(`--${name} needs a value`);
    return onceOrBare(name)(value);
  };

/** As {@link once}, for an option that means something without a value: it is then empty. */
export const onceOrBare =
  (name: string) =>
  (value: string | string[] | undefined): string | undefined => {
    if (Array.isArray(value)) throw new UsageError(`--${name} is given ${value.length} times`);
    return value;
  };

/** `a,b`, or the option given several times, as a list; an empty one would select nothing. */
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
    throw new UsageError(`--${name} takes one number, and ${numbers.length} are given`);
  };

/** `0.1,1e3` as numbers. */
export const decimalsOf =
  (name: string) =>
  (value: string | string[] | undefined): number[] | undefined =>
    listOf(name)(value)?.map((part) => {
      if (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(part)) return Number(part);
      throw new UsageError(`--${name}: "${part}" is no number`);
    });

/** A number of seconds, 0 or more, given at most once. */
export const secondsOf =
  (name: string) =>
  (value: string | string[] | undefined): number | undefined => {
    const given = once(name)(value);
    if (given === undefined) return undefined;
    const [seconds] = decimalsOf(name)(given) ?? [];
    if (seconds !== undefined && seconds >= 0) return seconds;
    throw new UsageError(`--${name}: "${given}" is no number of seconds`);
  };

/** One of a few words, given at most once; the words are there for completion. */
export const oneOf = <Word extends string>(name: string, words: readonly Word[]) =>
  Object.assign(
    (value: string | string[]): Word => {
      const given = once(name)(value) ?? '';
      const found = words.find((word) => word === given);
      if (found !== undefined) return found;
      throw new UsageError(`--${name}: "${given}" is none of ${words.join(', ')}`);
    },
    { words },
  );
