import { open } from 'node:fs/promises';
import fetch, { type Response } from 'node-fetch';
import type { NetworkSettings } from '../core/dataset.js';
import { passUnsupportedSync } from '../files/system-calls.js';
import { type ProxyServer, proxyAgent, proxyFor } from './proxy.js';

export const defaultNetwork: NetworkSettings = {
  connectMs: 10_000,
  idleMs: 20_000,
  totalMs: 900_000,
  attempts: 3,
  backoffMs: 500,
  redirects: 5,
};

/** A request that failed. */
export class RequestError extends Error {
  override name = 'RequestError';
  /**
   * @param message what failed, e.g. `HTTP 404 Not Found`
   * @param transient whether a retry may succeed
   */
  constructor(
    message: string,
    readonly transient: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface TransferOptions {
  /** Largest acceptable body, in bytes. */
  readonly limit: number;
  readonly network: NetworkSettings;
  readonly signal?: AbortSignal;
  readonly onBytes?: (received: number, total?: number) => void;
}

/**
 * Downloads `url` into the new file `path`, byte for byte as sent, and syncs it to disk.
 *
 * @throws RequestError when the server does not send a body within the limits of size and time;
 *   `signal.reason` when aborted; system errors of the file (ENOSPC, EACCES, ...) pass through
 */
export async function transfer(url: string, path: string, options: TransferOptions): Promise<void> {
  const { network, signal } = options;
  signal?.throwIfAborted();
  const limits = new TimeLimits(network.totalMs);
  const onAbort = () => limits.stop('interrupted');
  signal?.addEventListener('abort', onAbort, { once: true });
  let proxy: ProxyServer | undefined;
  try {
    limits.expect(network.connectMs, 'no response');
    const response = await limits.guard(
      fetch(url, {
        signal: limits.signal,
        // Called again at each redirect.
        agent: (target) => {
          proxy = proxyFor(target.href);
          return proxy && proxyAgent(proxy, target);
        },
        follow: network.redirects,
        // Files are stored as they are served; transport compression would make the size limit meaningless.
        compress: false,
        headers: { 'Accept-Encoding': 'identity', 'User-Agent': 'fln' },
      }),
    );
    await save(response, path, options, limits);
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof RequestError && proxy)) throw error;
    const login = error.message.startsWith('HTTP 407') ? ', which requires USER:PASSWORD@HOST' : '';
    const message = `${error.message} (through the proxy ${proxy.description}${login})`;
    throw new RequestError(message, error.transient, { cause: error });
  } finally {
    signal?.removeEventListener('abort', onAbort);
    limits.stop('done');
  }
}

async function save(
  response: Response,
  path: string,
  options: TransferOptions,
  limits: TimeLimits,
) {
  if (!response.ok) {
    const transient = response.status >= 500 || response.status === 429 || response.status === 408;
    throw new RequestError(`HTTP ${response.status} ${response.statusText}`.trim(), transient);
  }
  const declared = Number(response.headers.get('content-length') ?? Number.NaN);
  const total = Number.isFinite(declared) ? declared : undefined;
  if (total !== undefined && total > options.limit) {
    throw new RequestError(`Content-Length is ${total} bytes, more than the file can have`, false);
  }
  const handle = await open(path, 'wx');
  try {
    let received = 0;
    const chunks = response.body![Symbol.asyncIterator]();
    for (;;) {
      limits.expect(options.network.idleMs, 'no data');
      const { done, value } = await limits.guard(chunks.next());
      if (done) break;
      received += value.length;
      if (received > options.limit) {
        throw new RequestError(
          `sent more than ${options.limit} bytes, more than the file can have`,
          false,
        );
      }
      await handle.writeFile(value as Buffer);
      options.onBytes?.(received, total);
    }
    if (total !== undefined && received !== total) {
      throw new RequestError(`sent ${received} of ${total} bytes`, true);
    }
    await handle.sync().catch(passUnsupportedSync);
  } finally {
    await handle.close();
  }
}

/** Aborts a request that is too slow, and keeps the reason. */
class TimeLimits {
  readonly #controller = new AbortController();
  readonly #total: NodeJS.Timeout;
  #idle: NodeJS.Timeout | undefined;
  #failure: RequestError | undefined;

  constructor(totalMs: number) {
    this.#total = setTimeout(() => this.stop(`not finished after ${seconds(totalMs)}`), totalMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Requires the next progress within `ms` from now. */
  expect(ms: number, otherwise: string): void {
    clearTimeout(this.#idle);
    // A body that stalls midway may arrive at the next attempt; a server that never responds will not.
    const transient = otherwise !== 'no response';
    this.#idle = setTimeout(() => this.stop(`${otherwise} for ${seconds(ms)}`, transient), ms);
  }

  stop(why: string, transient = false): void {
    clearTimeout(this.#idle);
    clearTimeout(this.#total);
    this.#failure ??= new RequestError(why, transient);
    this.#controller.abort();
  }

  /** The promise's value, or a RequestError that says why it failed. */
  async guard<T>(promise: Promise<T>): Promise<T> {
    try {
      return await promise;
    } catch (error) {
      throw this.#failure ?? describe(error as NetworkFailure);
    }
  }
}

type NetworkFailure = Error & { code?: string; type?: string };

/** As behind proxies that intercept TLS. */
const unknownAuthority =
  'its certificate is from an unknown authority (name the file of your own in NODE_EXTRA_CA_CERTS)';

const messages: Readonly<Record<string, string>> = {
  ENOTFOUND: 'host name not found',
  EAI_AGAIN: 'host name cannot be resolved (no network?)',
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'host cannot be reached',
  ENETUNREACH: 'network cannot be reached',
  ETIMEDOUT: 'connection timed out',
  ECONNRESET: 'connection reset by the server',
  ERR_STREAM_PREMATURE_CLOSE: 'connection closed before the end of the file',
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
};

/** Failures that may not occur again on a new connection. */
const transientCodes = new Set(['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ETIMEDOUT']);

function describe(error: NetworkFailure): RequestError {
  if (error.type === 'max-redirect') return new RequestError('too many redirects', false);
  const code = error.code ?? '';
  const text = messages[code] ?? (code ? `${error.message} (${code})` : error.message);
  return new RequestError(text, transientCodes.has(code), { cause: error });
}

const seconds = (ms: number) => `${Number((ms / 1000).toFixed(1))} s`;
