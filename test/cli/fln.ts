import { spawn } from 'node:child_process';
import { Console } from 'node:console';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** What a user sees of one `fln` command. */
export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Whether it has to be a process of its own. */
  readonly separate?: boolean;
  /** Called with all of stderr so far, and the process. */
  readonly onStderr?: (text: string, signal: (name: NodeJS.Signals) => void) => void;
  /** The same for stdout. */
  readonly onStdout?: RunOptions['onStderr'];
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const tsx = fileURLToPath(import.meta.resolve('tsx'));

/** The built program where it is up to date (as after `npm test`), else the sources. */
export const program: readonly string[] = isBuilt()
  ? [join(root, 'bin', 'fln.js')]
  : ['--import', tsx, join(root, 'src', 'cli', 'main.ts')];

function isBuilt(): boolean {
  const built = statSync(join(root, 'dist', 'cli', 'main.js'), { throwIfNoEntry: false });
  const source = join(root, 'src');
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' });
  return files.every((file) => statSync(join(source, file)).mtimeMs < (built?.mtimeMs ?? 0));
}

/** Commands that start processes of their own, which take part in what is tested. */
const starters = ['sweep', 'sweep-trial', 'tune', 'backend', 'doctor'];

/**
 * Runs the program as `npx fln` does: in a process of its own where a listener or `separate` asks for
 * one or the command starts others, else in this one, which is ten times cheaper. There, a signal calls
 * what listens to it.
 */
export function fln(args: readonly string[], options: RunOptions): Promise<Outcome> {
  const { onStderr, onStdout } = options;
  const listens = onStderr !== undefined || onStdout !== undefined;
  const { separate = listens || starters.includes(args[0]) } = options;
  if (separate) return spawned(args, options);
  const outcome = last.then(() => inProcess(args, options));
  last = outcome.catch(() => {});
  return outcome;
}

/** Working folder, variables and output belong to the process: one command at a time. */
let last: Promise<unknown> = Promise.resolve();

const environment = ({ cwd, env }: RunOptions) => ({
  ...process.env,
  FLN_DATA_DIR: '',
  FLN_CACHE_DIR: join(cwd, 'cache'),
  ...env,
});

async function inProcess(args: readonly string[], options: RunOptions): Promise<Outcome> {
  const { argv, env, exitCode } = process;
  const { console } = globalThis;
  const cwd = process.cwd();
  const text = { stdout: '', stderr: '' };
  const restore = (['stdout', 'stderr'] as const).map((name) => {
    const { write } = process[name];
    const listeners = process[name].listeners('error');
    process[name].write = ((chunk: string | Uint8Array, ...rest: unknown[]) => {
      text[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8');
      const listener = name === 'stdout' ? options.onStdout : options.onStderr;
      listener?.(text[name], (signal) => process.emit(signal, signal));
      const done = rest.find((argument) => typeof argument === 'function');
      if (done) process.nextTick(done as () => void);
      return true;
    }) as typeof write;
    return () => {
      process[name].write = write;
      for (const listener of process[name].listeners('error')) {
        if (!listeners.includes(listener)) process[name].off('error', listener as () => void);
      }
    };
  });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;
  const before = signals.map((name) => process.listeners(name));
  try {
    process.chdir(options.cwd);
    process.argv = [process.execPath, join(root, 'bin', 'fln.js'), ...args];
    process.env = environment(options);
    process.exitCode = undefined;
    globalThis.console = new Console(process.stdout, process.stderr);
    await main();
    return { code: Number(process.exitCode ?? 0), ...text };
  } finally {
    for (const one of restore) one();
    for (const [i, name] of signals.entries()) {
      for (const listener of process.listeners(name)) {
        if (!before[i].includes(listener)) process.off(name, listener);
      }
    }
    process.chdir(cwd);
    Object.assign(process, { argv, env, exitCode });
    globalThis.console = console;
  }
}

/** main.ts runs the command line when it is evaluated: once more each time. */
async function main(): Promise<void> {
  await import(/* @vite-ignore */ `${join(root, 'src/cli/main.ts')}?run=${++runs}`);
}

let runs = 0;

function spawned(args: readonly string[], options: RunOptions): Promise<Outcome> {
  const { cwd, onStderr, onStdout } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...program, ...args], {
      cwd,
      env: environment(options),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
      onStdout?.(stdout, (name) => child.kill(name));
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
      onStderr?.(stderr, (name) => child.kill(name));
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** Waits for a condition, however slow the machine is: a limit would fail where other work goes on. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20);
}

/** An empty folder with one config in it, removed when the test ends. */
export function workplace(config: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'fln-cli-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'tiny.yaml'), config);
  return folder;
}
