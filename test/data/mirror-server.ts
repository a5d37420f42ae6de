import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';

/** Answers the request for one file name, e.g. `train-images.gz`. */
export type Answer = (name: string, response: ServerResponse, request: IncomingMessage) => void;

export interface Mirror {
  /** Base URL, with a slash at the end. */
  readonly url: string;
  /** File names asked for, in order. */
  readonly requests: readonly string[];
  readonly close: () => Promise<void>;
}

/** A mirror on this machine that answers as a test tells it to. */
export async function startMirror(answer: Answer): Promise<Mirror> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const name = basename(request.url ?? '');
    requests.push(name);
    answer(name, response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/data/`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Serves files as a good mirror does. */
export const serve =
  (files: Readonly<Record<string, Uint8Array>>): Answer =>
  (name, response) => {
    const body = files[name];
    if (body === undefined) response.writeHead(404).end('not here');
    else response.writeHead(200, { 'content-length': body.length }).end(body);
  };
