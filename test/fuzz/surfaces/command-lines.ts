import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { dispatch } from '../../../src/cli/dispatch.js';
import { tinyConfig } from '../../experiment/tiny.js';
import { harmless, type Surface } from '../surface.js';
import { checkPrototypes } from './config.js';

/** Each with the words that keep it from training, downloading and installing. */
const commands: readonly (readonly string[])[] = [
  ['run', '--dry-run'],
  ['sweep', '--dry-run'],
  ['plot'],
  ['ls'],
  ['compare'],
  ['diff'],
  ['verify'],
  ['bound', 'absent.yaml'],
  ['data', 'list'],
  // With "list", each case would start every backend.
  ['backend'],
  ['schema'],
  ['completion'],
  [],
];

const words = [
  '-',
  '--',
  '---',
  '',
  ' ',
  '.',
  '=',
  '--=',
  '-x',
  '-1',
  '--help',
  '--out',
  '--out=',
  '--json',
  '--csv',
  '--only',
  '--seeds',
  '--seeds=1,x',
  '--resume',
  '--rerun',
  '--limit',
  '--limit=-1',
  '--best',
  '--where',
  '--where=a=b=c',
  '--no-json',
  '--dry-run',
  '--dry-run=1',
  '--__proto__.polluted=1',
  '--constructor',
  '__proto__',
  '__proto__.polluted=1',
  'constructor.prototype.polluted=1',
  'toString',
  'epochs=1',
  'epochs',
  'adam',
  'NaN',
  '1e999',
  'sweep.yaml',
  'folder',
  'folder/',
  'absent',
  '\u0000',
  '\u001b[2J',
  '🙂',
  'x'.repeat(300),
];

/** Arguments after a command's name, in a folder with a config and without results. */
export const commandLines: Surface<{ command: readonly string[]; args: readonly string[] }> = {
  name: 'command lines',
  cases: fc.record({
    command: fc.constantFrom(...commands),
    args: fc.array(
      fc.oneof(
        { arbitrary: fc.constantFrom(...words), weight: 9 },
        { arbitrary: fc.string({ unit: 'binary', maxLength: 20 }), weight: 1 },
      ),
      { maxLength: 5 },
    ),
  }),
  run: async ({ command, args }, folder) => {
    mkdirSync(join(folder, 'folder'), { recursive: true });
    writeFileSync(join(folder, 'tiny.yaml'), tinyConfig);
    writeFileSync(join(folder, 'sweep.yaml'), 'name: s\nconfig: tiny.yaml\nparameters: {}\n');
    await quietly(folder, () => harmless(() => dispatch([...command, ...args])));
    checkPrototypes();
  },
};

/** Does the work in a folder, without its output and its exit code. */
async function quietly(folder: string, work: () => Promise<unknown>): Promise<void> {
  const { stdout, stderr } = process;
  const before = { cwd: process.cwd(), out: stdout.write, err: stderr.write };
  stdout.write = () => true;
  stderr.write = () => true;
  process.chdir(folder);
  try {
    await work();
  } finally {
    process.chdir(before.cwd);
    Object.assign(stdout, { write: before.out });
    Object.assign(stderr, { write: before.err });
    process.exitCode = undefined;
  }
}
