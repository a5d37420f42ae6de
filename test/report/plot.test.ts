import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import yargs from 'yargs';
import { plotCommand } from '../../src/cli/commands/plot.js';
import { UsageError } from '../../src/errors.js';
import { mnistMethods, writeRuns } from './synthetic.js';

const root = mkdtempSync(join(tmpdir(), 'fln-plot-'));
const one = join(root, 'one');
const two = join(root, 'two');
const folder = process.cwd();

beforeAll(() => {
  for (const path of [one, two]) writeRuns(path, mnistMethods.slice(0, 2), [1], { batches: 30 });
  process.chdir(root);
});
afterEach(() => vi.restoreAllMocks());
afterAll(() => {
  process.chdir(folder);
  rmSync(root, { recursive: true });
});

async function plot(...argv: string[]): Promise<{ out: string[]; err: string[] }> {
  const out: string[] = [];
  const err: string[] = [];
  for (const [stream, lines] of [
    [process.stdout, out],
    [process.stderr, err],
  ] as const) {
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      lines.push(...String(text).trimEnd().split('\n'));
      return true;
    });
  }
  await yargs()
    .command(plotCommand)
    .strict()
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new UsageError(message);
    })
    .parseAsync(['plot', ...argv]);
  return { out, err };
}

describe('fln plot', () => {
  it('redraws one directory in place and prints the files', async () => {
    const { out, err } = await plot(one);
    expect(out[0]).toBe(join(one, 'figure.svg'));
    expect(out).toHaveLength(5);
    expect(out.every(existsSync)).toBe(true);
    expect(err).toEqual([]);
  });

  it('overlays several in the current folder, under a name that says which', async () => {
    const { out } = await plot(one, two);
    expect(out).toEqual(['one-vs-two.svg', 'one-vs-two.png', 'one-vs-two.html']);
    const svg = readFileSync('one-vs-two.svg', 'utf8');
    for (const label of ['one/fenchel', 'two/fenchel-exact']) expect(svg).toContain(`>${label} `);
    expect(readFileSync('one-vs-two.html', 'utf8')).toContain('>two/fenchel</td>');
  });

  it('takes --out as a name, as files with extensions, or as a folder', async () => {
    expect((await plot(one, '--out', 'new/a.svg')).out).toEqual(['new/a.svg']);
    expect((await plot(one, '--out', 'c.csv', '--out', 'new/c.PNG')).out).toEqual([
      'c.csv',
      'new/c.PNG',
    ]);
    expect((await plot(one, '--out', 'new/b')).out[1]).toBe('new/b.png');
    expect((await plot(one, '--out', 'run.v2')).out[0]).toBe('run.v2.svg');
    mkdirSync('there');
    expect((await plot(one, two, '--out', 'there')).out[2]).toBe(join('there', 'one-vs-two.html'));
  });

  it.each(['x.eps', 'x.jpg', 'x.TIFF', 'x.svg.gz', 'x.foo'])(
    'refuses --out %s before it reads anything',
    async (path) => {
      await expect(plot('nowhere', '--out', path)).rejects.toThrow(
        `--out ${path}: cannot write figures as .${path.split('.').at(-1)}. Give a file that ends in .svg, .png, .pdf, .html, .csv, or NAME without extension`,
      );
    },
  );

  it('takes a title', async () => {
    await plot(one, '--out', 'titled', '--title', 'Figure 2 <MNIST>');
    expect(readFileSync('titled.svg', 'utf8')).toContain('>Figure 2 &lt;MNIST&gt;<');
    expect(readFileSync('titled.html', 'utf8')).toContain('<h1>Figure 2 &#60;MNIST&#62;</h1>');
  });

  it('goes on past a broken directory, with a warning', async () => {
    const { out, err } = await plot(one, 'absent', '--out', 'c');
    expect(out).toHaveLength(3);
    expect(err).toEqual(['warning: absent: there is no such directory']);
  });

  it('prints only JSON with --json', async () => {
    const { out, err } = await plot(one, 'absent', '--out', 'd', '--json');
    expect(JSON.parse(out.join('\n'))).toEqual({
      files: ['d.svg', 'd.png', 'd.html'],
      problems: [{ path: 'absent', message: 'absent: there is no such directory' }],
    });
    expect(err).toEqual([]);
  });

  it('refuses, as a usage error with the way out, what holds no metrics', async () => {
    mkdirSync('empty');
    mkdirSync('broken/adam-s1', { recursive: true });
    writeFileSync('broken/adam-s1/metrics.csv', 'hello\n');
    for (const [path, reason] of [
      ['absent', /there is no such directory/],
      ['empty', /no <method>-s<seed>\/metrics.csv/],
      ['broken', /broken\/adam-s1\/metrics.csv:1: not a metrics file/],
    ] as const) {
      await expect(plot(path)).rejects.toThrow(UsageError);
      await expect(plot(path)).rejects.toThrow(reason);
      await expect(plot(path)).rejects.toThrow(/Give a directory that "fln run" has written/);
    }
    expect(existsSync('empty/report.html')).toBe(false);
  });
});

it('loads no drawing library before it runs', async () => {
  vi.resetModules();
  for (const name of ['vega', 'vega-lite', '@resvg/resvg-js']) {
    vi.doMock(name, () => {
      throw new Error(`${name} was loaded`);
    });
  }
  const { plotCommand } = await import('../../src/cli/commands/plot.js');
  expect(plotCommand.command).toBe('plot <dirs..>');
  const { loadRuns } = await import('../../src/runs/run-directory.js');
  expect(loadRuns([one]).runs).toHaveLength(2);
  await expect(import('../../src/report/figure.js')).rejects.toThrow();
});
