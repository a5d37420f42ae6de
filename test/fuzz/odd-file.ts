import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';

/** What may stand in the place of a file. */
const kinds = ['device', 'pipe', 'folder', 'link to nothing', 'link to itself'] as const;

/** Which of some files is something else, in one case of four. */
export type OddFile = { readonly which: number; readonly kind: (typeof kinds)[number] } | undefined;

export const oddFile: fc.Arbitrary<OddFile> = fc.oneof(
  { arbitrary: fc.constant(undefined), weight: 3 },
  {
    arbitrary: fc.record({ which: fc.nat(), kind: fc.constantFrom(...kinds) }),
    weight: 1,
  },
);

/** Puts something else in the place of one of the files. @returns its path */
export function makeOdd(odd: OddFile, paths: readonly string[]): string | undefined {
  if (odd === undefined) return undefined;
  const path = paths[odd.which % paths.length];
  rmSync(path, { force: true });
  switch (odd.kind) {
    case 'device':
      symlinkSync('/dev/zero', path);
      break;
    case 'pipe':
      symlinkSync(pipe(), path);
      break;
    case 'folder':
      mkdirSync(path);
      break;
    case 'link to nothing':
      symlinkSync('/nowhere', path);
      break;
    case 'link to itself':
      symlinkSync(path, path);
  }
  return path;
}

/** A pipe that nobody writes to. */
function pipe(): string {
  const path = join(tmpdir(), `fln-fuzz-pipe-${process.pid}`);
  if (!existsSync(path)) {
    execFileSync('mkfifo', [path]);
    process.on('exit', () => rmSync(path, { force: true }));
  }
  return path;
}
