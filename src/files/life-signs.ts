import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, renameSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { removeQuietly } from './system-calls.js';

/*
 * By what others see that the holder of a lock lives: it touches the lock's file every 15 seconds, and
 * listens at a socket beside it, of which the kernel tells when its process is gone.
 */

/**
 * Sends heartbeats for a lock until stopped.
 * @param touch gives a heartbeat
 * @param beat ms between heartbeats
 */
export function showLife(
  path: string,
  token: string,
  touch: () => void,
  beat = 15_000,
): () => void {
  const timer = setInterval(touch, beat).unref();
  const worker = beater();
  worker?.postMessage({ token, path, beat });
  const stopListening = listen(path, token);
  return () => {
    clearInterval(timer);
    worker?.postMessage({ token });
    stopListening();
  };
}

/** Does what `touch` of a lock does, where the thread that trains is busy: one batch may take minutes. */
const beaterCode = `
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

/** The one of this process. Undefined where it cannot have one: heartbeats then come between batches. */
function beater(): Worker | undefined {
  if (thread !== undefined || isMemoryTight()) return thread;
  try {
    thread = new Worker(beaterCode, { eval: true, execArgv: [], env: { NODE_OPTIONS: '' } });
    thread.on('error', () => {});
    thread.unref();
  } catch {
    // Out of threads.
  }
  return thread;
}

/** Threads reserve hundreds of megabytes of addresses, beyond a limit of which the process would be ended. */
function isMemoryTight(): boolean {
  try {
    return !/^Max address space +unlimited/m.test(readFileSync('/proc/self/limits', 'utf8'));
  } catch {
    return false;
  }
}

/** Of this holder alone: the socket of one before it tells nothing of it. */
function socketOf(path: string, token: string): string | undefined {
  const [start] = /^[0-9a-f]{8}(?=-)/.exec(token) ?? [];
  return start && `${path}.${start}.alive`;
}

/** Bytes that the path of a socket can have. */
const longestSocket = 100;

function listen(path: string, token: string): () => void {
  const socket = socketOf(path, token);
  if (process.platform !== 'linux' || socket === undefined) return () => {};
  const server = createServer((visitor) => visitor.destroy());
  // Some file systems have no sockets: the heartbeat is there all the same.
  server.on('error', () => {});
  server.unref();
  let folder: number | undefined;
  try {
    folder = openSync(dirname(path), 'r');
    const name = `${basename(socket)}.tmp`;
    const full = `${socket}.tmp`;
    const isShort = Buffer.byteLength(full) <= longestSocket;
    server.listen(isShort ? full : `/proc/self/fd/${folder}/${name}`);
    // Renamed once it is listened at: nobody is to find one that is not.
    renameSync(full, socket);
  } catch {
    // Likewise.
  } finally {
    if (folder !== undefined) closeSync(folder);
  }
  return () => {
    server.close();
    removeSigns(path, token);
  };
}

/** Exit code of the process that asks, for a socket that nobody listens at. */
const refused = 61;
const askCode = `
const { argv, exit } = process;
require('node:net').connect(argv[1])
  .on('connect', () => exit(0))
  .on('error', ({ code }) => exit(code === 'ECONNREFUSED' ? ${refused} : 1));
`;

/**
 * Whether the kernel says that the holder of a lock is gone: its socket is there, and nobody listens. Only
 * the kernel that the holder ran on knows; in which container matters not.
 */
export function isDeserted(path: string, token: string): boolean {
  const socket = socketOf(path, token);
  if (socket === undefined || !existsSync(socket)) return false;
  const { status } = spawnSync(process.execPath, ['-e', askCode, `./${basename(socket)}`], {
    cwd: dirname(path),
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: 'ignore',
    timeout: 10_000,
  });
  return status === refused;
}

/** Removes what a dead holder left beside its lock. */
export function removeSigns(path: string, token: string): void {
  const socket = socketOf(path, token);
  if (socket !== undefined) removeQuietly(socket);
}
