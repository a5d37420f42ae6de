import { expect, it, vi } from 'vitest';
import { Evaluator } from '../../src/core/evaluate.js';
import { runExperiment } from '../../src/experiment/run.js';
import { BackendFailure } from '../../src/experiment/supervise.js';
import { readRecord } from '../../src/runs/run-json.js';
import { temporaryFolder, tinyExperiment } from './tiny.js';

it('a backend that breaks down stops the experiment with the reason, not with what broke next', async () => {
  const trap = () => {
    throw Object.assign(new Error('memory access out of bounds'), { name: 'RuntimeError' });
  };
  const spies = [
    vi.spyOn(Evaluator.prototype, 'evaluate').mockImplementation(trap),
    vi.spyOn(Evaluator.prototype, 'dispose').mockImplementation(trap),
  ];
  try {
    const outDir = temporaryFolder();
    const experiment = tinyExperiment('backend=wasm');
    const running = runExperiment(experiment, { outDir });
    await expect(running).rejects.toThrow(BackendFailure);
    await expect(running).rejects.toThrow(
      /broke down \(memory access out of bounds\).*Completed runs are kept: continue with --resume$/,
    );
    const runs = readRecord(outDir)?.runs ?? [];
    expect(runs.map(({ status }) => status)).toEqual(['FAILED', 'QUEUED']);
    expect(runs[0].error).toMatch(/broke down/);
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
});
