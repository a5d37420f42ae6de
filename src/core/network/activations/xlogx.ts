/** x ln x, with its limit 0 at 0. */
export function xlogx(x: number): number {
  return x === 0 ? 0 : x * Math.log(x);
}
