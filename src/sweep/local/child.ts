import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { ExitCode } from '../../errors.js';
import { guardDisk } from '../../files/disk.js';
import { makeFolder } from '../../files/folder.js';
import { livingLock, refuseIfLost } from '../../files/lock.js';
import { type TrialFlags, trialCommand } from '../launcher.js';
import { sweepPaths } from '../paths.js';
import { readState, type TrialState, writeState } from '../state.js';

/** What a trial's process tells the launcher. */
export interface ProgressMessage {
  readonly share: number;
}

/** A trial in a process of its own. */
export class TrialProcess {
  /** The state that the trial ended with, once the process is gone. */
  readonly ended: Promise<TrialState>;
  #isAsked = false;

  private constructor(
    directory: string,
    readonly id: string,
    private readonly child: ChildProcess,
  ) {
    this.ended = new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) => {
        try {
          resolve(endState(directory, id, child.pid, { code, signal, isAsked: this.#isAsked }));
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  static start(
    directory: string,
    id: string,
    { flags, gpu }: { readonly flags: TrialFlags; readonly gpu?: string },
    onProgress: (share: number) => void,
  ): TrialProcess {
    const path = sweepPaths(directory).log(id);
    // A trial that has no GPU fails, rather than compute on the CPU.
    const own: TrialFlags = gpu === undefined ? flags : { ...flags, device: 'cuda' };
    makeFolder(dirname(path));
    refuseIfLost(path);
    const log = guardDisk(path, () => openSync(path, 'a'));
    try {
      guardDisk(path, () => writeSync(log, `--- ${new Date().toISOString()}\n`));
      const [command, ...args] = trialCommand(directory, own);
      const child = spawn(command, [...args, id], {
        stdio: ['ignore', log, log, 'ipc'],
        // Ctrl-C is for the launcher, which hands it on.
        detached: true,
        env: gpu === undefined ? process.env : { ...process.env, CUDA_VISIBLE_DEVICES: gpu },
      });
      child.on('message', (message: ProgressMessage) => onProgress(message.share));
      return new TrialProcess(directory, id, child);
    } finally {
      closeSync(log);
    }
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Asks it to write a checkpoint and end. */
  stop(): void {
    this.#isAsked = true;
    this.child.kill('SIGTERM');
  }
}

interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Whether the launcher asked for it. */
  readonly isAsked: boolean;
}

/** What the trial wrote of its end; a process that was cut off wrote nothing. */
function endState(
  directory: string,
  id: string,
  pid: number | undefined,
  { code, signal, isAsked }: ProcessEnd,
): TrialState {
  const state = readState(directory, id);
  // Another process runs it, which was why this one ended, or took it over.
  if (livingLock(sweepPaths(directory).trialLock(id))) return state;
  const wroteItself = state.status !== 'RUNNING' && state.status !== 'QUEUED';
  if (wroteItself && (code === 0 || state.pid === pid)) return state;
  if (isAsked && (signal === 'SIGTERM' || code === ExitCode.requeue)) {
    // Before it had begun to listen.
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
