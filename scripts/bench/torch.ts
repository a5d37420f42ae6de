import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('torch_adam.py', import.meta.url));

const restMs = 20;

/** PyTorch in a separate process (torch_adam.py), one request at a time. */
export class Torch {
  readonly #lines: AsyncIterator<string>;

  private constructor(
    private readonly child: ChildProcess,
    lines: AsyncIterable<string>,
    private readonly errors: () => string,
  ) {
    this.#lines = lines[Symbol.asyncIterator]();
  }

  /**
   * Starts FLN_BENCH_PYTHON, else python3.
   * @param threads the most that a request asks for
   * @returns the process and PyTorch's version, or why there is none
   */
  static async start(
    threads: number,
  ): Promise<{ torch: Torch; version: string } | { reason: string }> {
    const python = process.env.FLN_BENCH_PYTHON || 'python3';
    const env = { ...process.env, OMP_NUM_THREADS: `${threads}`, MKL_NUM_THREADS: `${threads}` };
    const child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'pipe'], env });
    let errors = '';
    child.stderr.on('data', (text) => {
      errors += text;
    });
    const failed = once(child, 'error').then(([error]) => error as Error);
    const lastError = () => errors.trim().split('\n').at(-1) ?? '';
    const torch = new Torch(child, createInterface({ input: child.stdout }), lastError);
    const first = await Promise.race([torch.#answer<{ torch: string }>(), failed]);
    if (first instanceof Error) return { reason: `${python}: ${first.message}` };
    if (first === undefined) return { reason: `${python}: ${lastError()}` };
    return { torch, version: first.torch };
  }

  async ask<Answer>(message: Readonly<Record<string, unknown>>): Promise<Answer> {
    this.child.stdin?.write(`${JSON.stringify(message)}\n`);
    const answer = await this.#answer<Answer>();
    if (answer === undefined) throw new Error(`PyTorch stopped: ${this.errors()}`);
    return answer;
  }

  /** Milliseconds of each of `count` steps of what was started. */
  async steps(count: number): Promise<number[]> {
    // Threads of both sides spin for a while after their work: wait for them.
    await sleep(restMs);
    const { ms } = await this.ask<{ ms: number[] }>({ do: 'steps', count });
    await sleep(restMs);
    return ms;
  }

  /** Milliseconds a step of a turn of `count` steps, the first of which is not counted. */
  async turn(count: number): Promise<number> {
    const [, ...counted] = await this.steps(count);
    return counted.reduce((sum, ms) => sum + ms) / counted.length;
  }

  stop(): void {
    this.child.stdin?.end();
  }

  async #answer<Answer>(): Promise<Answer | undefined> {
    const { value, done } = await this.#lines.next();
    return done ? undefined : (JSON.parse(value) as Answer);
  }
}
