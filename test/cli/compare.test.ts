import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { describe, expect, it } from 'vitest';
import { gateConfig, healthy, injectRuns } from '../verify/inject.js';
import { fln, workplace } from './fln.js';

/** Two whole run directories and one whose only run is damaged. */
function results(): string {
  const cwd = workplace(gateConfig);
  injectRuns(join(cwd, 'results', 'a'), gateConfig, healthy);
  injectRuns(join(cwd, 'results', 'b'), gateConfig, { ...healthy, fenchel: [0.98, 0.981, 0.982] });
  mkdirSync(join(cwd, 'broken', 'adam-s1'), { recursive: true });
  writeFileSync(join(cwd, 'broken', 'adam-s1', 'metrics.csv'), 'hello\n');
  writeFileSync(join(cwd, 'broken', 'run.json'), '{');
  return cwd;
}

describe('fln compare', () => {
  it('prints a line for each method', async () => {
    const { code, stdout, stderr } = await fln(['compare', 'results/a'], { cwd: results() });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n').slice(0, 5)).toEqual([
      'method                    seeds  final test accuracy    paper  difference  train time',
      '------------------------  -----  -------------------  -------  ----------  ----------',
      'fenchel (preconditioned)      3       98.49 ± 0.08 %  97.60 %       +0.89        20 s',
      'adam                          3       97.65 ± 0.12 %  97.60 %       +0.05        20 s',
      'sgd                           3       94.10 ± 0.25 %        –           –        20 s',
    ]);
  });

  it('shows the others when a directory is broken, and names it on stderr', async () => {
    const cwd = results();
    const args = ['compare', 'broken', 'results', 'absent'];
    const { code, stdout, stderr } = await fln(args, { cwd });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^results\/a +fenchel \(preconditioned\) +3 +98\.49/m);
    expect(stdout).toMatch(/^results\/b +fenchel \(preconditioned\) +3 +98\.10/m);
    expect(stderr).toContain('warning: absent: there is no such directory\n');
    expect(stderr).toContain('warning: broken/run.json: not valid JSON');
    expect(stderr).toContain('warning: broken/adam-s1/metrics.csv:1: not a metrics file');

    const json = await fln([...args, '--json'], { cwd });
    expect(json.stderr).toBe(stderr);
    const { methods, problems } = JSON.parse(json.stdout);
    expect(methods).toHaveLength(6);
    expect(methods[3]).toMatchObject({ directory: 'results/b', method: 'fenchel', paper: 0.976 });
    expect(methods[3].accuracy.mean).toBeCloseTo(0.981, 12);
    expect(problems).toHaveLength(3);
  });

  it('prints CSV and Markdown', async () => {
    const cwd = results();
    const csv = await fln(['compare', 'results/a', '--csv'], { cwd });
    const [fenchel, , sgd]: Record<string, string>[] = parse(csv.stdout, { columns: true });
    expect(fenchel).toMatchObject({
      directory: 'results/a',
      experiment: 'gate',
      method: 'fenchel',
      variant: 'preconditioned',
      seeds: '3',
      completed: '3',
      measured_on: 'test',
      accuracy: '0.984933333',
      paper: '0.976',
      difference: '0.00893333333',
      train_s: '20',
    });
    expect(sgd).toMatchObject({ paper: '', difference: '' });
    const markdown = await fln(['compare', 'results/a', '--markdown'], { cwd });
    expect(markdown.stdout.split('\n').slice(0, 3)).toEqual([
      '| method | seeds | final test accuracy | paper | difference | train time |',
      '| --- | ---: | ---: | ---: | ---: | ---: |',
      '| fenchel (preconditioned) | 3 | 98.49 ± 0.08 % | 97.60 % | +0.89 | 20 s |',
    ]);
  });

  it('shows the cost of tuning where a config has it, in every form', async () => {
    const cwd = workplace(gateConfig);
    const cost = { trials: 12, batches: 14400, seconds: 330.5, validationAccuracy: 0.985 };
    const tuning = `tuning: { fenchel: ${JSON.stringify(cost)} }\n`;
    injectRuns(join(cwd, 'a'), `${gateConfig}${tuning}`, healthy);
    const table = await fln(['compare', 'a', '--markdown'], { cwd });
    const [head, , fenchel, adam] = table.stdout.split('\n');
    expect(head).toMatch(/\| train time \| tuning trials \| tuning batches \| tuning time \|$/);
    expect(fenchel).toMatch(/\| 20 s \| 12 \| 14,400 \| 5.5 min \|$/);
    expect(adam).toMatch(/\| 20 s \| – \| – \| – \|$/);
    const csv = await fln(['compare', 'a', '--csv'], { cwd });
    const rows: Record<string, string>[] = parse(csv.stdout, { columns: true });
    expect(rows[0]).toMatchObject({
      tuning_trials: '12',
      tuning_batches: '14400',
      tuning_s: '330.5',
    });
    expect(rows[1]).toMatchObject({ tuning_trials: '', tuning_s: '' });
    const json = JSON.parse((await fln(['compare', 'a', '--json'], { cwd })).stdout);
    expect(json.methods[0].tuning).toEqual(cost);
    expect(json.methods[1]).not.toHaveProperty('tuning');
    const note = (await fln(['compare', 'a'], { cwd })).stdout.trimEnd().split('\n').at(-1);
    expect(note).toMatch(/; tuning: of all trials together$/);
  });

  it('compares with one method, paired by seed, in every form', async () => {
    const cwd = results();
    const args = ['compare', 'results/a', '--against', 'sgd', '--threshold', '97%'];
    const { code, stdout, stderr } = await fln(args, { cwd });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n').slice(0, 12)).toEqual([
      'Compared with sgd, paired by seed:',
      'method                    final test accuracy      pairs    difference',
      '------------------------  -------------------  ---------  ------------',
      'sgd                            94.10 ± 0.25 %          –     reference',
      'fenchel (preconditioned)       98.49 ± 0.08 %  3 (n < 5)  +4.39 ± 0.23',
      'adam                           97.65 ± 0.12 %  3 (n < 5)  +3.55 ± 0.22',
      '',
      'Training until a test accuracy is first reached:',
      'accuracy  method                    reach it  batches  ratio of batches  time  ratio of times',
      '--------  ------------------------  --------  -------  ----------------  ----  --------------',
      '97 %      sgd                         0 of 3        –                 –     –               –',
      '97 %      fenchel (preconditioned)    3 of 3     2.00                 –  18 s               –',
    ]);
    const markdown = await fln([...args, '--markdown'], { cwd });
    expect(markdown.stdout).toContain('| adam | 97.65 ± 0.12 % | 3 (n < 5) | +3.55 ± 0.22 |');
    const csv = await fln([...args, '--csv', '--simultaneous'], { cwd });
    const rows: Record<string, string>[] = parse(csv.stdout, { columns: true });
    expect(rows).toHaveLength(6);
    expect(rows[0]).toMatchObject({ pairs: '3', separated: 'true', confidence_level: '0.975' });
    expect(rows[4]).toMatchObject({
      measure: 'batches_to_0.97',
      pairs: '0',
      reference_not_reached_seeds: '1 2 3',
      estimate: '',
    });
    const json = JSON.parse((await fln([...args, '--json'], { cwd })).stdout);
    expect(json.against[0].methods[1]).toMatchObject({ method: 'adam', separated: true });
    expect(json.methods).toHaveLength(3);
  });

  it.each([
    [['--against', 'adm'], 'no run is labelled "adm"; did you mean "adam"?'],
    [['--against', 'results/b/adam', '--threshold', '97'], 'got "97"; did you mean "97%"?'],
    [['--threshold', '0.97'], '--threshold needs --against LABEL'],
  ])('explains what is wrong with %j', async (options, message) => {
    const args = ['compare', 'results/a', ...options];
    const { code, stdout, stderr } = await fln(args, { cwd: results() });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
  });

  it('exits 2 with every reason when nothing can be shown', async () => {
    const { code, stdout, stderr } = await fln(['compare', 'broken', 'absent'], { cwd: results() });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^there is nothing to compare: no run with a final accuracy\.\n/);
    expect(stderr).toContain('\n  absent: there is no such directory\n');
    expect(stderr).toContain('broken/adam-s1/metrics.csv:1');
  });
});
