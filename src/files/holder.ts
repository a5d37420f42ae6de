import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** The content of a lock file: who holds the lock. The file's modification time is the last heartbeat. */
export interface Holder {
  readonly pid: number;
  readonly host: string;
  readonly startedAt: string;
  readonly token: string;
  /** From `processBirth`. */
  readonly birth?: string;
  /** Boot id of the kernel; `unknown` on a Linux that does not tell, absent on other systems. */
  readonly boot?: string;
  /** PID namespace, likewise. Locks of earlier versions have neither. */
  readonly pidNamespace?: string;
}

/** What `judge` may ask about this process, its machine and the lock file. */
export interface Probe {
  readonly self: Pick<Holder, 'pid' | 'host' | 'boot' | 'pidNamespace'>;
  /** Whether this process holds a lock with this token. */
  holdsToken(token: string): boolean;
  /** Whether a process with this number runs, in the PID namespace of this process. */
  runs(pid: number): boolean;
  /** As `processBirth`. */
  birth(pid: number): string | undefined;
  /** Whether only this machine can write to the disk of the lock: no network file system. */
  isLocalDisk(): boolean;
  /** Whether nobody listens at the holder's socket any more, whatever the PID namespace. */
  isSocketClosed(token: string): boolean;
  /** ms since the last heartbeat, by the clock of the disk. */
  silentFor(): number;
}

/** Whether a holder is alive. With `silentFor`, its heartbeat decided: a dead one may still be alive. */
export interface Verdict {
  readonly lives: boolean;
  readonly silentFor?: number;
}

/** ms without a heartbeat after which the lock of a holder that cannot be checked otherwise expires. */
export const lockTimeout = 180_000;

/**
 * Whether the holder of a lock is alive: the one rule for taking and showing locks.
 *
 * A process number is valid inside one PID namespace of one boot of one machine. If this process shares
 * them with the holder, the process table decides: the holder is dead if its number is free, a zombie's,
 * or by its start time another process's. A new namespace may get the number of one that ended, but all
 * processes ended with that one, so the answer is right there, too.
 *
 * Otherwise a holder is known to be dead in two cases. The same machine has rebooted: another boot id
 * with the same host name, on a disk that two kernels cannot share (two machines of the same name may
 * share a network folder). Or the kernel is the same, as for a container that was started again, and
 * nobody listens at the holder's socket.
 *
 * In all other cases the heartbeat decides: a holder without one for three minutes counts as dead. The
 * same holds for a lock file that cannot be read: nobody gives it a heartbeat.
 */
export function judge(holder: Holder | 'unreadable', probe: Probe): Verdict {
  if (holder !== 'unreadable') {
    const byProcess = judgeByProcess(holder, probe);
    if (byProcess !== undefined) return { lives: byProcess };
    const { self } = probe;
    const boot = bootOf(holder);
    const bothKnown = isKnown(boot) && isKnown(self.boot);
    const rebooted = bothKnown && boot !== self.boot && holder.host === self.host;
    if (rebooted && probe.isLocalDisk()) return { lives: false };
    if (bothKnown && boot === self.boot && probe.isSocketClosed(holder.token)) {
      return { lives: false };
    }
  }
  const silentFor = probe.silentFor();
  return { lives: silentFor <= lockTimeout, silentFor };
}

/** @returns undefined where the process table has no answer */
function judgeByProcess(holder: Holder, probe: Probe): boolean | undefined {
  const { pid, host, token, birth, pidNamespace } = holder;
  const { self } = probe;
  if (probe.holdsToken(token)) return true;
  if (host !== self.host) return undefined;
  const lives = () => {
    if (pid === self.pid || !probe.runs(pid)) return false;
    const now = probe.birth(pid);
    return birth === undefined || now === undefined || now === birth;
  };
  const boot = bootOf(holder);
  // A system without PID namespaces: nothing else is known.
  if (boot === undefined) return lives();
  if (!isKnown(boot) || boot !== self.boot) return undefined;
  if (pidNamespace === undefined) {
    // A lock of an earlier version. A process that is not here may be in another namespace.
    return birth !== undefined && probe.birth(pid) === birth ? lives() : undefined;
  }
  return isKnown(pidNamespace) && pidNamespace === self.pidNamespace ? lives() : undefined;
}

const unknown = 'unknown';
const isKnown = (fact: string | undefined): boolean => fact !== undefined && fact !== unknown;

/** Earlier versions recorded it only as a part of the birth. */
const bootOf = ({ boot, birth }: Holder): string | undefined => boot ?? birth?.split(' ')[0];

/** Where this process runs. */
export function runContext(): Pick<Holder, 'host' | 'boot' | 'pidNamespace'> {
  const host = hostname();
  if (process.platform !== 'linux') return { host };
  const read = (what: () => string) => {
    try {
      return what() || unknown;
    } catch {
      return unknown;
    }
  };
  // In a /proc of another PID namespace, process numbers mean other processes.
  const isOwn = read(() => readlinkSync('/proc/self')) === String(process.pid);
  return {
    host,
    boot: read(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    pidNamespace: isOwn ? read(() => readlinkSync('/proc/self/ns/pid')) : unknown,
  };
}

/**
 * Tells a process from another one that later gets its number: the boot it runs in and its start time.
 * Undefined where the system does not tell (anywhere but Linux), or there is no such process.
 */
export function processBirth(pid: number): string | undefined {
  const start = processFields(pid)?.[19];
  const { boot } = runContext();
  return start === undefined || !isKnown(boot) ? undefined : `${boot} ${start}`;
}

/** Whether a process runs, also another user's; a zombie does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  // Killed, but not yet reaped by its parent, which the first process of a container may never do.
  return !/^[ZXx]$/.test(processFields(pid)?.[0] ?? '');
}

/** /proc/PID/stat from its third field on: state, parent, ...; the start time is at index 19. Linux. */
export function processFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name, in parentheses, may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
