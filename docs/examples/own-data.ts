/** Trains on arrays in memory, instead of files, and prints the accuracy on the rows that are held out. */
import { parseExperiment, runExperiment } from 'fenchel-lifted-networks';

// Two classes of points in the plane: inside and outside of a circle.
const count = 600;
const values = new Float32Array(2 * count);
const labels = new Uint8Array(count);
for (let i = 0; i < count; i++) {
  // Points of a sequence that fills the square evenly.
  const [x, y] = [0.7548776662, 0.5698402909].map((step) => 2 * ((i * step) % 1) - 1);
  values.set([x, y], 2 * i);
  labels[i] = x * x + y * y < 0.6 ? 1 : 0;
}

const { experiment } = parseExperiment(
  `
name: circle
dataset: { name: arrays }
network: { layers: [ { dense: 16, activation: relu }, { dense: 2 } ] }
epochs: 20
batchSize: 30
seeds: [1]
backend: wasm
methods:
  - { name: adam, learningRate: 0.02 }
`,
  'circle.yaml',
);

const { status, runs } = await runExperiment(experiment, {
  data: { train: { x: { values, shape: [count, 2] }, y: labels }, test: 0.2 },
  outDir: process.argv[2] ?? 'results/circle',
});
console.log(status);
for (const { label, summary } of runs) console.log(label, summary?.finalTestAccuracy);
