import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** docs/tutorial.md, done in an empty folder with the built program. */

const root = join(import.meta.dirname, '..');
const page = readFileSync(join(root, 'docs/tutorial.md'), 'utf8');

interface Step {
  /** The file to write. Without it, `text` are commands. */
  readonly file?: string;
  readonly text: string;
  /** What the commands print; undefined where the page does not show it. */
  readonly output?: string;
}

/** A block below a file name in backticks is that file, `sh` are commands, and `text` the output of those before it. */
function stepsOf(section: string): Step[] {
  const steps: Step[] = [];
  let file: string | undefined;
  for (const part of section.matchAll(/^`([\w.-]+)`$|^```(\w+)\n(.*?)^```$/gms)) {
    const [, named, kind, text] = part;
    if (kind === 'text') steps.push({ ...(steps.pop() as Step), output: text });
    else if (kind !== undefined) steps.push({ file: kind === 'sh' ? undefined : file, text });
    file = named;
  }
  return steps;
}

const sections = page
  .split(/^## /m)
  .slice(1)
  .map((text) => ({ title: text.split('\n')[0], steps: stepsOf(text) }))
  .filter(({ steps }) => steps.length > 0);

/** Widths of columns depend on times: spaces and rules are as one. */
const plain = (text: string) =>
  text
    .replaceAll(/-{2,}/g, '--')
    .replaceAll(/[ \t]+/g, ' ')
    .replaceAll(/ $/gm, '')
    .replaceAll(/\n+/g, '\n')
    .trim();

const escaped = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** `...` alone in a line stands for any lines, elsewhere for any text of the line. */
function patternOf(shown: string): RegExp {
  const lines = plain(shown)
    .split('\n')
    .map((line) =>
      line.trim() === '...' ? '(?:.*\\n)*?' : `${line.split('...').map(escaped).join('.*?')}\\n`,
    );
  return new RegExp(`^${lines.join('')}$`);
}

describe('docs/tutorial.md', () => {
  let folder = '';

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'fln-tutorial-'));
    // In place of `npm install`.
    mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true });
    symlinkSync(root, join(folder, 'node_modules/fenchel-lifted-networks'));
    symlinkSync(join(root, 'bin/fln.js'), join(folder, 'node_modules/.bin/fln'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** What commands print: stdout, and stderr too where one fails. */
  const shell = (commands: string): Promise<string> =>
    new Promise((done) => {
      const PATH = [join(folder, 'node_modules/.bin'), process.env.PATH].join(delimiter);
      const env = { ...process.env, PATH, NO_COLOR: '1', FLN_DATA_DIR: '' };
      const script = `npx() { "$@"; }\n${commands}`;
      execFile('bash', ['-e', '-c', script], { cwd: folder, env }, (error, stdout, stderr) =>
        done(error ? stdout + stderr : stdout),
      );
    });

  it('has the steps that it is to have', () => {
    expect(sections.length).toBeGreaterThan(4);
    expect(
      sections.flatMap(({ steps }) => steps.filter(({ output }) => output)).length,
    ).toBeGreaterThan(9);
  });

  it.each(sections)('$title', async ({ steps }) => {
    for (const { file, text, output } of steps) {
      if (file !== undefined) {
        writeFileSync(join(folder, file), text);
        continue;
      }
      const printed = await shell(text);
      if (output === undefined) continue;
      expect(`${plain(printed)}\n`, `${text}\n${printed}`).toMatch(patternOf(output));
    }
  });
});
