import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EnvironmentError } from '../../../errors.js';
import type { NativeBackend } from '../native.js';
import { tag } from './saved-model.js';

/** Sessions that nobody uses are kept for the next run of the same step, up to this many. */
const idleLimit = 32;

interface Session {
  readonly id: number;
  readonly digest: string;
  users: number;
}

/**
 * TensorFlow's sessions of serialized models. Equal models share one, so that each seed and the warm-up
 * before them load and optimise a graph once.
 */
export class Sessions {
  /** By digest, the one released last at the end. */
  readonly #sessions = new Map<string, Session>();

  constructor(private readonly binding: NativeBackend['binding']) {}

  /** @param model content of a `saved_model.pb` */
  acquire(model: Uint8Array): Session {
    const digest = createHash('sha256').update(model).digest('hex');
    const session = this.#sessions.get(digest) ?? { id: this.#load(model), digest, users: 0 };
    session.users++;
    this.#sessions.set(digest, session);
    return session;
  }

  release(session: Session): void {
    session.users--;
    this.#sessions.delete(session.digest);
    this.#sessions.set(session.digest, session);
    const idle = [...this.#sessions.values()].filter(({ users }) => users === 0);
    for (const { id, digest } of idle.slice(0, Math.max(0, idle.length - idleLimit))) {
      this.binding.deleteSavedModel(id);
      this.#sessions.delete(digest);
    }
  }

  #load(model: Uint8Array): number {
    const folder = inTemporaryFolder(() => mkdtempSync(join(tmpdir(), 'fln-graph-')));
    try {
      inTemporaryFolder(() => writeFileSync(join(folder, 'saved_model.pb'), model));
      return this.binding.loadSavedModel(folder, tag);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

/** The binding loads models from the disk alone. */
function inTemporaryFolder<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new EnvironmentError(
      `TensorFlow's graphs pass through ${tmpdir()}, which cannot be written to: ` +
        `${(error as Error).message}. Name another folder with TMPDIR`,
      { cause: error },
    );
  }
}
