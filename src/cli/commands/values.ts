import { UsageError } from '../../errors.js';

/** Coercions of option values, shared by commands. */

/** An option that may be given once. The parser collects repeated ones in an array. */
export const once =
  (name: string) =>
  (value: string | string[] | undefined): string | undefined => {
    if (Array.isArray(value)) throw new UsageError(`--${name} is given ${value.length} times`);
    if (value === '') throw new UsageError(`--${name} needs a value`);
    return value;
  };

/** `a,b`, or the option given several times, as a list. */
export function listOf(value: string | string[] | undefined): string[] | undefined {
  if (value === undefined) return undefined;
  return [value]
    .flat()
    .flatMap((part) => part.split(','))
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** `1,2` as positive integers. */
export const numbersOf =
  (name: string) =>
  (value: string | string[] | undefined): number[] | undefined =>
    listOf(value)?.map((part) => {
      if (/^[1-9]\d*$/.test(part)) return Number(part);
      throw new UsageError(`--${name}: "${part}" is no positive whole number`);
    });
