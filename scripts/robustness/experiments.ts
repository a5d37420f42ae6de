import { methods } from '../../src/core/methods/registry.js';

/** An experiment of a second, on data that the program generates. */
interface TinyExperiment {
  readonly name: string;
  readonly config: string;
  /** Of its methods. */
  readonly labels: readonly string[];
}

/**
 * Every entry of the method registry, on the networks that it trains.
 * @param epochs of 10 batches each
 * @param iterations of full-batch methods
 */
export function tinyExperiments(epochs = 30, iterations = 60): readonly TinyExperiment[] {
  const convolutional = methods.filter(({ solver }) => solver === 'preconditioned');
  return [
    experiment(
      'dense',
      '[ { dense: 16, activation: relu }, { dense: 10 } ]',
      methods,
      epochs,
      iterations,
    ),
    experiment(
      'convolutional',
      '[ { conv: 3, kernel: 5, stride: 2, activation: relu }, { averagePool: 2 }, { dense: 10 } ]',
      convolutional,
      epochs,
      iterations,
    ),
  ];
}

function experiment(
  name: string,
  layers: string,
  entries: typeof methods,
  epochs: number,
  iterations: number,
): TinyExperiment {
  const labels = entries.map((entry) => [entry.name, entry.solver].filter(Boolean).join('-'));
  const lines = entries.map(({ name, solver, fullBatch, schema }, i) => {
    const fields = [
      `name: ${name}`,
      ...(solver ? [`solver: ${solver}`] : []),
      `label: ${labels[i]}`,
      // Refinements of a basis of the pixels take longer than everything else together.
      ...('maxDimension' in schema.shape ? ['maxDimension: 100'] : []),
      ...(fullBatch ? ['batchSize: full', `epochs: ${iterations}`] : []),
    ];
    return `  - { ${fields.join(', ')} }`;
  });
  const config = [
    `name: ${name}`,
    'dataset: { name: synthetic-digits, limit: 500, testLimit: 100 }',
    `network: { layers: ${layers} }`,
    'loss: mse',
    `epochs: ${epochs}`,
    'batchSize: 50',
    'seeds: [1]',
    'evaluate: { every: 7 }',
    'backend: wasm',
    'methods:',
    ...lines,
    '',
  ].join('\n');
  return { name, config, labels };
}
