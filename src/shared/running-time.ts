import { Worker } from 'node:worker_threads';

/** ms between two beats. */
const period = 100;
/** ms without a beat from which on the process is assumed to have been stopped, not just busy. */
const longest = 1000;

/**
 * The heartbeat thread. It writes how long the process was stopped (ms) and the time of the last beat into
 * one of two slots, while the other one is read.
 */
const heartbeat = `
const { current, slots } = require('node:worker_threads').workerData;
const now = () => Number(process.hrtime.bigint()) / 1e6;
let stopped = 0;
let last = now();
for (;;) {
  Atomics.wait(current, 1, 0, ${period});
  const time = now();
  if (time - last > ${longest}) stopped += time - last - ${period};
  last = time;
  const next = Atomics.load(current, 0) === 1 ? 0 : 1;
  slots[2 * next] = stopped;
  slots[2 * next + 1] = time;
  Atomics.store(current, 0, next);
}`;

const none = -1;
/** The slot to read, `none` before the first beat; and a number for `Atomics.wait`. */
const current = new Int32Array(new SharedArrayBuffer(8)).fill(none, 0, 1);
const slots = new Float64Array(new SharedArrayBuffer(32));
let isStarted = false;

/**
 * ms on a clock that pauses while this process is stopped (SIGSTOP, Ctrl-Z, a paused container) or the
 * machine sleeps, for more than a second; accurate to 0.1 s per stop, with an arbitrary origin. Where no
 * thread can be started the clock does not pause.
 */
export function runningTime(): number {
  if (!isStarted) start();
  const now = Number(process.hrtime.bigint()) / 1e6;
  const slot = Atomics.load(current, 0);
  if (slot === none) return now;
  const [stopped, last] = slots.subarray(2 * slot, 2 * slot + 2);
  // The thread may wake up later than this one.
  const silent = now - last > longest ? now - last - period : 0;
  return now - stopped - silent;
}

function start(): void {
  isStarted = true;
  const thread = new Worker(heartbeat, {
    eval: true,
    workerData: { current, slots },
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 },
  });
  thread.on('error', () => Atomics.store(current, 0, none));
  thread.unref();
}
