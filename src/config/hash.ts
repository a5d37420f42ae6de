import { createHash } from 'node:crypto';

/**
 * First 12 hex digits of the SHA-256 of everything the numbers of an experiment depend on: all of
 * the resolved config but `name` and `expect`. The order of keys, methods and seeds does not count,
 * since every (method, seed) is a run of its own.
 */
export function experimentHash(resolved: Readonly<Record<string, unknown>>): string {
  const { name: _, expect: __, methods, seeds, ...rest } = resolved;
  const content = canonical({
    ...rest,
    methods: (methods as { label: string }[]).toSorted((a, b) => (a.label < b.label ? -1 : 1)),
    seeds: (seeds as number[]).toSorted((a, b) => a - b),
  });
  return createHash('sha256').update(content).digest('hex').slice(0, 12);
}

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
