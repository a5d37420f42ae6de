/** Short names of parameters: the last part of their paths, where that tells them apart. */
export function nameParameters(paths: readonly string[]): ReadonlyMap<string, string> {
  const last = (path: string) => path.slice(path.lastIndexOf('.') + 1);
  const isUnique = new Set(paths.map(last)).size === paths.length;
  return new Map(paths.map((path) => [path, isUnique ? last(path) : path]));
}
