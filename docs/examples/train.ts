/** Trains two methods on the data set that the program generates, and prints what they reach. */
import { parseExperiment, runExperiment } from 'fenchel-lifted-networks';

const { experiment } = parseExperiment(
  `
name: example
dataset: { name: synthetic-digits, limit: 1000, testLimit: 500 }
network: { layers: [ { dense: 32, activation: relu }, { dense: 10 } ] }
epochs: 2
batchSize: 50
seeds: [1]
backend: wasm
methods:
  - { name: fenchel }
  - { name: adam }
`,
  'example.yaml',
);

const { status, runs, directory } = await runExperiment(
  experiment,
  { outDir: process.argv[2] ?? 'results/example' },
  (event) => {
    if (event.type === 'evaluation')
      console.log(event.run.label, event.batch, event.test?.accuracy);
  },
);
console.log(status, directory);
for (const { label, summary } of runs) console.log(label, summary?.finalTestAccuracy);
