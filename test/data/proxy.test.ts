import { createServer, request as httpRequest, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { LoadOptions } from '../../src/core/dataset.js';
import { loadDefinition } from '../../src/data/load.js';
import { proxyFindings } from '../../src/doctor/doctor.js';
import { DataError } from '../../src/errors.js';
import { serve, startMirror } from './mirror-server.js';
import { mirrorFiles, names, plainFiles, temporaryFolder, tinyDataset } from './tiny-dataset.js';

let cacheDir: string;
let cleanUp: (() => unknown)[];

beforeEach(async () => {
  const folder = await temporaryFolder();
  cacheDir = folder.path;
  cleanUp = [folder.remove];
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const each of cleanUp) await each();
});

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUp.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

/** A proxy that forwards and tunnels to a port of this machine, whatever host is asked for. */
async function startProxy(target: number, refusal?: number) {
  const seen: { request: string; login: string | undefined }[] = [];
  const note = (request: string, login: string | undefined) => seen.push({ request, login });
  const server = createServer((incoming, outgoing) => {
    note(`${incoming.method} ${incoming.url}`, incoming.headers['proxy-authorization']);
    if (refusal !== undefined) return outgoing.writeHead(refusal).end();
    const { pathname } = new URL(incoming.url!);
    httpRequest({ port: target, path: pathname, host: '127.0.0.1' }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
    }).end();
  });
  server.on('connect', (incoming, socket) => {
    note(`CONNECT ${incoming.url}`, incoming.headers['proxy-authorization']);
    if (refusal !== undefined) return socket.end(`HTTP/1.1 ${refusal} No\r\n\r\n`);
    const tunnel = connect(target, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      tunnel.pipe(socket).pipe(tunnel);
    });
    for (const end of [tunnel, socket]) end.on('error', () => {});
    cleanUp.unshift(
      () => tunnel.destroy(),
      () => socket.destroy(),
    );
  });
  return { port: await listen(server), seen };
}

async function goodMirror() {
  const mirror = await startMirror(serve(mirrorFiles));
  cleanUp.push(mirror.close);
  return { ...mirror, port: Number(new URL(mirror.url).port) };
}

const load = (mirror: string, options: LoadOptions = {}) =>
  loadDefinition(
    tinyDataset(),
    { name: 'tiny', preprocessing: 'scale' },
    { cacheDir, mirrors: [mirror], network: { attempts: 1, connectMs: 5000 }, ...options },
  );

async function failure(mirror: string): Promise<string> {
  const error = await load(mirror).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DataError);
  return (error as DataError).message;
}

const expected = [...plainFiles['train-labels'].subarray(8)];
const login = `Basic ${Buffer.from('me:se cret').toString('base64')}`;

it.each(['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy'])(
  'an http:// mirror is reached through %s, with user and password',
  async (variable) => {
    const mirror = await goodMirror();
    const proxy = await startProxy(mirror.port);
    vi.stubEnv(variable, `http://me:se%20cret@127.0.0.1:${proxy.port}`);
    // A name that does not exist: only the proxy can know the way.
    const { train } = await load('http://data.invalid/files/');
    expect([...train.labels]).toEqual(expected);
    expect(proxy.seen).toEqual(
      names.map((name) => ({ request: `GET http://data.invalid/files/${name}.gz`, login })),
    );
  },
);

it.each(['HTTPS_PROXY', 'https_proxy'])(
  'an https:// mirror is tunnelled to by %s',
  async (variable) => {
    const answer = serve(mirrorFiles);
    const target = await listen(
      createTlsServer({ key, cert }, (request, response) =>
        answer(request.url!.split('/').at(-1)!, response, request),
      ),
    );
    const proxy = await startProxy(target);
    // Without a scheme, as many clusters write it.
    vi.stubEnv(variable, `me:se%20cret@127.0.0.1:${proxy.port}`);
    const untrusted = await failure('https://data.invalid/');
    expect(untrusted).toContain('its certificate is from an unknown authority');
    expect(untrusted).toContain('NODE_EXTRA_CA_CERTS');
    proxy.seen.length = 0;
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    const { train } = await load('https://data.invalid/');
    expect([...train.labels]).toEqual(expected);
    expect(proxy.seen).toEqual(names.map(() => ({ request: 'CONNECT data.invalid:443', login })));
  },
);

it('hosts in NO_PROXY are reached directly, and downloads switched off ask no proxy', async () => {
  const mirror = await goodMirror();
  const proxy = await startProxy(mirror.port);
  vi.stubEnv('HTTP_PROXY', `http://127.0.0.1:${proxy.port}`);
  await expect(load(mirror.url, { offline: true })).rejects.toThrow('--offline');
  vi.stubEnv('NO_PROXY', 'other.example,127.0.0.1');
  await load(mirror.url);
  expect(proxy.seen).toEqual([]);
  expect(mirror.requests).toHaveLength(names.length);
});

it.each([
  ['http://data.invalid/', 'HTTP_PROXY'],
  ['https://data.invalid/', 'HTTPS_PROXY'],
])('a proxy that fails is named for %s, without its password', async (mirror, variable) => {
  const refusing = await startProxy(0, 407);
  const address = `127.0.0.1:${refusing.port}`;
  vi.stubEnv(variable, `http://me:secret@${address}`);
  const refused = await failure(mirror);
  expect(refused).toMatch(/HTTP 407 .*through the proxy http:\/\/me:\*\*\*@127\.0\.0\.1:\d+, from/);
  expect(refused).toContain(`${address}, from ${variable}, which requires USER:PASSWORD@HOST)`);

  vi.stubEnv(variable, 'http://me:secret@127.0.0.1:1');
  const dead = await failure(mirror);
  expect(dead).toContain(
    `connection refused (through the proxy http://me:***@127.0.0.1:1, from ${variable})`,
  );

  vi.stubEnv(variable, 'http://me:sec/ret@127.0.0.1:1');
  const broken = await failure(mirror);
  expect(broken).toContain(`the value of ${variable} is not a proxy URL: expected http://HOST`);
  vi.stubEnv(variable, 'socks5://me:secret@127.0.0.1:1');
  const other = await failure(mirror);
  expect(other).toContain(`${variable} is socks5://me:***@127.0.0.1:1: only http:// and https://`);
  for (const message of [refused, dead, broken, other])
    expect(message).not.toMatch(/secret|sec\/r/);
});

it('the doctor says which proxy downloads go through', () => {
  const mirrors = ['https://a.example/x/', 'https://b.example/', 'http://c.example/'];
  expect(proxyFindings(mirrors)).toEqual([]);
  vi.stubEnv('HTTPS_PROXY', 'http://me:secret@proxy.example:3128');
  vi.stubEnv('NO_PROXY', 'b.example');
  expect(proxyFindings(mirrors).map(({ state, text }) => `${state} ${text}`)).toEqual([
    'ok http://me:***@proxy.example:3128, from HTTPS_PROXY, for downloads from a.example',
    'ok none, for downloads from b.example, c.example',
  ]);
  vi.stubEnv('HTTPS_PROXY', 'socks://proxy.example');
  expect(proxyFindings(mirrors)).toMatchObject([{ topic: 'proxy', state: 'warning' }]);
});

/** Self-signed for localhost, for this test alone; valid for a hundred years. */
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgNN2Dr7p2q2uMDCZq
SyiWfJFlxT6Cq9oCvugZQ5qRPLuhRANCAARbe4HKWWhSWvEhPeZdJUaCdURYwESs
jb/0eUxOecWsbzLgSiOGB+k4IotShnzjjOW9/Flc0PtSEc4oTzV90qFh
-----END PRIVATE KEY-----
`;
const cert = `-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIUBQcsKAb9QcsR9OmVobazK5NhfPswCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyODAyMjQ0MVoYDzIxMjYxMTA0
MDIyNDQxWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARbe4HKWWhSWvEhPeZdJUaCdURYwESsjb/0eUxOecWsbzLgSiOGB+k4
IotShnzjjOW9/Flc0PtSEc4oTzV90qFho28wbTAdBgNVHQ4EFgQUIRV1AKMRn27f
EMxMjCx0On27Pm0wHwYDVR0jBBgwFoAUIRV1AKMRn27fEMxMjCx0On27Pm0wDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDRwAwRAIgb2jK/aRCV8tr7CJJm+IlQebjI7so6fpTJG+dxJPKU+cCIEjZ
4207GCcUz6g0OSOzyjuX5vzM6lN0Itk3QhwvjONu
-----END CERTIFICATE-----
`;
