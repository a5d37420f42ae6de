import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { disposeTree } from '../../../src/core/tree.js';
import {
  Checkpoints,
  checkpointName,
  resumePoint,
} from '../../../src/experiment/checkpoint/checkpoints.js';
import { mutated } from '../mutate.js';
import { makeOdd, type OddFile, oddFile } from '../odd-file.js';
import { checkMessage, harmless, type Surface } from '../surface.js';

const csv = 'method,seed,batch\nadam,1,1\nadam,1,2\nadam,1,3\n';
const parts = ['checkpoint.json', 'state.safetensors', 'SHA256SUMS', 'metrics.csv'] as const;

interface Damage {
  readonly part: (typeof parts)[number];
  readonly change: (content: Uint8Array) => Uint8Array;
  /** Whether the checksums are made to fit, as somebody would who means harm. */
  readonly isForged: boolean;
  readonly odd: OddFile;
}

/** Changes that are drawn before it is known what they change. */
const change = fc.nat(1_000_000_000).map((seed) => (content: Uint8Array) => {
  const words = ['"shape":[4294967296]', '[0,99999999]', 'F64', '__proto__'];
  return fc.sample(mutated([content], words), { numRuns: 1, seed })[0];
});

/** A run with two checkpoints, the last of which is damaged, or its metrics.csv. */
export const checkpoints: Surface<Damage> = {
  name: 'checkpoints',
  cases: fc.record({
    part: fc.constantFrom(...parts),
    change,
    isForged: fc.boolean(),
    odd: oddFile,
  }),
  run: async ({ part, change, isForged, odd }, folder) => {
    const run = await place(folder);
    const last = join(run, 'checkpoints', checkpointName(2));
    const metricsPath = join(run, 'metrics.csv');
    const path = part === 'metrics.csv' ? metricsPath : join(last, part);
    writeFileSync(path, change(readFileSync(path)));
    if (isForged && part !== 'SHA256SUMS') {
      const lines = parts
        .slice(0, 2)
        .map((name) => `${sha256(readFileSync(join(last, name)))}  ${name}\n`);
      writeFileSync(join(last, 'SHA256SUMS'), lines.join(''));
    }
    const paths = parts.slice(0, 3).map((name) => join(last, name));
    const oddPath = makeOdd(odd, [...paths, metricsPath]);
    const found = await harmless(() =>
      resumePoint(
        new Checkpoints(run),
        { metrics: metricsPath, layers: join(run, 'layers.csv') },
        checkMessage,
      ),
    );
    if (found === undefined) {
      if (part !== 'metrics.csv' && oddPath !== metricsPath && !saysAnotherVersion(last)) {
        throw new Error('the checkpoint before the damaged one is lost');
      }
      return;
    }
    const before = tf.memory().numTensors;
    try {
      disposeTree(found.state());
    } catch (error) {
      // The training loop words it: only a forged state gets here.
      if (!isForged || !(error instanceof Error)) throw error;
    }
    if (tf.memory().numTensors !== before) throw new Error('a damaged state leaks tensors');
  },
};

/** Whether a forged checkpoint has another format, which refuses the resume and loses nothing. */
function saysAnotherVersion(checkpoint: string): boolean {
  try {
    const { format } = JSON.parse(readFileSync(join(checkpoint, 'checkpoint.json'), 'utf8'));
    return Number.isInteger(format) && format !== 2;
  } catch {
    return false;
  }
}

/** A fresh copy of the run. */
async function place(folder: string): Promise<string> {
  const [run, original] = [join(folder, 'run'), join(folder, 'original')];
  if (!existsSync(original)) {
    mkdirSync(original, { recursive: true });
    writeFileSync(join(original, 'metrics.csv'), csv);
    for (const batch of [1, 2]) {
      const rows = csv
        .split('\n')
        .slice(0, batch + 1)
        .map((line) => `${line}\n`)
        .join('');
      const state = {
        w: tf.tensor2d([
          [1, 2],
          [3, batch],
        ]),
        moments: [Float64Array.of(1, 2)],
        n: batch,
      };
      const position = {
        experiment: '0123456789ab',
        label: 'adam',
        seed: 1,
        batch,
        wallMs: 5,
        firstLoss: 2.3,
        metrics: { bytes: rows.length, sha256: sha256(Buffer.from(rows)) },
        madeBy: { program: '0', backend: 'cpu', node: '0' },
      };
      await new Checkpoints(original).write(position, state);
      disposeTree(state);
    }
  }
  rmSync(run, { recursive: true, force: true });
  cpSync(original, run, { recursive: true });
  return run;
}

const sha256 = (content: Uint8Array) => createHash('sha256').update(content).digest('hex');
