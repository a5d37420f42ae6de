import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, renameSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { addressSpaceLimit } from '../shared/memory.js';
import { removeQuietly } from './system-calls.js';

/*
 * How others see that the holder of a lock is alive: it touches the lock file every 15 seconds, and
 * listens at a socket beside it, which the kernel closes when the process ends.
 */

/**
 * Gives heartbeats for a lock, and listens at its socket, until stopped.
 * @param touch gives one heartbeat
 * @param beat ms between heartbeats
 */
export function startHeartbeat(
  path: string,
  token: string,
  touch: () => void,
  beat = 15_000,
): () => void {
  const timer = setInterval(touch, beat).unref();
  const worker = heartbeatThread();
  worker?.postMessage({ token, path, beat });
  const stopListening = listen(path, token);
  return () => {
    clearInterval(timer);
    worker?.postMessage({ token });
    stopListening();
  };
}

/** Does the same as `touch`, in a thread of its own: the one that trains may be busy for minutes. */
const threadCode = `
const { parentPort } = require('node:worker_threads');
const { closeSync, openSync, readFileSync, writeSync } = require('node:fs');
const timers = new Map();
const touch = (token, path) => {
  try {
    if (JSON.parse(readFileSync(path, 'utf8')).token !== token) return;
    const file = openSync(path, 'r+');
    writeSync(file, '{', 0);
    closeSync(file);
  } catch {}
};
parentPort.on('message', ({ token, path, beat }) => {
  clearInterval(timers.get(token));
  timers.delete(token);
  if (path) timers.set(token, setInterval(touch, beat, token, path));
});
`;

let thread: Worker | undefined;

/** One for this process. Undefined where it cannot have one: heartbeats then come between batches. */
function heartbeatThread(): Worker | undefined {
  // Threads reserve hundreds of megabytes of addresses, which such a limit may not allow.
  if (thread !== undefined || addressSpaceLimit() !== undefined) return thread;
  try {
    thread = new Worker(threadCode, { eval: true, execArgv: [], env: { NODE_OPTIONS: '' } });
    thread.on('error', () => {});
    thread.unref();
  } catch {
    // Out of threads.
  }
  return thread;
}

/** The token makes it this holder's own: another one's socket says nothing about it. */
function socketOf(path: string, token: string): string | undefined {
  const [start] = /^[0-9a-f]{8}(?=-)/.exec(token) ?? [];
  return start && `${path}.${start}.alive`;
}

/** Bytes that the path of a socket may have. */
const mostSocketBytes = 100;

function listen(path: string, token: string): () => void {
  const socket = socketOf(path, token);
  if (process.platform !== 'linux' || socket === undefined) return () => {};
  const server = createServer((visitor) => visitor.destroy());
  // Some file systems have no sockets: the heartbeat works without.
  server.on('error', () => {});
  server.unref();
  let folder: number | undefined;
  try {
    folder = openSync(dirname(path), 'r');
    const name = `${basename(socket)}.tmp`;
    const full = `${socket}.tmp`;
    const isShort = Buffer.byteLength(full) <= mostSocketBytes;
    server.listen(isShort ? full : `/proc/self/fd/${folder}/${name}`);
    // Renamed once it listens: nobody may find a socket that does not.
    renameSync(full, socket);
  } catch {
    // No sockets, as above.
  } finally {
    if (folder !== undefined) closeSync(folder);
  }
  return () => {
    server.close();
    removeSocket(path, token);
  };
}

/** Exit code of the process that connects, for a socket at which nobody listens. */
const refused = 61;
const connectCode = `
const { argv, exit } = process;
require('node:net').connect(argv[1])
  .on('connect', () => exit(0))
  .on('error', ({ code }) => exit(code === 'ECONNREFUSED' ? ${refused} : 1));
`;

/**
 * Whether the holder of a lock has ended: its socket is there, and nobody listens. Valid on the kernel
 * that the holder ran on, in whichever container.
 */
export function isSocketClosed(path: string, token: string): boolean {
  const socket = socketOf(path, token);
  if (socket === undefined || !existsSync(socket)) return false;
  const { status } = spawnSync(process.execPath, ['-e', connectCode, `./${basename(socket)}`], {
    cwd: dirname(path),
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: 'ignore',
    timeout: 10_000,
  });
  return status === refused;
}

/** Removes the socket that a dead holder left beside its lock. */
export function removeSocket(path: string, token: string): void {
  const socket = socketOf(path, token);
  if (socket !== undefined) removeQuietly(socket);
}
