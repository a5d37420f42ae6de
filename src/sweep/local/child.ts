import { spawn } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { ExitCode } from '../../errors.js';
import { guardDisk } from '../../files/disk.js';
import { makeFolder } from '../../files/folder.js';
import { livingLock, refuseIfLost } from '../../files/lock.js';
import { type TrialFlags, trialCommand } from '../launcher.js';
import { sweepPaths } from '../paths.js';
import { readState, type TrialState, writeState } from '../state.js';

/** A trial in a process of its own. */
export interface TrialProcess {
  readonly pid: number | undefined;
  /** The final state, once the process has ended. */
  readonly ended: Promise<TrialState>;
  /** Asks the trial to write a checkpoint and exit. */
  stop(): void;
}

/** @param onProgress gets the completed share of the batches, in [0, 1] */
export function startTrial(
  directory: string,
  id: string,
  { flags, gpu }: { readonly flags: TrialFlags; readonly gpu?: string },
  onProgress: (share: number) => void,
): TrialProcess {
  const path = sweepPaths(directory).log(id);
  makeFolder(dirname(path));
  refuseIfLost(path);
  const log = guardDisk(path, () => openSync(path, 'a'));
  try {
    guardDisk(path, () => writeSync(log, `--- ${new Date().toISOString()}\n`));
    // With `cuda`, a trial that gets no GPU fails instead of running on the CPU.
    const own: TrialFlags = gpu === undefined ? flags : { ...flags, device: 'cuda' };
    const [command, ...args] = trialCommand(directory, own);
    const child = spawn(command, [...args, id], {
      stdio: ['ignore', log, log, 'ipc'],
      // Ctrl-C signals this process only, which then stops the trials.
      detached: true,
      env: gpu === undefined ? process.env : { ...process.env, CUDA_VISIBLE_DEVICES: gpu },
    });
    child.on('message', ({ share }: { readonly share: number }) => onProgress(share));
    let isAsked = false;
    const ended = new Promise<TrialState>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) => {
        try {
          resolve(finalState(directory, id, { pid: child.pid, code, signal, isAsked }));
        } catch (error) {
          reject(error);
        }
      });
    });
    const stop = () => {
      isAsked = true;
      child.kill('SIGTERM');
    };
    return { pid: child.pid, ended, stop };
  } finally {
    closeSync(log);
  }
}

/**
 * The state that the trial's process wrote; one for a process that ended before it could write.
 * @param end.isAsked whether the launcher stopped it
 */
function finalState(
  directory: string,
  id: string,
  end: {
    readonly pid: number | undefined;
    readonly code: number | null;
    readonly signal: NodeJS.Signals | null;
    readonly isAsked: boolean;
  },
): TrialState {
  const { pid, code, signal, isAsked } = end;
  const state = readState(directory, id);
  // Another process runs the trial: it refused this one, or took over its lock.
  if (livingLock(sweepPaths(directory).trialLock(id))) return state;
  const isWritten = state.status !== 'RUNNING' && state.status !== 'QUEUED';
  if (isWritten && (code === 0 || state.pid === pid)) return state;
  if (isAsked && (signal === 'SIGTERM' || code === ExitCode.requeue)) {
    // Stopped before it handled signals.
    if (state.status === 'QUEUED') return state;
    const interrupted: TrialState = { ...state, status: 'INTERRUPTED' };
    writeState(directory, interrupted);
    return interrupted;
  }
  const how = signal ? `was killed by ${signal}` : `ended with exit code ${code}`;
  const memory = signal === 'SIGKILL' ? ', perhaps because the machine ran out of memory' : '';
  const failed: TrialState = {
    ...state,
    status: 'FAILED',
    attempts: Math.max(1, state.attempts),
    endedAt: new Date().toISOString(),
    exitCode: code ?? undefined,
    error: `its process ${how}${memory}; see ${sweepPaths(directory).log(id)}`,
  };
  writeState(directory, failed);
  return failed;
}
