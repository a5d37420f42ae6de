import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bundlePlayground } from '../../scripts/bundle-playground.js';
import { parseExperiment } from '../../src/config/load.js';
import { configYaml } from '../../src/config/print.js';
import { defaultExperiment, playgroundExperiment } from '../../src/playground/experiment.js';
import { experimentFields, methodForms } from '../../src/playground/form.js';
import { playgroundHtml, readScripts } from '../../src/playground/write-page.js';
import { fln } from '../cli/fln.js';
import { temporaryFolder } from '../experiment/tiny.js';

const base = `name: quickstart
dataset: { name: synthetic-digits, limit: 500, testLimit: 100 }
network: { layers: [ { dense: 12, activation: relu }, { dense: 10 } ] }
epochs: 2
batchSize: 50
seeds: [3, 4]
methods: [ { name: fenchel, targetStep: 0.1 }, { name: adam } ]
`;

function written(text: string): string {
  const file = join(temporaryFolder(), 'experiment.yaml');
  writeFileSync(file, text);
  return file;
}

describe('the experiment of the playground', () => {
  it('keeps what a config gives, and is a config itself', () => {
    const experiment = playgroundExperiment(written(base), ['batchSize=25']);
    expect(experiment).toMatchObject({
      batchSize: 25,
      seeds: [3],
      backend: 'wasm',
      methods: [{ name: 'fenchel', targetStep: 0.1 }, { name: 'adam' }],
    });
    const again = parseExperiment(configYaml({ ...experiment }), 'experiment.yaml').experiment;
    expect(again.methods[0].config).toMatchObject({ targetStep: 0.1 });
    expect(again.batchSize).toBe(25);
  });

  it.each([
    ['dataset.name=cifar10 dataset.limit=500', 'its data set is cifar10'],
    ['dataset.validation=100', 'of dataset, the page knows'],
    ['dataset.stream.taskSize=100', 'of dataset, the page knows'],
    ['network.layers.0={conv: 4, kernel: 5, activation: relu}', 'not fully connected'],
    ['network.layers.0.norm=rms', 'more than an activation'],
    ['network.layers.0.dense=2001', 'more than 2000 units'],
    ['batchSize=full', 'the whole training set'],
    ['evaluate.test=last', 'of evaluate'],
  ])('refuses %s', (overrides, reason) => {
    const given = overrides.includes('{') ? [overrides] : overrides.split(' ');
    expect(() => playgroundExperiment(written(base), given)).toThrow(reason);
  });
});

it('has a control for each number, choice and switch of a method, with limits and description', () => {
  const fenchel = methodForms().find(({ name, solver }) => name === 'fenchel' && !solver)!;
  const field = (path: string) => fenchel.fields.find((one) => one.path === path);
  expect(field('targetStep')).toMatchObject({
    kind: 'number',
    default: 0.02,
    slider: { from: 0.0005, to: 2, scale: 'log' },
    isMain: true,
  });
  expect(field('nudge')).toMatchObject({ kind: 'choice', options: ['one-sided', 'two-sided'] });
  expect(field('noise.read')).toMatchObject({ kind: 'number', min: 0, max: 100 });
  const exact = methodForms().find(({ solver }) => solver === 'exact')!;
  const jointStep = exact.fields.find(({ path }) => path === 'jointStep')!;
  expect(jointStep.description).toMatch(/; only with xSolve: joint$/);
  for (const { fields } of methodForms()) {
    for (const { path, description, min = -1 / 0, max = 1 / 0, slider } of fields) {
      expect(description, path).not.toBe('');
      if (slider)
        expect(min <= slider.from && slider.from < slider.to && slider.to <= max, path).toBe(true);
    }
  }
  expect(experimentFields().epochs).toMatchObject({ min: 1, isInteger: true, isRequired: true });
  expect(experimentFields().loss.options).toEqual(['cross-entropy', 'mse']);
});

it('is one file of less than 4 MB that names no other', () => {
  const folder = temporaryFolder();
  expect(bundlePlayground(join(folder, 'browser'))).toBe(true);
  const html = playgroundHtml(playgroundExperiment(defaultExperiment), readScripts(folder));
  expect(html.length).toBeLessThan(4e6);
  expect(html).not.toMatch(/(src|href)=/);
  expect(html).toContain("default-src 'none'");
});

it('replaces an earlier page, but not the experiment, nor a folder', async () => {
  const config = written(base);
  const cwd = dirname(config);
  writeFileSync(join(cwd, 'page.html'), 'an earlier page');
  const write = (args: string[], separate = false) =>
    fln(['playground', config, ...args], { cwd, separate });
  // The built program, which has the scripts.
  expect((await write(['--out', 'page.html'], true)).stderr).toBe('');
  expect(readFileSync(join(cwd, 'page.html'), 'utf8')).toMatch(/^<!doctype html>/);
  const folder = await write(['--out', '.'], true);
  expect(folder.stderr).toContain('Cannot write .: it is a folder');
  const itself = await write(['--out', config]);
  expect(itself.stderr).toContain('is the experiment itself');
  expect(readFileSync(config, 'utf8')).toBe(base);
  for (const { code } of [folder, itself, await write(['--out'])]) expect(code).toBe(2);
});

it('says what to do where its scripts are not built', () => {
  expect(() => readScripts(temporaryFolder())).toThrow('npm run build');
});

it('has a picture in the README that is small', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const [, picture] = /!\[[^\]]*\]\((docs\/playground[^)]*)\)/.exec(readme) ?? [];
  const path = new URL(`../../${picture}`, import.meta.url);
  expect(existsSync(path)).toBe(true);
  expect(statSync(path).size).toBeLessThan(300_000);
});
