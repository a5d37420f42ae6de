import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { Experiment } from '../../src/config/experiment.js';
import { parseExperiment } from '../../src/config/load.js';
import { explosion, notFinite, suspectBlock } from '../../src/core/failures.js';
import type { Method } from '../../src/core/methods/method.js';
import { buildNetwork } from '../../src/core/network/network.js';
import { NotPositiveDefiniteError } from '../../src/core/solvers/cholesky.js';
import { divergence, singularMatrix } from '../../src/experiment/divergence.js';
import type { ExperimentEvent } from '../../src/experiment/events.js';
import { runExperiment } from '../../src/experiment/run.js';
import { testBackend } from '../backends.js';
import { temporaryFolder, tinyConfig, tinyExperiment } from './tiny.js';

function methodOf(entry: string) {
  const one = tinyConfig.replace(/methods:.*/s, `methods: [${entry}]`);
  const text = entry.includes('lau-bcd')
    ? `loss: mse\n${one.replace('batchSize: 50', 'batchSize: full')}`
    : one;
  return parseExperiment(text, 'tiny.yaml').experiment.methods[0];
}

const place = { run: { label: 'sgd', seed: 2 }, batch: 7, epoch: 1 };

describe('numbers that diverge', () => {
  it('name the run, the batch, the block and the field that the config changed', () => {
    const method = methodOf('{ name: sgd, learningRate: 300 }');
    const what = notFinite({ objective: undefined, 'test loss': Number.NaN });
    expect(divergence(`${what}`, 'not finite: the bias of layer 1', place, method).message).toBe(
      'sgd, seed 2: training diverged at batch 7 (epoch 1): the test loss is NaN; not finite: the bias of layer 1; ' +
        'likely the step size is too large; try a smaller learningRate (now 300)',
    );
    expect(notFinite({ residual: Infinity })).toBe('the residual is infinite');
    expect(notFinite({ residual: 1, objective: undefined })).toBeUndefined();
  });

  it('are found while they still fit the type', () => {
    expect(explosion(2.3, 5.9e21)).toBe('training loss 2.30 -> 5.90e+21');
    // A rough start is no divergence, and neither is a tiny first loss.
    expect(explosion(2.3, 2000)).toBeUndefined();
    expect(explosion(1e-9, 3)).toBeUndefined();
  });

  it.each([
    ['{ name: fenchel, rmsChange: 50 }', 'try a smaller rmsChange (now 50)'],
    [
      '{ name: foof, stepNorm: operator }',
      'try a smaller relativeChange (now 0.2) or a smaller outputChange (now 0.1) or a larger damping (now 0.03) or a longer warmup (now 0)',
    ],
    ['{ name: fenchel, solver: exact, gamma: 0.001 }', 'try a larger gamma (now 0.001)'],
    ['{ name: fenchel, solver: exact, gamma: 1e+25 }', 'try a smaller gamma (now 1e+25)'],
    ['{ name: lau-bcd, rho: 1e-30 }', 'try a larger rho (now 1e-30)'],
    ['{ name: adam }', 'try a smaller learningRate (now 0.001) or a longer warmup (now 0)'],
  ])('of %s: %s', (entry, advice) => {
    const method = methodOf(entry);
    const { message } = divergence('x', 'y', place, method);
    expect(message.split('; ').at(-1)).toBe(advice);
  });
});

describe('the block that is to blame', () => {
  const layer = (weight: number, bias = 0) => ({
    weights: tf.fill([3, 2], weight) as tf.Tensor2D,
    bias: tf.fill([2], bias) as tf.Tensor1D,
  });
  const suspect = async (...layers: ReturnType<typeof layer>[]) => {
    const before = tf.memory().numTensors;
    const text = await suspectBlock(layers);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose(layers);
    return text;
  };

  it('is named: what is not finite, else the largest', async () => {
    expect(await suspect(layer(1), layer(Number.NaN))).toBe('not finite: the weights of layer 2');
    expect(await suspect(layer(1, -Infinity), layer(1))).toBe('not finite: the bias of layer 1');
    expect(await suspect(layer(Number.NaN, Number.NaN))).toBe(
      'the weights of all layers are NaN or infinite',
    );
    expect(await suspect(layer(1), layer(-3e12))).toBe(
      'the largest number is 3.0e+12, in the weights of layer 2',
    );
  });
});

describe('singular matrices', () => {
  const experiment = tinyExperiment('methods=[{ name: fenchel, solver: exact, gamma: 0.001 }]');
  const network = buildNetwork(experiment.network);
  const [inputs] = network.maps[0].weightShape;
  const message = (pivot: number, size: number) =>
    singularMatrix(
      new NotPositiveDefiniteError(2, pivot, size),
      network,
      { label: 'fenchel', seed: 1 },
      'at batch 7 (epoch 2)',
      experiment.methods[0],
    ).message;

  it('are named by the layer whose inputs they hold, with or without biases', () => {
    for (const size of [inputs, inputs + 1]) {
      expect(message(-1e-9, size)).toBe(
        `fenchel, seed 1: at batch 7 (epoch 2), the matrix over the inputs of layer 1 (${size} rows) is singular: ` +
          'its Cholesky pivot 3 is -1.00e-9. Try a larger gamma (now 0.001)',
      );
    }
    expect(message(0, 987)).toContain(', the matrix of 987 rows is singular: ');
  });

  it('that are not finite are a divergence', () => {
    expect(message(Number.NaN, inputs)).toMatch(
      /is not finite: its Cholesky pivot 3 is NaN\. Training diverged; likely the step size is too large; try/,
    );
  });

  it('fail the run that meets them, with what to change', async () => {
    const singular = tinyExperiment(
      'backend=wasm',
      'loss=mse',
      'dataset.limit=20',
      'batchSize=full',
      'methods=[{ name: askari-bcd, rho: 1e-30 }]',
    );
    const { runs } = await runExperiment(singular, { outDir: join(temporaryFolder(), 'run') });
    expect(runs[0].error).toMatch(
      /^askari-bcd, seed 1: before the first batch, the matrix over the inputs of layer 1 .* is singular: .*Try a larger rho \(now 1e-30\)$/,
    );
  });
});

describe('warm-up', () => {
  /** An experiment whose first training, the throw-away one, does something else in its steps. */
  const warmedUp = (step: () => Promise<never>) => {
    const experiment = tinyExperiment('backend=wasm', 'methods=[{ name: sgd }]');
    const [{ definition, ...method }] = experiment.methods;
    let trainings = 0;
    const load = async () => {
      const real = (await definition.load()) as Method;
      const init: Method['init'] = (...context) => {
        trainings++;
        return real.init(...context);
      };
      const choose: Method['step'] = (...args) => (trainings === 1 ? step() : real.step(...args));
      return { ...real, init, step: choose };
    };
    return { ...experiment, methods: [{ ...method, definition: { ...definition, load } }] };
  };
  const outcome = async (experiment: Experiment) => {
    const events: ExperimentEvent[] = [];
    const options = { outDir: join(temporaryFolder(), 'run') };
    const { runs } = await runExperiment(experiment, options, (event) => events.push(event));
    return { ...runs[0], warnings: events.filter(({ type }) => type === 'warning') };
  };

  it('that fails does not fail the run, and leaves no tensors', async () => {
    const experiment = warmedUp(async () => {
      tf.zeros([7]);
      throw new NotPositiveDefiniteError(2, -1, 13);
    });
    const { status, warnings } = await outcome(experiment);
    expect(status).toBe('COMPLETED');
    expect(warnings).toEqual([]);
  });

  it('passes; the step in which a column of the method is not a number fails the run', async () => {
    const experiment = tinyExperiment('backend=wasm', 'methods=[{ name: sgd }]');
    const [{ definition, ...method }] = experiment.methods;
    const load = async () => {
      const real = (await definition.load()) as Method;
      const step: Method['step'] = async (...args) => {
        const { state, metrics } = await real.step(...args);
        const extra = { x_residual: args[3].indices.length === 50 ? Number.NaN : 0 };
        return { state, metrics: { ...metrics, extra } };
      };
      return { ...real, columns: () => ['x_residual'], step };
    };
    const broken = {
      ...experiment,
      methods: [{ ...method, definition: { ...definition, load } }],
    };
    const { status, error } = await outcome(broken);
    expect(status).toBe('FAILED');
    expect(error).toMatch(
      /^sgd, seed 1: training diverged at batch 1 \(epoch 1\): the x_residual is NaN; /,
    );
  });

  it('that meets a bug of the program does not hide it', async () => {
    const experiment = warmedUp(async () => {
      throw new TypeError('a bug');
    });
    await expect(outcome(experiment)).rejects.toThrow('a bug');
  });
});

describe(`singular matrices in a step on ${testBackend}`, () => {
  const failure = async (...fields: string[]) => {
    const experiment = tinyExperiment(
      `backend=${testBackend}`,
      // More units than a batch has rows, and next to no damping.
      'network.layers=[{ dense: 64, activation: relu }, { dense: 10 }]',
      'batchSize=20',
      `methods=[{ name: fenchel, ${fields.join(', ')} }]`,
    );
    const { runs } = await runExperiment(experiment, { outDir: join(temporaryFolder(), 'run') });
    return runs[0].error;
  };

  it('name the layer, the batch and the setting to enlarge', async () => {
    expect(await failure('damping: 1e-30')).toMatch(
      /^fenchel, seed 1: at batch 1 \(epoch 1\), the matrix over the inputs of layer 2 \(65 rows\) is singular: its Cholesky pivot \d+ is \S+\. Try a larger damping \(now 1e-30\)$/,
    );
  });
});

describe('a run', () => {
  const failure = async (...changes: string[]) => {
    const folder = temporaryFolder();
    const experiment = tinyExperiment('backend=wasm', ...changes);
    const { runs } = await runExperiment(experiment, {
      outDir: join(folder, 'run'),
      only: ['sgd'],
    });
    const csv = readFileSync(join(folder, 'run', 'sgd-s1', 'metrics.csv'), 'utf8');
    return { ...runs[0], rows: csv.trimEnd().split('\n').length - 1 };
  };

  it('whose network is dead fails, says which layer, and keeps its CSV', async () => {
    // The first step kills every unit: the hidden weights are thrown far to the negative side.
    const { status, error, rows } = await failure(
      'methods.sgd.learningRate=30',
      'methods.sgd.bias=-50',
    );
    expect(status).toBe('FAILED');
    expect(error).toMatch(
      /^sgd, seed 1: after batch 8 hidden layer 1 gives the same values for every image: .*try a smaller learningRate \(now 30\)/,
    );
    expect(rows).toBe(8);
  });

  it('that diverges names the block', async () => {
    const { status, error } = await failure('methods.sgd.learningRate=1e30', 'loss=mse');
    expect(status).toBe('FAILED');
    expect(error).toMatch(
      /: training diverged at batch \d+ \(epoch \d\): .*; (no weight|not finite|the largest number).*; likely the step size/,
    );
  });
});
