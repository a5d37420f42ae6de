import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { describe, expect, it } from 'vitest';
import { decode } from '../report/pixels.js';
import { fln, workplace } from './fln.js';

const config = `
name: tiny
dataset: { name: synthetic-digits, limit: 40, testLimit: 20 }
network: { layers: [ { averagePool: 7 }, { dense: 5, activation: relu }, { dense: 10 } ] }
epochs: 1
batchSize: 20
seeds: [3]
methods: [ { name: adam } ]
`;
const rowsOf = (path: string): Record<string, string>[] =>
  parse(readFileSync(path), { columns: true });

describe('fln bound', () => {
  it('prints the table and writes CSV, JSON and figure', async () => {
    const cwd = workplace(config);
    const args = ['bound', 'tiny.yaml', '--lambda', '1e1,0.1', '--sweeps', '2'];
    const { code, stdout, stderr } = await fln(args, { cwd });
    expect(code).toBe(0);
    expect(stderr).toMatch(/^lambda 10: lifted objective [\d.]+\nlambda 0\.1: /);
    expect(stdout).toContain(
      'synthetic-digits, 40 images · 28x28x1-pool7-5-10, relu · cross-entropy',
    );
    expect(stdout).toContain('Not certified:');
    expect(stdout).not.toContain('lower bound');
    const [folder] = readdirSync(join(cwd, 'results', 'tiny'));
    expect(folder).toMatch(/^bound-[0-9a-f]{12}$/);
    const directory = join(cwd, 'results', 'tiny', folder);
    const rows = rowsOf(join(directory, 'bound.csv'));
    expect(rows.map(({ lambda }) => lambda)).toEqual(['0.1', '10']);
    expect(Number(rows[0].lifted_objective)).toBeLessThanOrEqual(Number(rows[1].lifted_objective));
    const record = JSON.parse(readFileSync(join(directory, 'bound.json'), 'utf8'));
    expect(record).toMatchObject({ kind: 'network', seed: 3, rho: [0.001, 0.001] });
    expect(record.backend.name).toBeTruthy();
    expect(decode(readFileSync(join(directory, 'bound.png'))).width).toBeGreaterThan(1000);
  });

  it('certifies one layer, as JSON alone on stdout', async () => {
    const cwd = workplace(config);
    const layers = 'network.layers=[{ averagePool: 7 }, { dense: 10 }]';
    const args = [
      'bound',
      'tiny.yaml',
      layers,
      'loss=mse',
      '--json',
      '--lambda',
      '1',
      '--out',
      'b',
    ];
    const { code, stdout, stderr } = await fln(args, { cwd });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { kind, rows, files } = JSON.parse(stdout);
    expect(kind).toBe('one-layer');
    expect(Math.abs(rows[0].gap)).toBeLessThan(1e-9);
    expect(files).toEqual(['csv', 'json', 'svg', 'png'].map((end) => join('b', `bound.${end}`)));
    expect(rowsOf(join(cwd, 'b', 'bound.csv'))[0]).toHaveProperty('dual_value');
  });

  it('certifies a share of what a network with a hidden layer reaches', async () => {
    const cwd = workplace(config);
    const args = ['bound', 'tiny.yaml', '--certify', '--rho', '0.01', '--out', 'c'];
    const { code, stdout } = await fln([...args, 'loss=mse', 'dataset.limit=20'], { cwd });
    expect(code).toBe(0);
    expect(stdout).toMatch(/certified lower bound {2}0\.\d+ +\d\d\.\d %/);
    expect(stdout).toContain(
      'Certified: the minimum p* over networks with one hidden ReLU layer of any width',
    );
    expect(stdout).toMatch(/Written: c.bound\.csv, c.bound\.json\n$/);
    const [row] = rowsOf(join(cwd, 'c', 'bound.csv'));
    const { certified, primal_objective: reached, share } = row;
    expect(Number(certified)).toBeGreaterThan(0.5 * Number(reached));
    expect(Number(certified)).toBeLessThan(Number(reached));
    expect(Number(share)).toBe(Number(certified) / Number(reached));
    const record = JSON.parse(readFileSync(join(cwd, 'c', 'bound.json'), 'utf8'));
    expect(record).toMatchObject({
      kind: 'certificate',
      images: 20,
      width: 5,
      seed: 3,
      paired: true,
    });
  });

  it.each([
    ['a loss', [], 'loss mse, and the config has 1 hidden layer (relu) and loss cross-entropy'],
    [
      'an activation',
      ['loss=mse', 'network.layers.1.activation=tanh'],
      'one hidden layer with relu',
    ],
    [
      'a convolution',
      ['loss=mse', 'network.layers=[{ conv: 2, kernel: 3, activation: relu }, { dense: 10 }]'],
      'fully connected layers: no convolution',
    ],
  ])('refuses to certify %s that it does not cover', async (_, overrides, message) => {
    const cwd = workplace(config);
    const { code, stderr } = await fln(['bound', 'tiny.yaml', '--certify', ...overrides], { cwd });
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(existsSync(join(cwd, 'results'))).toBe(false);
  });

  it('refuses a layer without ridge, with the reason, and writes nothing', async () => {
    const cwd = workplace(config);
    const { code, stdout, stderr } = await fln(['bound', 'tiny.yaml', '--rho', '0.1,0'], { cwd });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(
      '--rho must be positive in every layer. Without a ridge on a layer the bound is meaningless',
    );
    expect(existsSync(join(cwd, 'results'))).toBe(false);
  });
});
