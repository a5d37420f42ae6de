import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Who holds a lock, as the lock file tells it. When it last gave a heartbeat is the file's own time. */
export interface Holder {
  readonly pid: number;
  readonly host: string;
  readonly startedAt: string;
  readonly token: string;
  /** As `processBirth` tells it. */
  readonly birth?: string;
  /** Boot id of the kernel; `unknown` on a Linux that does not tell, absent on other systems. */
  readonly boot?: string;
  /** PID namespace, likewise. Locks of earlier versions have neither. */
  readonly pidNamespace?: string;
}

/** What judges a holder: what this process knows of itself, its machine and the lock's file. */
export interface Witness {
  readonly self: Pick<Holder, 'pid' | 'host' | 'boot' | 'pidNamespace'>;
  /** Whether this process holds a lock of this token. */
  holdsToken(token: string): boolean;
  /** Whether the process of this number, in the PID namespace of this process, runs. */
  runs(pid: number): boolean;
  /** As `processBirth`. */
  birth(pid: number): string | undefined;
  /** Whether one kernel alone can write to the disk of the lock: no network file system. */
  isLocalDisk(): boolean;
  /** Whether the kernel tells that nobody has the lock any more, whatever the PID namespace. */
  isDeserted(token: string): boolean;
  /** ms since the last heartbeat, by the clock of the disk. */
  silentFor(): number;
}

/** Whether a holder lives. With `silentFor`, its heartbeat decided: it may still live. */
export interface Verdict {
  readonly lives: boolean;
  readonly silentFor?: number;
}

/** ms without a heartbeat after which a holder that cannot be looked at counts as dead. */
export const silence = 180_000;

/**
 * Whether the holder of a lock lives: the one rule, for all who take locks or look at them.
 *
 * A process number means something inside one PID namespace of one boot of one machine. Where these are
 * the lock's, the table of processes decides: a number that is free, a zombie's, or another process's by
 * now (by its start) is a dead holder's. A namespace that ends may leave its own number to a new one, but
 * all its processes ended with it, so the answer is right there, too.
 *
 * Elsewhere a holder is known to be dead in two cases. The same machine has booted since: another boot id
 * under the same host name, on a disk that two kernels cannot share (a host name alone does not tell a
 * machine: two of one name may share a network folder). Or the kernel is the same, as for a container that
 * was started again, and says that nobody has the holder's socket open.
 *
 * In all other cases the heartbeat decides: a holder that was silent for three minutes is dead. So is
 * judged what cannot be read: nobody gives that a heartbeat.
 */
export function judge(holder: Holder | 'unreadable', witness: Witness): Verdict {
  if (holder !== 'unreadable') {
    const byProcess = judgeByProcess(holder, witness);
    if (byProcess !== undefined) return { lives: byProcess };
    const { self } = witness;
    const boot = bootOf(holder);
    const bothKnown = isKnown(boot) && isKnown(self.boot);
    const rebooted = bothKnown && boot !== self.boot && holder.host === self.host;
    if (rebooted && witness.isLocalDisk()) return { lives: false };
    if (bothKnown && boot === self.boot && witness.isDeserted(holder.token)) {
      return { lives: false };
    }
  }
  const silentFor = witness.silentFor();
  return { lives: silentFor <= silence, silentFor };
}

/** @returns undefined where the table of processes has no answer */
function judgeByProcess(holder: Holder, witness: Witness): boolean | undefined {
  const { pid, host, token, birth, pidNamespace } = holder;
  const { self } = witness;
  if (witness.holdsToken(token)) return true;
  if (host !== self.host) return undefined;
  const lives = () => {
    if (pid === self.pid || !witness.runs(pid)) return false;
    const now = witness.birth(pid);
    return birth === undefined || now === undefined || now === birth;
  };
  const boot = bootOf(holder);
  // Of a system without PID namespaces: there is nothing else to go by.
  if (boot === undefined) return lives();
  if (!isKnown(boot) || boot !== self.boot) return undefined;
  if (pidNamespace === undefined) {
    // Of an earlier version. A process that is not here may be in another namespace.
    return birth !== undefined && witness.birth(pid) === birth ? lives() : undefined;
  }
  return isKnown(pidNamespace) && pidNamespace === self.pidNamespace ? lives() : undefined;
}

const unknown = 'unknown';
const isKnown = (fact: string | undefined): boolean => fact !== undefined && fact !== unknown;

/** Earlier versions noted it in the birth alone. */
const bootOf = ({ boot, birth }: Holder): string | undefined => boot ?? birth?.split(' ')[0];

/** What a process of this machine notes of where it runs. */
export function whereabouts(): Pick<Holder, 'host' | 'boot' | 'pidNamespace'> {
  const host = hostname();
  if (process.platform !== 'linux') return { host };
  const read = (what: () => string) => {
    try {
      return what() || unknown;
    } catch {
      return unknown;
    }
  };
  // A /proc of another PID namespace, where process numbers mean other processes, tells nothing.
  const isOwn = read(() => readlinkSync('/proc/self')) === String(process.pid);
  return {
    host,
    boot: read(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    pidNamespace: isOwn ? read(() => readlinkSync('/proc/self/ns/pid')) : unknown,
  };
}

/**
 * What tells a process from another one that later gets its number: the boot it runs in and its start
 * time. Undefined where the system does not tell (anywhere but Linux), or there is no such process.
 */
export function processBirth(pid: number): string | undefined {
  const start = processFields(pid)?.[19];
  const { boot } = whereabouts();
  return start === undefined || !isKnown(boot) ? undefined : `${boot} ${start}`;
}

/** Whether a process runs; one that belongs to somebody else does, and a zombie does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  // Killed, but not yet reaped by its parent, which the first process of a container may never do.
  return !/^[ZXx]$/.test(processFields(pid)?.[0] ?? '');
}

/** Fields of /proc/PID/stat from the third on, the state; the start time is the 22nd. */
function processFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name, in parentheses, may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
