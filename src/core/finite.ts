/**
 * What of the measured numbers is not finite; undefined where all are.
 * @param values what was measured, by name; undefined is "not measured"
 */
export function notFinite(
  values: Readonly<Record<string, number | undefined>>,
): string | undefined {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || Number.isFinite(value)) continue;
    return `the ${name} is ${Number.isNaN(value) ? 'NaN' : 'infinite'}`;
  }
  return undefined;
}

/** No loss that is this many times the first one has been seen to come back to anything useful. */
const largestGrowth = 1e4;

/** How a loss has exploded, though its numbers still fit the type; undefined where it has not. */
export function explosion(first: number, loss: number): string | undefined {
  if (loss <= largestGrowth * Math.max(first, 1)) return undefined;
  const [from, to] = [first, loss].map((value) => value.toPrecision(3));
  return `training loss ${from} -> ${to}`;
}
