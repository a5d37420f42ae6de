import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  /** Called with all of stderr so far, and the process. */
  readonly onStderr?: (text: string, signal: (name: NodeJS.Signals) => void) => void;
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

/** Runs the program as `npx fln` does. */
export function fln(args: readonly string[], { cwd, env, onStderr }: RunOptions): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...program, ...args], {
      cwd,
      env: { ...process.env, FLN_DATA_DIR: '', FLN_CACHE_DIR: join(cwd, 'cache'), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
      onStderr?.(stderr, (name) => child.kill(name));
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** An empty folder with one config in it, removed when the test ends. */
export function workplace(config: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'fln-cli-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'tiny.yaml'), config);
  return folder;
}
