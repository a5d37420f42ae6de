import { realpathSync } from 'node:fs';
import { createServer } from 'node:http';
import { relative, sep } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { EnvironmentError } from '../errors.js';
import {
  contentPolicy,
  htmlPage,
  json,
  type PageContent,
  pageAssets,
} from '../report/html/page.js';
import type { Extent } from '../runs/run-directory.js';
import { escapeHtml, printable } from '../shared/text.js';
import { LiveRuns } from './follow.js';
import { ProgressMeter } from './progress.js';
import { Versions } from './updates.js';
import {
  diffView,
  listView,
  type NamedSnapshot,
  partHtml,
  runView,
  type Texts,
  type View,
} from './views.js';

/** A running server. */
export interface LiveServer {
  readonly url: string;
  /** Ends it, with all connections. */
  close(): Promise<void>;
}

export interface ServerOptions {
  /** Where undefined: 8080, or the next one that is free. */
  readonly port?: number;
  readonly texts: Texts;
  /** An error that is not the client's: a bug. */
  readonly onError: (error: unknown) => void;
}

/** Only this machine can reach it. */
const host = '127.0.0.1';
const firstPort = 8080;
/** Ports that are tried. */
const attempts = 20;
/** Run directories that can be compared at once. */
const mostCompared = 50;

/**
 * Serves pages of the runs in a folder, to this machine alone. It only reads, and nothing outside of the folder.
 * @param root an existing folder
 * @throws EnvironmentError when no port is free
 */
export async function serveRuns(root: string, options: ServerOptions): Promise<LiveServer> {
  const wanted = options.port ?? firstPort;
  const last = options.port === undefined ? firstPort + attempts - 1 : wanted;
  for (let port = wanted; port <= last; port++) {
    const server = await listen(root, port, options);
    if (server !== undefined) return server;
  }
  throw new EnvironmentError(
    options.port === undefined
      ? `the ports ${firstPort} to ${last} are in use: choose another one with --port N; 0: any that is free`
      : `port ${wanted} is in use, or not allowed: choose another one with --port N; 0: any that is free`,
  );
}

/** @returns undefined when the port is not free */
async function listen(
  root: string,
  port: number,
  options: ServerOptions,
): Promise<LiveServer | undefined> {
  let allowed: ReadonlySet<string> = new Set();
  const app = createApp(root, options, () => allowed);
  const listener = getRequestListener(app.fetch, {
    overrideGlobalObjects: false,
    // A request that is not valid HTTP, such as one with an unusable Host.
    errorHandler: () => new Response('bad request\n', { status: 400 }),
  });
  const server = createServer(listener);
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once('error', resolve);
    server.listen(port, host, () => resolve(undefined));
  });
  if (error?.code === 'EADDRINUSE' || error?.code === 'EACCES') return undefined;
  if (error) throw error;
  const address = server.address() as { port: number };
  allowed = new Set(['127.0.0.1', 'localhost', '[::1]'].map((name) => `${name}:${address.port}`));
  return {
    url: `http://${host}:${address.port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A request for something that is not there, or that cannot be shown. */
class RequestError extends Error {
  constructor(
    readonly status: 400 | 404,
    message: string,
  ) {
    super(message);
  }
}

const securityHeaders = {
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};

/** @param hosts values of the header Host that are answered: another name may lead here by DNS rebinding */
function createApp(
  root: string,
  { texts, onError }: ServerOptions,
  hosts: () => ReadonlySet<string>,
): Hono {
  const pages = new Pages(root, texts);
  const app = new Hono();
  app.use(async (context, next) => {
    for (const [name, value] of Object.entries(securityHeaders)) context.header(name, value);
    if (!hosts().has(context.req.header('Host') ?? '')) {
      return context.text('this server answers to 127.0.0.1 and localhost alone\n', 403);
    }
    if (!['GET', 'HEAD'].includes(context.req.method)) {
      context.header('Allow', 'GET, HEAD');
      return context.text('only GET and HEAD are allowed\n', 405);
    }
    return next();
  });
  for (const [path, read] of Object.entries(pages.views)) {
    app.get(path, async (context) => {
      const page = pages.page(context, await read(context));
      context.header('Content-Security-Policy', `${contentPolicy(page)}; frame-ancestors 'none'`);
      return context.html(htmlPage(page));
    });
    app.get(`/api${path}`, async (context) => {
      return context.body(json(pages.update(context, await read(context))), 200, {
        'Content-Type': 'application/json',
      });
    });
  }
  app.notFound((context) => context.text('there is no such page\n', 404));
  app.onError((error, context) => {
    if (error instanceof RequestError) return context.text(`${error.message}\n`, error.status);
    onError(error);
    return context.text('internal error of fln serve; its terminal shows the reason\n', 500);
  });
  return app;
}

class Pages {
  readonly #root: string;
  readonly #live: LiveRuns;
  readonly #meter = new ProgressMeter();
  readonly #versions = new Versions();
  readonly #texts: Texts;

  constructor(root: string, texts: Texts) {
    this.#root = realpathSync(root);
    this.#live = new LiveRuns(this.#root);
    this.#texts = texts;
  }

  /** The content of each page, by its path. */
  readonly views: Readonly<Record<string, (context: Context) => Promise<View>>> = {
    '/': async () => {
      const found = this.#find();
      this.#live.keepOnly([...found.values()]);
      const snapshots = [];
      for (const name of found.keys()) snapshots.push(await this.#read(found, name, 'last row'));
      return listView(printable(this.#root), snapshots);
    },
    '/run': (context) => this.#runs(context, 1),
    '/compare': (context) => this.#runs(context, mostCompared),
    '/diff': async (context) => {
      const found = this.#find();
      const [a, b] = ['a', 'b'].map((side) => context.req.query(side));
      if (a === undefined || b === undefined) throw new RequestError(400, 'give a and b');
      const left = await this.#read(found, a, 'all rows');
      return diffView(left, await this.#read(found, b, 'all rows'), this.#texts);
    },
  };

  /** A page with its content, which then asks for updates. */
  page(context: Context, view: View): PageContent {
    const version = this.#versions.add(context.req.path + addressOf(context), view);
    const { path } = context.req;
    const url = `api${path}?${addressOf(context)}`;
    const back = path === '/' ? '' : '<p class="note"><a href=".">All runs</a></p>';
    const parts = Object.entries(view.parts).map(
      ([name, part]) => `<section data-part="${name}">${partHtml(part)}</section>`,
    );
    // Without scripts the form works too.
    const form = `<form action="compare"><p><button class="reset">Compare the selected runs</button></p>`;
    const main = path === '/' ? [form, ...parts, '</form>'] : parts;
    const state = `<p class="note" id="live" role="status" data-url="${escapeHtml(url)}" data-version="${version}">Updated now.</p>`;
    return {
      title: view.title,
      subtitle: view.subtitle,
      main: [back, state, ...main],
      styles: [pageAssets.chartStyle()],
      scripts: [pageAssets.uPlot(), pageAssets.charts(), pageAssets.layers(), pageAssets.live()],
      isServed: true,
    };
  }

  update(context: Context, view: View) {
    const page = context.req.path.replace(/^\/api/, '') + addressOf(context);
    return this.#versions.update(context.req.query('since'), this.#versions.add(page, view));
  }

  async #runs(context: Context, most: number): Promise<View> {
    const names = [...new Set(context.req.queries('dir') ?? [])];
    if (names.length === 0 || names.length > most) {
      const wanted = most === 1 ? 'one run' : `1 to ${most} runs`;
      throw new RequestError(400, `select ${wanted}: ?dir=NAME, as in the list of runs`);
    }
    const found = this.#find();
    const snapshots = [];
    for (const name of names) snapshots.push(await this.#read(found, name, 'all rows'));
    return runView(snapshots, this.#meter, this.#texts);
  }

  /** The run directories in the folder, by the names that pages use. No other path is ever opened. */
  #find(): ReadonlyMap<string, string> {
    const paths = this.#live.find(this.#root);
    return new Map(paths.map((path) => [nameOf(relative(this.#root, path)), path]));
  }

  async #read(
    found: ReadonlyMap<string, string>,
    name: string,
    extent: Extent,
  ): Promise<NamedSnapshot> {
    const path = found.get(name);
    if (path === undefined) throw new RequestError(404, 'there is no such run');
    return { ...(await this.#live.read(path, extent)), name };
  }
}

const nameOf = (path: string) => printable(path.split(sep).join('/')) || '.';

/** The query apart from the version that the page has. */
function addressOf({ req }: Context): string {
  const query = new URLSearchParams(new URL(req.url).search);
  query.delete('since');
  return query.toString();
}
