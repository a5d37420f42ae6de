import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../experiment/tiny.js';
import { served } from '../live/running.js';
import { fln } from './fln.js';

const plugin = `
import { appendFileSync } from 'node:fs';
appendFileSync(new URL('./loaded', import.meta.url), 'x');
export default ({ defineActivation, defineDataset, tf }) => [
  defineActivation({
    name: 'half',
    maxSlope: 0.5,
    phi: (u) => tf.mul(u, 0.5),
    slope: (u) => tf.fill(u.shape, 0.5),
    conjugate: (u) => tf.mul(tf.square(u), 0.25),
    float64: { F: (v) => v * v, conjugate: (u) => (u * u) / 4 },
  }),
  defineDataset({
    name: 'signs',
    title: 'Signs of a number',
    shape: [1, 1, 2],
    classes: 2,
    trainSize: 40,
    testSize: 20,
    load: (rows) => {
      const split = (count) => ({
        images: Float32Array.from({ length: 2 * count }, (_, i) => Math.sin(7 * i) * 30),
        labels: Uint8Array.from({ length: count }, (_, i) => Number(Math.sin(14 * i) > 0)),
      });
      return { train: split(rows.train), test: split(rows.test) };
    },
  }),
];
`;

const config = `
name: own
plugins: [own.mjs]
backend: wasm
dataset: { name: signs, preprocessing: standardize }
network: { layers: [{ dense: 4, activation: half }, { dense: 2 }] }
epochs: 2
batchSize: 20
seeds: [1]
methods: [{ name: adam }]
`;

it('plugins are loaded for a config or by name, and never for a run directory', async () => {
  const cwd = temporaryFolder();
  const marker = join(cwd, 'loaded');
  const file = join(cwd, 'own.mjs');
  writeFileSync(file, plugin);
  writeFileSync(join(cwd, 'own.yaml'), config);
  const separate = { cwd, separate: true };
  const run = await fln(['run', 'own.yaml', '--out', 'out', '--progress', 'none'], separate);
  expect(run).toMatchObject({ code: 0, stderr: '' });
  expect(readFileSync(marker, 'utf8')).toBe('x');

  rmSync(marker);
  const { url } = await served(cwd);
  expect((await fetch(`${url}`)).status).toBe(200);
  for (const command of [
    ['ls', '.'],
    ['plot', 'out'],
    ['compare', 'out'],
    ['diff', 'out', 'out'],
    ['watch', 'out', '--once'],
    ['export', 'out', '--long', 'long.csv'],
    ['explain', 'dataset'],
  ]) {
    const { code, stderr } = await fln(command, { cwd });
    expect({ command, code, stderr }).toMatchObject({ command, code: 0 });
  }
  const needs = `the activation "half" is defined by a plugin, which is code. fln evaluate and fln predict run it where you name it: --plugins ${file}`;
  writeFileSync(join(cwd, 'rows.csv'), 'a,b\n30,1\n-30,1\n');
  const other = join(cwd, 'other.mjs');
  writeFileSync(other, `${plugin}// changed\n`);
  for (const [args, message] of [
    [['evaluate', 'out'], needs],
    [['predict', 'out', 'rows.csv'], needs],
    [['export', 'out', '--onnx', 'x.onnx'], needs],
    [['evaluate', 'out', '--plugins', 'other.mjs'], `was trained with ${file} (sha256`],
  ] as const) {
    const { code, stderr } = await fln(args, { cwd });
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  }
  expect(existsSync(marker)).toBe(false);

  const [evaluated, predicted, explained] = await Promise.all([
    fln(['evaluate', 'out', '--plugins', 'own.mjs', '--json'], separate),
    fln(['predict', 'out', 'rows.csv', '--plugins', 'own.mjs', '--json'], separate),
    fln(['explain', '--plugins', 'own.mjs'], separate),
  ]);
  expect(evaluated).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(evaluated.stdout).runs).toMatchObject([{ data: 'signs', agrees: true }]);
  expect(predicted.stderr).toBe('');
  expect(JSON.parse(predicted.stdout)).toHaveLength(2);
  expect(explained.stdout).toContain('dataset signs\n    Signs of a number; 1 x 1 x 2; 2 classes');
});
