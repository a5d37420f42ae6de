import { appendFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ProgressReader } from '../../src/live/progress.js';
import { layerColumns } from '../../src/runs/layers.js';
import { fln } from '../cli/fln.js';
import { temporaryFolder, tree } from '../experiment/tiny.js';
import { mnistMethods, writeRuns } from '../report/synthetic.js';
import { header, RunningDirectory, row, served } from './running.js';

/** A request as it is, without what a browser would change of its path. */
function raw(url: string, path: string, { method = 'GET', host = new URL(url).host } = {}) {
  const { port } = new URL(url);
  return new Promise<{ status: number; head: string; body: string }>((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1');
    let text = '';
    socket.on('data', (data) => {
      text += data;
    });
    socket.on('error', reject);
    socket.on('close', () => {
      const [head, ...body] = text.split('\r\n\r\n');
      resolve({ status: Number(head.split(' ')[1]), head, body: body.join('\r\n\r\n') });
    });
    socket.end(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  });
}

const small = { batches: 40 };
const query = (...pairs: [string, string][]) => new URLSearchParams(pairs).toString();

describe('fln serve', () => {
  it('shows a list, runs, comparisons and differences, and writes nothing', async () => {
    const root = temporaryFolder();
    for (const name of ['a', 'b/c'])
      writeRuns(join(root, name), mnistMethods.slice(0, 2), [1], small);
    writeFileSync(join(root, 'a', 'config.yaml'), 'name: first\nepochs: 1\n');
    writeFileSync(join(root, 'b/c', 'config.yaml'), 'name: second\nepochs: 2\n');
    const before = tree(root);
    const { url, errors } = await served(root);
    const pages = [
      ['/', /href="run\?dir=b%2Fc"/],
      [`/run?${query(['dir', 'b/c'])}`, /class="chart-data"[\s\S]*epochs: 2/],
      [
        `/compare?${query(['dir', 'a'], ['dir', 'b/c'])}`,
        /Comparison[\s\S]*<td class="words">b\/c/,
      ],
      [`/diff?${query(['a', 'a'], ['b', 'b/c'])}`, /epochs +1 +2/],
    ] as const;
    for (const [path, content] of pages) {
      const { status, head, body } = await raw(url, path);
      expect(status).toBe(200);
      expect(body).toMatch(content);
      expect(head).toMatch(
        /content-security-policy: default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src ('sha256-\S+' ?){5}; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'\r\n/,
      );
      expect(head).toMatch(/x-content-type-options: nosniff/);
      expect(head).not.toMatch(/access-control/i);
      expect(body).not.toMatch(/(src|href)="(https?:)?\/\//);
      const onlyHead = await raw(url, path, { method: 'HEAD' });
      expect([onlyHead.status, onlyHead.body]).toEqual([200, '']);
    }
    expect(tree(root)).toEqual(before);
    expect(errors).toEqual([]);
  });

  it('opens only what it has found in its folder, whatever a request names', async () => {
    const outside = temporaryFolder();
    writeRuns(join(outside, 'secret'), mnistMethods.slice(0, 1), [1], small);
    writeFileSync(join(outside, 'secret.yaml'), 'top: secret');
    const root = join(outside, 'root');
    writeRuns(join(root, 'a'), mnistMethods.slice(0, 1), [1], small);
    symlinkSync(join(outside, 'secret'), join(root, 'link'));
    for (const [name, target] of [
      ['config', 'config.yaml'],
      ['record', 'run.json'],
    ]) {
      writeRuns(join(root, name), mnistMethods.slice(0, 1), [1], small);
      symlinkSync(join(outside, 'secret.yaml'), join(root, name, target));
    }
    mkdirSync(join(root, 'csv'));
    symlinkSync(join(outside, 'secret', 'fenchel-s1'), join(root, 'csv', 'fenchel-s1'));
    symlinkSync(join(root, 'a'), join(root, 'within'));
    const { url, errors } = await served(root);

    const names = [
      ...['link', '../secret', 'a/../../secret', '..', '/etc', '/etc/passwd', `${outside}/secret`],
      ...['a/', './a', 'a\\', '..\\secret', 'C:\\', 'CON', 'a\0', '\0', '', 'A', 'a/fenchel-s1'],
      ...['%2e%2e/secret', '..%2fsecret', '\ud800', '__proto__', 'constructor'],
    ];
    for (const name of names) {
      for (const path of [`/run?${query(['dir', name])}`, `/api/run?${query(['dir', name])}`]) {
        expect([name, (await raw(url, path)).status]).toEqual([name, 404]);
      }
    }
    const paths = [
      ...[
        '/../secret.yaml',
        '/%2e%2e/secret.yaml',
        '/..%2fsecret.yaml',
        '/a/fenchel-s1/metrics.csv',
      ],
      ...['/%00', '/a%00', '/%', '/%ff', '//etc/passwd', '/api', '/api/../a', '/favicon.ico'],
    ];
    for (const path of paths) {
      const { status, body } = await raw(url, path);
      expect([path, [400, 404].includes(status)]).toEqual([path, true]);
      expect(body).not.toContain('secret');
    }
    for (const path of [
      '/run?dir=%ff',
      '/run?dir=%',
      '/run',
      '/diff?a=a',
      '/compare',
      '/run?dir=a&dir=b',
    ]) {
      expect([path, [400, 404].includes((await raw(url, path)).status)]).toEqual([path, true]);
    }
    for (const name of ['config', 'record', 'csv']) {
      const { status, body } = await raw(url, `/run?dir=${name}`);
      expect(status).toBe(200);
      expect(body).toContain('leads outside of the folder');
      expect(body).not.toContain('top: secret');
    }
    const list = await raw(url, '/');
    expect(list.body).toContain('dir=within');
    expect(list.body).not.toContain('dir=link');
    expect(list.body).toMatch(/dir=csv.*unreadable/);
    expect(errors).toEqual([]);
  });

  it('answers this machine alone, and reading requests alone', async () => {
    const { url, errors } = await served(temporaryFolder());
    const { port } = new URL(url);
    const status = async (host: string) => (await raw(url, '/', { host })).status;
    for (const name of ['127.0.0.1', 'localhost', '[::1]']) {
      expect(await status(`${name}:${port}`)).toBe(200);
    }
    const others = [
      'evil.example',
      `evil.example:${port}`,
      'localhost',
      'localhost:1',
      `127.0.0.1.evil:${port}`,
    ];
    for (const host of others) expect([host, await status(host)]).toEqual([host, 403]);
    for (const host of ['', 'a b', 'localhost:x']) {
      expect([host, [400, 403].includes(await status(host))]).toEqual([host, true]);
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND']) {
      const { status, head } = await raw(url, '/', { method });
      expect([method, status]).toEqual([method, 405]);
      expect(head).toMatch(/allow: GET, HEAD/i);
    }
    expect(errors).toEqual([]);
  });

  it('escapes names, labels, configs and messages', async () => {
    const root = temporaryFolder();
    const text = `<script>alert(1)</script>"'&\n\u202e`;
    const name = text.replaceAll('/', '');
    mkdirSync(join(root, name, `${name}-s1`), { recursive: true });
    writeFileSync(
      join(root, name, `${name}-s1`, 'metrics.csv'),
      header + row(1, 0.5, text.replaceAll('"', '')),
    );
    const runs = [{ label: text, seed: 1, status: 'FAILED', error: text }];
    writeFileSync(
      join(root, name, 'run.json'),
      JSON.stringify({ experiment: { name: text }, runs, [text]: text }),
    );
    writeFileSync(join(root, name, 'config.yaml'), `name: ${text}`);
    mkdirSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0xfe])]));
    const { url, errors } = await served(root);
    const list = await raw(url, '/');
    const dir = /dir=([^"]+)"/.exec(list.body)![1].replaceAll('&#38;', '&');
    const paths = ['/', `/run?dir=${dir}`, `/compare?dir=${dir}`, `/diff?a=${dir}&b=${dir}`];
    for (const path of paths) {
      const { status, body } = await raw(url, path);
      expect(status).toBe(200);
      expect(body.replace(/<script>\n[\s\S]*/, '')).not.toContain('<script>');
      const update = await raw(url, `/api${path}`);
      expect(update.head).toMatch(/content-type: application\/json/);
      const { parts } = JSON.parse(update.body);
      for (const html of Object.values(parts)) expect(html).not.toContain('<script>');
    }
    expect(errors).toEqual([]);
  });

  it('sends the new points of growing curves, and nothing where nothing has changed', async () => {
    const root = temporaryFolder();
    const running = new RunningDirectory(join(root, 'run'));
    running.record({ adam: 'RUNNING' });
    running.start('adam', header + row(1, 0.5) + row(2, 0.6));
    const { url } = await served(root);
    const get = async (since: string) =>
      JSON.parse((await raw(url, `/api/run?dir=run&since=${since}`)).body);
    const first = await get('unknown');
    expect(first.parts.figure).toContain('"value":0.6');
    // The time left.
    const same = await get(first.version);
    expect(Object.keys(same.parts ?? { progress: '' })).toEqual(['progress']);
    expect(same.charts).toBeUndefined();
    running.append(row(3, 0.7) + row(4, 0.8).slice(0, 10));
    const second = await get(first.version);
    expect(second.parts.figure).toBeUndefined();
    expect(second.parts.progress).toContain('3/40');
    expect(second.charts.from).toEqual([2]);
    const batches = (charts: { data: { curves: [{ points: { batch: number }[] }] } }) =>
      charts.data.curves[0].points.map(({ batch }) => batch);
    expect(batches(second.charts)).toEqual([3]);
    running.append(row(4, 0.8).slice(10));
    // A page that missed an update gets what it lacks.
    expect(batches((await get(first.version)).charts)).toEqual([3, 4]);
    // Written anew, as after --overwrite.
    running.start('adam', header + row(1, 0.5) + row(2, 0.65));
    const again = await get(second.version);
    expect(again.charts.from).toEqual([1]);
    expect(batches(again.charts)).toEqual([2]);
    running.record({ adam: 'COMPLETED' });
    const ended = await get(again.version);
    expect(ended.parts.results).toContain('65.00 %');
    expect(await get(ended.version)).toEqual({ version: ended.version });
    running.release();
  });

  it('shows the layers of a run, and sends the numbers of those that have new rows', async () => {
    const root = temporaryFolder();
    const running = new RunningDirectory(join(root, 'run'), ['adam', 'fenchel']);
    running.record({ adam: 'RUNNING', fenchel: 'RUNNING' });
    const layers = (label: string) => join(root, 'run', `${label}-s1`, 'layers.csv');
    const rows = (label: string, batch: number, weights: number | '' = '') =>
      [1, 2]
        .map((layer) => `${label},1,${batch},1,${layer},${batch / layer},,,,${weights},,,,,\n`)
        .join('');
    for (const label of running.labels) {
      running.start(label, header + row(1, 0.5, label));
      writeFileSync(layers(label), `${layerColumns}\n${rows(label, 1)}`);
    }
    const { url, errors } = await served(root);
    const get = async (since: string) =>
      JSON.parse((await raw(url, `/api/run?dir=run&since=${since}`)).body);
    const first = await get('unknown');
    expect(first.parts.layers).toMatch(/adam, seed 1[\s\S]*penalty[\s\S]*fenchel, seed 1/);
    // A row that is being written is not read.
    appendFileSync(layers('fenchel'), `${rows('fenchel', 2)}fenchel,1,3,1,`);
    const second = await get(first.version);
    expect(Object.keys(second.parts)).toEqual(['progress']);
    expect(second.layers.methods).toEqual([
      null,
      {
        batches: [1, 2],
        panels: [
          {
            log: true,
            values: [
              [1, 2],
              [0.5, 1],
            ],
          },
        ],
      },
    ]);
    expect(second.charts).toBeUndefined();
    // Another column: another panel.
    appendFileSync(layers('adam'), rows('adam', 2, 0.1));
    const third = await get(second.version);
    expect(third.layers).toBeUndefined();
    expect(third.parts.layers).toContain('change of the weights');
    running.release();
    expect(errors).toEqual([]);
  });

  it('shows the losses of a regression, and paused runs', async () => {
    const root = temporaryFolder();
    const running = new RunningDirectory(join(root, 'run'));
    const of = (batch: number) => `adam,1,${batch},1,${batch},0.5,,0.25,,,,1\n`;
    running.start('adam', header + of(1) + of(2));
    running.record({ adam: 'COMPLETED' });
    running.release();
    const paused = new RunningDirectory(join(root, 'paused'));
    paused.start('adam', header + of(1));
    const runs = [
      { label: 'adam', seed: 1, status: 'INTERRUPTED', paused: { epoch: 1, batch: 1 } },
    ];
    writeFileSync(join(root, 'paused', 'run.json'), JSON.stringify({ runs }));
    paused.release();
    const { url, errors } = await served(root);
    const { body } = await raw(url, '/');
    expect(body).toMatch(/dir=run".*completed.*adam loss 0\.2500/);
    expect(body).toMatch(/dir=paused".*<td class="words">paused</);
    expect((await raw(url, '/run?dir=paused')).body).toContain('<td class="words">paused</td>');
    const progress = await new ProgressReader([root]).read();
    expect(progress.runs.map(({ status, curve }) => [status, curve?.column])).toEqual([
      ['PAUSED', undefined],
      ['COMPLETED', 'test_loss'],
    ]);
    expect(errors).toEqual([]);
  });

  it('shows other runs beside broken ones, with their problems', async () => {
    const root = temporaryFolder();
    writeRuns(join(root, 'good'), mnistMethods.slice(0, 1), [1], small);
    writeRuns(join(root, 'cut'), mnistMethods.slice(0, 1), [1], small);
    writeFileSync(join(root, 'cut', 'fenchel-s1', 'metrics.csv'), 'nothing,of\n1,2\n');
    mkdirSync(join(root, 'record'));
    writeFileSync(join(root, 'record', 'run.json'), '{ "runs": [');
    const { url, errors } = await served(root);
    const { body } = await raw(url, '/');
    expect(body).toMatch(/dir=good.*completed/);
    expect(body).toMatch(/<li>[^<]*cut\/fenchel-s1\/metrics\.csv:1: not a metrics file/);
    expect(body).toMatch(/<li>[^<]*record\/run\.json: not valid JSON/);
    for (const name of ['cut', 'record']) {
      const { status, body } = await raw(url, `/run?dir=${name}`);
      expect([status, body.includes('class="problems"')]).toEqual([200, true]);
    }
    expect((await raw(url, '/compare?dir=good&dir=cut&dir=record')).status).toBe(200);
    expect(errors).toEqual([]);
  });

  it('prints its address, ends at a signal, and names a port that is in use', async () => {
    const cwd = temporaryFolder();
    let url = '';
    const { code, stdout, stderr } = await fln(['serve', '.', '--port', '0', '--json'], {
      cwd,
      onStdout: async (text, signal) => {
        url = JSON.parse(text).url;
        expect((await raw(url, '/')).status).toBe(200);
        const { port } = new URL(url);
        const second = await fln(['serve', '.', '--port', port], { cwd });
        expect(second.code).toBe(4);
        expect(second.stderr).toContain(`port ${port} is in use`);
        signal('SIGINT');
      },
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(`{"url":"${url}"}\n`);
    expect((await fln(['serve', 'nowhere'], { cwd })).code).toBe(2);
    expect((await fln(['serve', '.', '--port', 'x'], { cwd })).code).toBe(2);
  });
});
