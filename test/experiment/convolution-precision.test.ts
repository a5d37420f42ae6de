import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runExperiment } from '../../src/experiment/run.js';
import { hasBfloat16 } from '../../src/shared/provenance.js';
import { testBackend } from '../backends.js';
import { outcomeOf, temporaryFolder, tinyExperiment } from './tiny.js';

const layers =
  '[{ conv: 4, kernel: 3, stride: 2, norm: batch, activation: relu }, { conv: 6, kernel: 3, activation: relu }, { dense: 10 }]';
const experiment = (...overrides: string[]) =>
  tinyExperiment(
    `network.layers=${layers}`,
    'methods=[{ name: fenchel }, { name: adam }]',
    ...overrides,
  );

it('changes the rounding of training steps on tensorflow, and little else', async ({ skip }) => {
  skip(testBackend !== 'tensorflow' || !hasBfloat16(), 'this machine does not compute in bfloat16');
  const folder = temporaryFolder();
  const losses = async (precision: string) => {
    const here = experiment(`convolutionPrecision=${precision}`);
    const seen: number[] = [];
    await runExperiment(
      here,
      { outDir: join(folder, precision), backend: testBackend },
      (event) => {
        if (event.type === 'batch') seen.push(event.loss);
      },
    );
    return seen;
  };
  const [exact, rounded] = [await losses('float32'), await losses('bfloat16')];
  expect(rounded).toHaveLength(16);
  for (const [i, loss] of rounded.entries()) {
    expect(loss).not.toBe(exact[i]);
    expect(Math.abs(loss / exact[i] - 1)).toBeLessThan(0.1);
  }
});

it('is refused by other backends before anything is written', async ({ skip }) => {
  skip(testBackend === 'tensorflow', 'this is that backend');
  const running = runExperiment(experiment('convolutionPrecision=bfloat16'), {
    outDir: temporaryFolder(),
    backend: testBackend,
  });
  expect(await outcomeOf(running)).toEqual({
    exitCode: 2,
    message: `convolutionPrecision: bfloat16 is for the backend tensorflow on a CPU, and this run computes on the backend "${testBackend}" (device cpu). Use --backend tensorflow --device cpu, or remove convolutionPrecision`,
  });
});
